package message_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
)

// TestBadInput checks the status and the text of the answer to each kind of bad message. TestM04MalformedRoutes checks malformed routes,
// and TestM07TheTimeoutOfAMessage checks invalid timeouts.
func TestBadInput(t *testing.T) {
	type in struct {
		ID  string `path:"id"`
		N   int    `json:"n"`
		Any any    `json:"any"`
	}
	mux := kami.New()
	mux.Post("/in/:id", endpoint.JSON(func(_ context.Context, v in) (int, error) { return v.N, nil }))
	mux.Post("/out", endpoint.JSON(func(context.Context, struct{}) (any, error) { return make(chan int), nil }))
	mux.Get("/get", func(http.ResponseWriter, *http.Request) {})
	tests := []struct {
		name, route, contentType, body string
		status                         int
		text                           string
	}{
		{"wrong type", "in.1", "", `{"n":"x"}`, 400, `field "n": a JSON string at offset 8 does not fit`},
		{"not an object", "in.1", "", `[]`, 400, `a JSON array at offset 1 does not fit`},
		{"not json", "in.1", "", `{"n":`, 400, "the body is not JSON at offset 5: unexpected end of JSON input"},
		{"two values", "in.1", "", `{} {}`, 400, "the body is not JSON at offset 4: invalid character '{' after top-level value"},
		{"empty", "in.1", "", "", 400, "the body is empty, and should be JSON"},
		{"duplicate keys", "in.1", "", `{"n":1,"n":2}`, 200, "2"}, // as in encoding/json, the last one counts
		{"deep", "in.1", "", `{"any":` + strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001) + "}", 400, "the body is not JSON at offset 10007: exceeded max depth"},
		{"too large", "in.1", "", `{"any":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "the body is larger than 1048576 bytes"},
		{"another type", "in.1", "text/plain", `{}`, 415, `Content-Type "text/plain" is not JSON`},
		{"an odd type", "in.1", "\x00;;", `{}`, 415, `Content-Type "\x00;;" is not JSON`},
		{"no such route", "in.1.2", "", `{}`, 404, "404 page not found"},
		{"no such method", "get", "", `{}`, 405, "Method Not Allowed"},
		{"an answer that cannot be encoded", "out", "", `{}`, 500, "Internal Server Error"},
	}
	log := logs(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			log.Reset()
			m := &message.Message{Route: test.route, Body: []byte(test.body)}
			if test.contentType != "" {
				m.Header = http.Header{"Content-Type": {test.contentType}}
			}
			var reply *message.Reply
			synctest.Test(t, func(t *testing.T) { reply = message.Serve(t.Context(), mux, m) }) // the bubble waits for all goroutines
			assert.Equal(t, test.status, reply.Status)
			text := strings.Replace(string(reply.Body), "invalid character '[' exceeded", "exceeded", 1) // Go 1.26 adds the character
			assert.Equal(t, test.text+"\n", text)
			assert.Equal(t, test.status == 500, strings.Contains(log.String(), "unsupported type: chan int"), log)
		})
	}
}

// TestBadInputHandlersThatDoNotReturn checks that Serve waits for a handler that ignores the end of its context at the deadline.
func TestBadInputHandlersThatDoNotReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		ended, release, replies := make(chan struct{}), make(chan struct{}), make(chan *message.Reply)
		mux := post("/slow", func(ctx context.Context, w http.ResponseWriter, _ *http.Request) {
			<-ctx.Done()
			cause = context.Cause(ctx)
			close(ended)
			<-release
			w.WriteHeader(http.StatusTeapot)
		})
		go func() {
			replies <- message.Serve(t.Context(), mux, &message.Message{Route: "slow", Header: http.Header{"Kami-Timeout": {"1s"}}})
		}()
		<-ended
		assert.Equal(t, context.DeadlineExceeded, cause)
		time.Sleep(time.Hour) // on the bubble's clock
		synctest.Wait()
		select {
		case <-replies:
			t.Error("Serve has not waited for the handler")
		default:
		}
		close(release)
		assert.Equal(t, http.StatusTeapot, (<-replies).Status)
	})
}
