package message_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/mutil"
)

// stages has the answers of middleware, handler and afterware. A stage with nil does not answer.
type stages struct{ before, handler, after any }

// mux returns a Mux whose stages answer. If halt is true, the middleware halts the request.
func (s stages) mux(t *testing.T, halt bool) *kami.Mux {
	mux := kami.New()
	mux.Use("/", func(ctx context.Context, w http.ResponseWriter, _ *http.Request) context.Context {
		w.Header().Set("X-Outer", "1")
		if s.before != nil {
			assert.NoError(t, message.Answer(w, s.before))
		}
		if halt {
			return nil
		}
		return ctx
	})
	mux.Use("/", func(next http.Handler) http.Handler { return next })
	mux.After("/", func(_ context.Context, w mutil.WriterProxy, _ *http.Request) {
		if s.after != nil {
			assert.NoError(t, message.Answer(w, s.after))
		}
	})
	mux.Post("/a", func(_ context.Context, w http.ResponseWriter, _ *http.Request) error {
		switch v := s.handler.(type) {
		case string:
			_, _ = io.WriteString(w, v)
		case error:
			return v
		}
		return nil
	})
	return mux
}

func TestM06Returns(t *testing.T) {
	taken, gone := endpoint.Error(409, "taken"), endpoint.Error(410, "gone")
	tests := []struct {
		name                  string
		stages                stages
		halt                  bool
		method, first, latest string
		status                int
	}{
		{"all", stages{"b", "h", "a"}, false, `h`, `"b"`, `"a"`, 200},
		{"before", stages{"b", "h", nil}, false, `h`, `"b"`, `h`, 200},
		{"after", stages{nil, "h", "a"}, false, `h`, `h`, `"a"`, 200},
		{"the handler alone", stages{nil, "h", nil}, false, `h`, `h`, `h`, 200},
		{"a silent handler", stages{"b", nil, "a"}, false, ``, `"b"`, `"a"`, 200},
		{"nobody", stages{}, false, ``, ``, ``, 200},
		{"values", stages{map[string]int{"n": 1}, "h", []int{1}}, false, `h`, `{"n":1}`, `[1]`, 200},
		{"halting", stages{"b", "h", nil}, true, ``, `"b"`, `"b"`, 200},
		{"a handler's error", stages{"b", taken, "a"}, false, "taken\n", "taken\n", "taken\n", 409},
		{"an error before", stages{taken, "h", "a"}, false, "taken\n", "taken\n", "taken\n", 409},
		{"an error before that halts", stages{taken, "h", nil}, true, "taken\n", "taken\n", "taken\n", 409},
		{"an error after", stages{"b", "h", taken}, false, "taken\n", "taken\n", "taken\n", 409},
		{"a secret", stages{nil, "h", errors.New("secret")}, false, "Internal Server Error\n", "Internal Server Error\n", "Internal Server Error\n", 500},
	}
	logs(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			mux := test.stages.mux(t, test.halt)
			for returns, want := range map[message.Returns]string{
				message.Method: test.method, message.First: test.first, message.Latest: test.latest, 7: test.method,
			} {
				reply := message.Serve(t.Context(), mux, &message.Message{Route: "a", Returns: returns})
				assert.Equal(t, want, string(reply.Body), returns)
				assert.Equal(t, test.status, reply.Status, returns)
				assert.Equal(t, "1", reply.Header.Get("X-Outer"), returns)
			}
		})
	}
	mux := stages{taken, gone, endpoint.Error(418, "tea")}.mux(t, false)
	for returns, want := range map[message.Returns]int{message.Method: 410, message.First: 409, message.Latest: 418} {
		assert.Equal(t, want, message.Serve(t.Context(), mux, &message.Message{Route: "a", Returns: returns}).Status)
	}
}

// TestM06ErrorsByTheErrorHandler checks that the ErrorHandler of the Mux answers errors that are given to Answer.
func TestM06ErrorsByTheErrorHandler(t *testing.T) {
	inner := stages{before: errors.New("boom")}.mux(t, false)
	inner.ErrorHandler = func(_ context.Context, w http.ResponseWriter, _ *http.Request, err error) {
		w.WriteHeader(499)
		w.WriteHeader(500)
		_, _ = io.WriteString(w, "own "+err.Error())
	}
	outer := kami.New()
	outer.Mount("/", inner)
	for _, h := range []http.Handler{inner, outer} {
		reply := message.Serve(t.Context(), h, &message.Message{Route: "a"})
		assert.Equal(t, 499, reply.Status)
		assert.Equal(t, "own boom", string(reply.Body))
	}
	plain := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _ = message.Answer(w, endpoint.Error(409, "taken")) })
	reply := message.Serve(t.Context(), plain, &message.Message{Route: "a"})
	assert.Equal(t, endpoint.Error(409, "taken"), reply.Err())
}

func TestM06AnswerWhereItCannot(t *testing.T) {
	assert.EqualError(t, message.Answer(httptest.NewRecorder(), 1), "message: the request is no message")
	assert.EqualError(t, message.Answer(mutil.WrapWriter(httptest.NewRecorder()), 1), "message: the request is no message")
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		assert.ErrorContains(t, message.Answer(w, make(chan int)), "message: encoding chan int: json: unsupported type")
	})
	reply := message.Serve(t.Context(), h, &message.Message{Route: "a", Returns: message.First})
	assert.Equal(t, &message.Reply{Status: 200}, &message.Reply{Status: reply.Status, Body: reply.Body})
}
