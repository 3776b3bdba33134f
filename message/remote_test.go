package message_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
)

// caller is a function as a Caller.
type caller func(ctx context.Context, m *message.Message) (*message.Reply, error)

func (f caller) Call(ctx context.Context, m *message.Message) (*message.Reply, error) {
	return f(ctx, m)
}

// answering returns a Caller that always gives the same answer.
func answering(status int, contentType, body string) caller {
	return func(context.Context, *message.Message) (*message.Reply, error) {
		reply := &message.Reply{Status: status, Body: []byte(body)}
		if contentType != "" {
			reply.Header = http.Header{"Content-Type": {contentType}}
		}
		return reply, nil
	}
}

// pointers is a codec that panics unless it gets a *string, even for an empty body.
type pointers struct{}

func (pointers) ContentType() string           { return "application/x-pointers" }
func (pointers) Marshal(v any) ([]byte, error) { return []byte(*v.(*string)), nil }
func (pointers) Unmarshal(data []byte, v any) error {
	*v.(*string) = fmt.Sprintf("%q", data)
	return nil
}

func TestM07Answers(t *testing.T) {
	tests := []struct {
		name, contentType, body string
		status                  int
		opts                    []message.CallOption
		want                    string
		err                     string
	}{
		{"json", "", `"a"`, 200, nil, "a", ""},
		{"json by name", "application/json; charset=utf-8", `"a"`, 201, nil, "a", ""},
		{"a kind of json", "application/x+json", `"a"`, 200, nil, "a", ""},
		{"empty", "", "", 200, nil, "", ""},
		{"no content", "", "", 204, nil, "", ""},
		{"another type", "text/html", "<p>", 200, nil, "", `message: the answer has the Content-Type "text/html", which no codec of the call is for`},
		{"not json", "", "<p>", 200, nil, "", "message: decoding the answer as string: invalid character '<' looking for beginning of value"},
		{"two values", "", "1 2", 200, nil, "", "message: decoding the answer as string: invalid character '2' after top-level value"},
		{"a redirect", "", "", 302, nil, "", "message: the status 302 is neither an answer nor an error"},
		{"an error", "text/plain", " no \n", 403, nil, "", "no"},
		{"a codec", "Application/X-Pointers; v=1", "a", 200, []message.CallOption{message.WithCodec(pointers{})}, `"a"`, ""},
		{"a codec and json", "application/json", `"a"`, 200, []message.CallOption{message.WithCodec(pointers{})}, "a", ""},
		{"a codec and no type", "", `"a"`, 200, []message.CallOption{message.WithCodec(pointers{})}, "a", ""},
		{"a codec and nothing", "", "", 200, []message.CallOption{message.WithCodec(pointers{})}, `""`, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			to := answering(test.status, test.contentType, test.body)
			got, err := message.Remote[string, string](to, "a", test.opts...)(t.Context(), "x")
			assert.Equal(t, test.want, got)
			if test.err == "" {
				assert.NoError(t, err)
			} else {
				assert.EqualError(t, err, test.err)
			}
			x := "x"
			pointer, err := message.Remote[*string, *string](to, "a", test.opts...)(t.Context(), &x)
			assert.Equal(t, test.err != "", err != nil, err)
			if test.want != "" {
				assert.Equal(t, test.want, *pointer)
			}
			_, err = message.Remote[string, struct{}](to, "a", test.opts...)(t.Context(), "x")
			assert.Equal(t, test.status >= 400, err != nil, "the answer is ignored")
		})
	}
	_, err := message.Remote[chan int, string](answering(200, "", ""), "a")(t.Context(), nil)
	assert.ErrorContains(t, err, `message: encoding for "a": json: unsupported type`)
	_, err = message.Remote[int, string](caller(func(context.Context, *message.Message) (*message.Reply, error) { return nil, nil }), "a")(t.Context(), 1)
	assert.EqualError(t, err, "message: the message_test.caller returned neither an answer nor an error")
	long := &message.Reply{Status: 400, Body: []byte(strings.Repeat("a", 1<<20))}
	assert.Len(t, long.Err().Error(), 64<<10)
	assert.NoError(t, (&message.Reply{Status: 399}).Err())
}

func TestM07RepeatsWhatHasReachedNobody(t *testing.T) {
	tests := []struct {
		errs  []error
		calls int
		ok    bool
	}{
		{[]error{fmt.Errorf("dial: %w", message.ErrUndelivered), nil}, 2, true},
		{[]error{message.ErrUndelivered, message.ErrUndelivered, nil}, 2, false},
		{[]error{errors.New("broken"), nil}, 1, false},
	}
	for _, test := range tests {
		calls := 0
		to := caller(func(context.Context, *message.Message) (*message.Reply, error) {
			calls++
			return &message.Reply{Status: 200, Body: []byte("1")}, test.errs[calls-1]
		})
		_, err := message.Remote[int, int](to, "a")(t.Context(), 1)
		assert.Equal(t, test.ok, err == nil, err)
		assert.Equal(t, test.calls, calls)
	}
	calls := 0
	ctx, cancel := context.WithCancel(t.Context())
	to := caller(func(context.Context, *message.Message) (*message.Reply, error) {
		calls++
		cancel()
		return nil, message.ErrUndelivered
	})
	_, err := message.Remote[int, int](to, "a")(ctx, 1)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 1, calls)
}

