package session_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/message"
	"github.com/guregu/kami/session"
	"github.com/guregu/kami/session/sessiontest"
)

// recorder is a Link that records the pushes and the reasons of Close.
type recorder struct {
	push  func(ctx context.Context, m *message.Message) error // if not nil, it runs first
	close func()                                              // if not nil, it runs first

	mu      sync.Mutex
	bodies  []string
	numbers []uint64
	reasons []string
}

func (r *recorder) Push(ctx context.Context, m *message.Message) error {
	if r.push != nil {
		if err := r.push(ctx, m); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bodies, r.numbers = append(r.bodies, string(m.Body)), append(r.numbers, session.Seq(ctx))
	return nil
}

func (r *recorder) Close(_ context.Context, reason string) error {
	if r.close != nil {
		r.close()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reasons = append(r.reasons, reason)
	return nil
}

// got returns the bodies of the pushes, and their numbers.
func (r *recorder) got() ([]string, []uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.bodies...), append([]uint64(nil), r.numbers...)
}

func (r *recorder) closed() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.reasons...)
}

// logged is a buffer for log records that goroutines can share.
type logged struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.String()
}

// logs returns a logger for a Pool, and the buffer of its records, which have no times.
func logs() (*slog.Logger, *logged) {
	text := new(logged)
	return slog.New(slog.NewJSONHandler(text, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})), text
}

// bound returns a client whose session is bound to the uid.
func bound(t *testing.T, p *session.Pool, uid string) *sessiontest.Client {
	t.Helper()
	c := sessiontest.Connect(p)
	require.NoError(t, c.Session().Bind(t.Context(), uid))
	return c
}

func push(t *testing.T, s *session.Session, values ...any) {
	t.Helper()
	for _, v := range values {
		require.NoError(t, s.Push(t.Context(), "n", v))
	}
}

// numbers returns the values of the pushes of "n" that a client has got.
func numbers(t *testing.T, c *sessiontest.Client) []int {
	t.Helper()
	values, err := sessiontest.Values[int](c, "n")
	require.NoError(t, err)
	return values
}

func texts(all []*message.Message) (bodies []string) {
	for _, m := range all {
		bodies = append(bodies, string(m.Body))
	}
	return bodies
}

func raw(pairs ...string) map[string]json.RawMessage {
	values := make(map[string]json.RawMessage)
	for i := 0; i < len(pairs); i += 2 {
		values[pairs[i]] = json.RawMessage(pairs[i+1])
	}
	return values
}
