package message_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
)

// FuzzM02Serve checks that each message is answered with an expected status and pattern, and is not changed.
func FuzzM02Serve(f *testing.F) {
	type next struct {
		Any  any   `json:"any"`
		Next *next `json:"next"`
	}
	type in struct {
		ID   string         `path:"id"`
		Any  any            `json:"any"`
		Map  map[string]int `json:"map"`
		Next *next          `json:"next"`
	}
	mux := kami.New()
	mux.Post("/in/:id", endpoint.JSON(func(_ context.Context, v in) (in, error) { return v, nil }))
	mux.Post("/raw/*path", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	f.Add("in.7", "", "", []byte(`{"any":[1,{"a":null}],"map":{"a":1},"next":{"any":"x"}}`))
	f.Add("raw.a.b", "text/plain", "1h", []byte("text"))
	f.Add("in.%2E", "application/json; charset=utf-8", "soon", []byte(`{"any":`))
	f.Add("in.a%2F..%2Fb", "\xff", "-1s", []byte(nil))
	f.Fuzz(func(t *testing.T, route, contentType, timeout string, body []byte) {
		m := &message.Message{Route: route, Header: http.Header{}, Body: body}
		if contentType != "" {
			m.Header.Set("Content-Type", contentType)
		}
		if timeout != "" {
			m.Header.Set("Kami-Timeout", timeout)
		}
		header, sent := m.Header.Clone(), string(body)
		reply := message.Serve(context.Background(), mux, m)
		require.Equal(t, header, m.Header)
		require.Equal(t, sent, string(m.Body))
		_, err := message.Path(route)
		switch reply.Status {
		case 400:
		case 404:
			require.NoError(t, err)
			require.Empty(t, reply.Pattern)
		case 200:
			require.NoError(t, err)
			if strings.HasPrefix(route, "raw.") {
				require.Equal(t, sent, string(reply.Body))
			} else {
				require.True(t, json.Valid(reply.Body), "%q", reply.Body)
			}
		case 408, 413, 415: // 408 if the timeout is very short
			require.Equal(t, "/in/:id", reply.Pattern)
		default:
			t.Fatalf("%d %s", reply.Status, reply.Body)
		}
	})
}

// FuzzM07Answers checks that any answer is decoded, or becomes an error that fits its status.
func FuzzM07Answers(f *testing.F) {
	f.Add(200, "application/json", []byte(`{"a":[1]}`))
	f.Add(200, "application/x-ndjson", []byte("{}\n{} 1 x"))
	f.Add(404, "text/plain", []byte("  no such room\n"))
	f.Add(302, "", []byte(nil))
	f.Fuzz(func(t *testing.T, status int, contentType string, body []byte) {
		to := answering(status, contentType, string(body))
		got, err := message.Remote[int, any](to, "a")(t.Context(), 1)
		var coded endpoint.StatusCoder
		switch {
		case status >= 400:
			require.ErrorAs(t, err, &coded)
			require.ErrorIs(t, endpoint.Error(status, err.Error()), err)
		case status < 200 || status > 299:
			require.Error(t, err)
			require.False(t, errors.As(err, &coded))
		case err == nil && len(body) > 0:
			var want any
			require.NoError(t, json.Unmarshal(body, &want))
			require.Equal(t, want, got)
		}
		if err != nil {
			require.Nil(t, got)
		}
		ended := false
		for _, err := range message.Stream[int, any](to, "a")(t.Context(), 1) {
			require.False(t, ended, "an error is the last of the sequence")
			ended = err != nil
		}
	})
}
