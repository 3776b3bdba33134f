package endpoint_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/guregu/kami/endpoint"
	"github.com/stretchr/testify/assert"
)

// blank is a writer that discards its bytes.
type blank struct{ header http.Header }

func (b *blank) Header() http.Header         { return b.header }
func (b *blank) Write(p []byte) (int, error) { return len(p), nil }
func (b *blank) WriteHeader(int)             {}

// rewound is a body that a test can rewind after it was closed.
type rewound struct{ *strings.Reader }

func (rewound) Close() error { return nil }

func TestAllocations(t *testing.T) {
	if race {
		t.Skip("the race detector allocates, and has pools forget")
	}
	const text = `{"A":1,"B":2}`
	body := rewound{strings.NewReader(text)}
	r := request("POST", "/", text, "Content-Type: application/json")
	r.Body = body
	w := &blank{http.Header{}}
	ctx := context.Background()
	serve := func(options ...endpoint.ServerOption) func() {
		s := endpoint.JSON(sum, options...)
		return func() {
			_, _ = body.Seek(0, io.SeekStart)
			s.ServeHTTP(w, r)
		}
	}
	encoder, response := json.NewEncoder(io.Discard), any(sumResponse{3})
	encoding := testing.AllocsPerRun(1000, func() { _ = encoder.Encode(response) }) // from Go 1.27 on, this is 1
	for _, tt := range []struct {
		name string
		want float64
		run  func()
	}{
		{"PopulateRequestContext", 1, func() { endpoint.PopulateRequestContext(ctx, r) }},
		{"JSON", 2 + encoding, serve()},
		{"JSON with values of the request", 3 + encoding, serve(endpoint.ServerBefore(endpoint.PopulateRequestContext))},
	} {
		assert.LessOrEqual(t, testing.AllocsPerRun(1000, tt.run), tt.want, tt.name)
	}
}