func TestM07TheMessageOfACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent message.Message
		to := caller(func(_ context.Context, m *message.Message) (*message.Reply, error) {
			sent = *m
			return &message.Reply{Status: 200}, nil
		})
		_, err := message.Remote[int, int](to, "a")(t.Context(), 1)
		require.NoError(t, err)
		assert.Equal(t, message.Message{Route: "a", Body: []byte("1")}, sent)
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		call := message.Remote[string, string](to, "b", message.WithHeader("x-id", "1"), message.WithHeader("X-Id", "2"), message.WithCodec(pointers{}))
		for range 2 {
			_, err = call(ctx, "hi")
			require.NoError(t, err)
			header := http.Header{"X-Id": {"1", "2"}, "Content-Type": {"application/x-pointers"}, "Kami-Timeout": {"1.5s"}}
			assert.Equal(t, message.Message{Route: "b", Body: []byte("hi"), Header: header}, sent)
			sent.Header.Set("X-Id", "other")
		}
		for timeout, want := range map[string]string{"1s": "1s", "2s": "1.5s", "-1s": "1.5s", "soon": "1.5s"} {
			_, err = message.Remote[int, int](to, "b", message.WithHeader("Kami-Timeout", timeout))(ctx, 1)
			require.NoError(t, err)
			assert.Equal(t, []string{want}, sent.Header["Kami-Timeout"], timeout)
		}
		require.NoError(t, message.Notify(t.Context(), to, "c", "hi"))
		assert.Equal(t, message.Message{Route: "c", Body: []byte(`"hi"`), Notify: true}, sent)
		for hi := "hi"; hi != ""; hi = "" {
			require.NoError(t, message.Notify(t.Context(), to, "c", hi, message.WithCodec(pointers{})))
			require.NoError(t, message.Notify(t.Context(), to, "c", &hi, message.WithCodec(pointers{})))
		}
		assert.Equal(t, "hi", string(sent.Body))
		for range message.Stream[int, int](to, "d", message.Window(7))(t.Context(), 1) {
			t.Error("there are no items")
		}
		assert.Equal(t, 7, sent.Window)
		assert.NotNil(t, sent.Stream)
	})
}

func TestM07Notify(t *testing.T) {
	log := logs(t)
	require.NoError(t, message.Notify(t.Context(), answering(200, "", ""), "a", 1))
	require.NoError(t, message.Notify(t.Context(), caller(func(context.Context, *message.Message) (*message.Reply, error) { return nil, nil }), "a", 1))
	assert.Empty(t, log)
	require.NoError(t, message.Notify(t.Context(), answering(404, "", "no such room"), "a.b", 1))
	assert.Contains(t, log.String(), `route=a.b err="no such room"`)
	assert.ErrorContains(t, message.Notify(t.Context(), answering(200, "", ""), "a", make(chan int)), "unsupported type")
	broken := errors.New("broken")
	assert.ErrorIs(t, message.Notify(t.Context(), caller(func(context.Context, *message.Message) (*message.Reply, error) { return nil, broken }), "a", 1), broken)
	ctx, cancel := context.WithCancel(t.Context())
	slow := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel(); <-t.Context().Done() })
	require.NoError(t, message.Notify(ctx, message.Local(slow), "slow", 1), "it was sent")
	assert.Contains(t, log.String(), "route=slow")
}

func TestM07OverHTTP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	base := &url.URL{Scheme: "http", Host: l.Addr().String()}
	require.NoError(t, l.Close())
	_, err = message.HTTP(nil, base).Call(t.Context(), &message.Message{Route: "a"})
	assert.ErrorIs(t, err, message.ErrUndelivered)

	h := http.NewServeMux()
	h.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "5")
		_, _ = io.WriteString(w, "a")
	})
	h.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 10<<20+1)) })
	h.HandleFunc("/longline", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		_, _ = w.Write(make([]byte, 10<<20+1))
	})
	h.HandleFunc("/lines", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		_, _ = io.WriteString(w, "1\n\n2\n3")
	})
	to := overHTTP(t, h)
	_, err = to.Call(t.Context(), &message.Message{Route: "cut"})
	assert.EqualError(t, err, `message: reading the answer to "cut": unexpected EOF`)
	assert.NotErrorIs(t, err, message.ErrUndelivered)
	_, err = to.Call(t.Context(), &message.Message{Route: "long"})
	assert.EqualError(t, err, `message: reading the answer to "long": it is longer than 10485760 bytes`)
	stream := func([]byte) error { return nil }
	_, err = to.Call(t.Context(), &message.Message{Route: "longline", Stream: stream})
	assert.EqualError(t, err, `message: reading the answer to "longline": it is longer than 10485760 bytes`)
	var items []int
	for item, err := range message.Stream[int, int](to, "lines")(t.Context(), 0) {
		require.NoError(t, err)
		items = append(items, item)
	}
	assert.Equal(t, []int{1, 2, 3}, items)
	full := errors.New("full")
	_, err = to.Call(t.Context(), &message.Message{Route: "lines", Stream: func([]byte) error { return full }})
	assert.ErrorIs(t, err, full)
}

func TestM07Deadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := kami.New()
		mux.Use("/", message.Deadline)
		mux.Post("/a", func(ctx context.Context, w http.ResponseWriter, _ *http.Request) {
			end, ok := ctx.Deadline()
			if !ok {
				_, _ = io.WriteString(w, "none")
				return
			}
			_, _ = io.WriteString(w, time.Until(end).String())
			<-ctx.Done()
		})
		for text, want := range map[string]string{"": "none", "1.5s": "1.5s", "soon": "none", "-1s": "none"} {
			ctx, cancel := context.WithCancel(t.Context())
			r := httptest.NewRequestWithContext(ctx, "POST", "/a", nil)
			r.Header.Set("Kami-Timeout", text)
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			cancel()
			assert.Equal(t, want, w.Body.String())
		}
		reply := message.Serve(t.Context(), mux, &message.Message{Route: "a", Header: http.Header{"Kami-Timeout": {"2s"}}})
		assert.Equal(t, "2s", string(reply.Body))
	})
}

func TestM07Misuse(t *testing.T) {
	for want, f := range map[string]func(){
		"message: Remote: the Caller must not be nil":            func() { message.Remote[int, int](nil, "a") },
		"message: Stream: the Caller must not be nil":            func() { message.Stream[int, int](nil, "a") },
		"message: Notify: the Caller must not be nil":            func() { _ = message.Notify(t.Context(), nil, "a", 1) },
		"message: Remote: an option must not be nil":             func() { message.Remote[int, int](answering(200, "", ""), "a", nil) },
		"message: Local: the handler must not be nil":            func() { message.Local(nil) },
		"message: HTTP: the URL must not be nil":                 func() { message.HTTP(nil, nil) },
		"message: WithCodec: the codec must not be nil":          func() { message.WithCodec(nil) },
		"message: Window(0): the window must be from 1 to 65536": func() { message.Window(0) },
	} {
		assert.PanicsWithValue(t, want, f)
	}
}

// TestM07LocalLeavesStreamAlone checks that Local does not call Stream after the call has returned at the end of its context, even if the
// handler still writes.
func TestM07LocalLeavesStreamAlone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	returned, done := make(chan struct{}), make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		defer close(done)
		cancel()
		<-returned
		_, _ = io.WriteString(w, "late")
		assert.Error(t, http.NewResponseController(w).Flush())
	})
	_, err := message.Local(h).Call(ctx, &message.Message{Route: "a", Stream: func([]byte) error { t.Error("called late"); return nil }})
	assert.ErrorIs(t, err, context.Canceled)
	close(returned)
	<-done
}

func TestM10DecodesWithTheCodec(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-pointers")
		_, _ = io.WriteString(w, "a")
		w.(http.Flusher).Flush()
		_, _ = io.WriteString(w, "rest")
	})
	var items []string
	for item, err := range message.Stream[string, string](message.Local(h), "a", message.WithCodec(pointers{}))(t.Context(), "x") {
		require.NoError(t, err)
		items = append(items, item)
	}
	assert.Equal(t, []string{`"a"`, `"rest"`}, items)
	for _, err := range message.Stream[string, string](answering(200, "text/html", "<p>"), "a")(t.Context(), "x") {
		assert.ErrorContains(t, err, "no codec")
	}
	for _, err := range message.Stream[string, string](answering(409, "", "taken"), "a")(t.Context(), "x") {
		assert.ErrorIs(t, err, endpoint.Error(409, "taken"))
	}
}

// TestM09EndpointsWithPathParams checks that a Server of package endpoint gets its path params from the route.
func TestM09EndpointsWithPathParams(t *testing.T) {
	type addNote struct {
		User int64  `path:"id"`
		Text string `json:"text"`
	}
	mux := kami.New()
	mux.Post("/users/:id/notes", endpoint.JSON(func(_ context.Context, n addNote) (string, error) { return fmt.Sprint(n.User, n.Text), nil }))
	call := func(route string) (string, error) {
		return message.Remote[map[string]string, string](message.Local(mux), route)(t.Context(), map[string]string{"text": "hi"})
	}
	got, err := call("users.7.notes")
	require.NoError(t, err)
	assert.Equal(t, "7hi", got)
	_, err = call("users.seven.notes")
	assert.ErrorIs(t, err, endpoint.Error(400, `path "id": "seven" is not an integer`))
}
