// Package messagetest tests transports of messages: a message.Caller, and the server on its other side. The same calls have the
// same results over all of them.
package messagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
)

// Suite is a suite of calls.
type Suite struct {
	// Caller returns a Caller of the handler, for the test. What it starts it stops at the test's end.
	Caller func(t *testing.T, h http.Handler) message.Caller
	// Unbounded says that the transport does not count the items of a stream that are under way.
	Unbounded bool
}

// Run runs the suite.
func (s Suite) Run(t *testing.T) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s Suite)
	}{
		{"values", testValues}, {"params", testParams}, {"headers", testHeaders}, {"codec", testCodec},
		{"errors", testErrors}, {"panic", testPanic}, {"deadline", testDeadline}, {"cancellation", testCancellation},
		{"ended", testEnded}, {"notify", testNotify}, {"parallel", testParallel},
		{"stream", testStream}, {"stream errors", testStreamErrors}, {"leaving a stream", testLeaving}, {"window", testWindow},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s) })
	}
}

// newMux returns a Mux whose contexts heed what the caller says.
func newMux() *kami.Mux {
	mux := kami.New()
	mux.Cancel = true
	mux.Use("/", message.Deadline)
	return mux
}

// over returns a Caller of a Mux with one route.
func (s Suite) over(t *testing.T, path string, h kami.HandlerType) message.Caller {
	mux := newMux()
	mux.Post(path, h)
	return s.Caller(t, mux)
}

func equal(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %.500s, want %.500s", fmt.Sprint(got), fmt.Sprint(want))
	}
}

// wait waits for something that comes at once, unless the transport has lost it.
func wait[T any](t *testing.T, c <-chan T) (got T) {
	t.Helper()
	select {
	case got = <-c:
	case <-time.After(time.Minute):
		t.Fatal("it has not come in a minute")
	}
	return got
}

func is(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("got the error %v, want one that is %v", err, target)
	}
}

type value struct {
	Text   string           `json:"text"`
	Number float64          `json:"number"`
	List   []int            `json:"list"`
	Next   *value           `json:"next"`
	Map    map[string]value `json:"map"`
}

func testValues(t *testing.T, s Suite) {
	echo := func(_ context.Context, v *value) (*value, error) { return v, nil }
	call := message.Remote[*value, *value](s.over(t, "/a/echo", endpoint.JSON(echo)), "a.echo")
	for _, want := range []*value{
		{}, {Text: "é <&> \u2028 \n", Number: -1.5}, {List: []int{1, 2}, Next: &value{Text: "next"}},
		{Map: map[string]value{"": {}}}, {Text: strings.Repeat("long ", 100_000)},
	} {
		got, err := call(t.Context(), want)
		is(t, err, nil)
		equal(t, got, want)
	}
	null := func(context.Context, value) (*value, error) { return nil, nil }
	got, err := message.Remote[value, *value](s.over(t, "/null", endpoint.JSON(null)), "null")(t.Context(), value{})
	is(t, err, nil)
	equal(t, got, (*value)(nil))
	empty := s.over(t, "/empty", func(http.ResponseWriter, *http.Request) {})
	got, err = message.Remote[value, *value](empty, "empty")(t.Context(), value{})
	is(t, err, nil)
	equal(t, got, (*value)(nil))
}

func testParams(t *testing.T, s Suite) {
	type addNote struct {
		User string `path:"id"`
		Text string `json:"text"`
	}
	add := func(_ context.Context, n addNote) (string, error) { return n.User + ": " + n.Text, nil }
	to := s.over(t, "/users/:id/notes", endpoint.JSON(add))
	type text struct {
		Text string `json:"text"`
	}
	for route, want := range map[string]string{
		"users.7.notes": "7: hi", "users.a%2Eb%2Fc.notes": "a.b/c: hi", "users.é%20?.notes": "é ?: hi",
	} {
		got, err := message.Remote[text, string](to, route)(t.Context(), text{"hi"})
		is(t, err, nil)
		equal(t, got, want)
	}
}

func testHeaders(t *testing.T, s Suite) {
	to := s.over(t, "/a", func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X-Answer"] = r.Header["X-Question"]
		w.WriteHeader(http.StatusAccepted)
	})
	reply, err := to.Call(t.Context(), &message.Message{Route: "a", Header: http.Header{"X-Question": {"1", "2"}}})
	is(t, err, nil)
	if err == nil {
		equal(t, reply.Status, http.StatusAccepted)
		equal(t, reply.Header["X-Answer"], []string{"1", "2"})
	}
}

// textCodec is a codec of *string.
type textCodec struct{}

func (textCodec) ContentType() string           { return "text/plain" }
func (textCodec) Marshal(v any) ([]byte, error) { return []byte(*v.(*string)), nil }
func (textCodec) Unmarshal(data []byte, v any) error {
	*v.(*string) = "decoded " + string(data)
	return nil
}

func testCodec(t *testing.T, s Suite) {
	to := s.over(t, "/a", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		_, _ = io.Copy(w, r.Body)
	})
	got, err := message.Remote[string, *string](to, "a", message.WithCodec(textCodec{}))(t.Context(), "hi")
	is(t, err, nil)
	if err == nil {
		equal(t, *got, "decoded hi")
	}
}

func testErrors(t *testing.T, s Suite) {
	mux := newMux()
	mux.Post("/coded", func(context.Context, http.ResponseWriter, *http.Request) error { return endpoint.Error(409, "taken") })
	mux.Post("/plain", func(context.Context, http.ResponseWriter, *http.Request) error { return errors.New("secret") })
	mux.Post("/json", endpoint.JSON(func(context.Context, int) (int, error) { return 0, endpoint.Error(403, "no") }))
	mux.Post("/by/hand", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "teapot", http.StatusTeapot) })
	mux.Get("/get", func(http.ResponseWriter, *http.Request) {})
	to := s.Caller(t, mux)
	for route, want := range map[string]error{
		"coded": endpoint.Error(409, "taken"), "plain": endpoint.Error(500, "Internal Server Error"),
		"json": endpoint.Error(403, "no"), "by.hand": endpoint.Error(418, "teapot"),
		"get": endpoint.Error(405, "Method Not Allowed"), "nowhere": endpoint.Error(404, "404 page not found"),
		"": endpoint.Error(400, "message: the route is empty"), "a..b": endpoint.Error(400, `message: route "a..b": a segment is empty`),
	} {
		_, err := message.Remote[int, int](to, route)(t.Context(), 1)
		is(t, err, want)
	}
	_, err := message.Remote[string, int](to, "json")(t.Context(), "x")
	is(t, err, endpoint.Error(400, "a JSON string at offset 3 does not fit"))
}

func testPanic(t *testing.T, s Suite) {
	aborts := true
	mux := newMux()
	mux.PanicHandler = func(_ context.Context, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }
	mux.Post("/panic", func(http.ResponseWriter, *http.Request) {
		if aborts {
			panic("boom")
		}
	})
	call := message.Remote[int, struct{}](s.Caller(t, mux), "panic")
	_, err := call(t.Context(), 1)
	is(t, err, endpoint.Error(503, ""))
	aborts = false
	_, err = call(t.Context(), 1)
	is(t, err, nil)
}

// patient is a handler that says when it begins and when its context ends, and does not answer before it may.
type patient struct{ began, ended, answer chan struct{} }

func newPatient() *patient {
	return &patient{make(chan struct{}), make(chan struct{}), make(chan struct{})}
}

func (p *patient) ServeHTTPContext(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
	close(p.began)
	<-ctx.Done()
	close(p.ended)
	<-p.answer
}

func testDeadline(t *testing.T, s Suite) {
	end := func(ctx context.Context, _ struct{}) (time.Time, error) {
		end, _ := ctx.Deadline()
		return end, nil
	}
	to := s.over(t, "/end", endpoint.JSON(end))
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	got, err := message.Remote[struct{}, time.Time](to, "end")(ctx, struct{}{})
	is(t, err, nil)
	if want, _ := ctx.Deadline(); got.IsZero() || got.Sub(want).Abs() > 30*time.Minute {
		t.Errorf("got the deadline %v, want %v", got, want)
	}

	h := newPatient()
	to = s.over(t, "/a", h)
	cause := errors.New("too slow")
	ctx, cancel = context.WithTimeoutCause(t.Context(), 20*time.Millisecond, cause)
	defer cancel()
	_, err = message.Remote[int, int](to, "a")(ctx, 1)
	is(t, err, context.DeadlineExceeded)
	is(t, err, cause)
	close(h.answer)
}

func testCancellation(t *testing.T, s Suite) {
	h := newPatient()
	to := s.over(t, "/a", h)
	cause := errors.New("never mind")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-h.began
		cancel(cause)
	}()
	_, err := to.Call(ctx, &message.Message{Route: "a"})
	is(t, err, context.Canceled)
	is(t, err, cause)
	wait(t, h.ended)
	close(h.answer)
}

func testEnded(t *testing.T, s Suite) {
	to := s.over(t, "/a", func(http.ResponseWriter, *http.Request) { t.Error("the handler was reached") })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := to.Call(ctx, &message.Message{Route: "a"})
	is(t, err, context.Canceled)
	is(t, err, message.ErrUndelivered)
	is(t, message.Notify(ctx, to, "a", 1), context.Canceled)
}

func testNotify(t *testing.T, s Suite) {
	got := make(chan string, 1)
	to := s.over(t, "/a", func(_ context.Context, _ http.ResponseWriter, r *http.Request) error {
		body, _ := io.ReadAll(r.Body)
		got <- string(bytes.TrimSpace(body))
		return endpoint.Error(409, "which is logged")
	})
	is(t, message.Notify(t.Context(), to, "a", "hi"), nil)
	equal(t, wait(t, got), `"hi"`)
}

func testParallel(t *testing.T, s Suite) {
	call := message.Remote[int, int](s.over(t, "/a", endpoint.JSON(func(_ context.Context, n int) (int, error) { return n + 1, nil })), "a")
	var all sync.WaitGroup
	for n := range 50 {
		all.Go(func() {
			got, err := call(t.Context(), n)
			is(t, err, nil)
			equal(t, got, n+1)
		})
	}
	all.Wait()
}

// counting returns a server of a stream of so many numbers, which then fails with the error unless that is nil.
func counting(err error) kami.HandlerType {
	return endpoint.Stream(func(_ context.Context, n int) (iter.Seq2[int, error], error) {
		if n < 0 {
			return nil, endpoint.Error(400, "negative")
		}
		return func(yield func(int, error) bool) {
			for i := range n {
				if !yield(i, nil) {
					return
				}
			}
			if err != nil {
				yield(0, err)
			}
		}, nil
	})
}

func testStream(t *testing.T, s Suite) {
	to := s.over(t, "/count", counting(nil))
	for _, n := range []int{0, 1, 1000} {
		got := 0
		for item, err := range message.Stream[int, int](to, "count")(t.Context(), n) {
			is(t, err, nil)
			equal(t, item, got)
			got++
		}
		equal(t, got, n)
	}
	whole := s.over(t, "/a", endpoint.JSON(func(context.Context, int) (string, error) { return "whole", nil }))
	var got []string
	for item, err := range message.Stream[int, string](whole, "a")(t.Context(), 1) {
		is(t, err, nil)
		got = append(got, item)
	}
	equal(t, got, []string{"whole"})
}

func testStreamErrors(t *testing.T, s Suite) {
	broken := s.over(t, "/count", counting(errors.New("broken")))
	items, last := 0, error(nil)
	for _, err := range message.Stream[int, int](broken, "count")(t.Context(), 3) {
		if last = err; err == nil {
			items++
		}
	}
	equal(t, items, 3)
	if last == nil {
		t.Error("a stream that breaks ended without an error")
	}
	for _, err := range message.Stream[int, int](broken, "count")(t.Context(), -1) {
		is(t, err, endpoint.Error(400, "negative"))
	}
	for _, err := range message.Stream[int, int](broken, "nowhere")(t.Context(), 1) {
		is(t, err, endpoint.Error(404, "404 page not found"))
	}
	for _, err := range message.Stream[int, string](broken, "count")(t.Context(), 1) {
		if err == nil || !strings.Contains(err.Error(), "decoding an item as string") {
			t.Errorf("got %v for an item of another type", err)
		}
	}
}

// endless returns a server of a stream that says when it has ended.
func endless(ended chan<- struct{}, made *atomic.Int64) kami.HandlerType {
	return endpoint.Stream(func(ctx context.Context, _ int) (iter.Seq2[int64, error], error) {
		return func(yield func(int64, error) bool) {
			defer close(ended)
			for yield(made.Add(1), nil) {
			}
		}, nil
	})
}

func testLeaving(t *testing.T, s Suite) {
	ended := make(chan struct{})
	to := s.over(t, "/count", endless(ended, new(atomic.Int64)))
	for item, err := range message.Stream[int, int64](to, "count")(t.Context(), 1) {
		is(t, err, nil)
		if item == 5 {
			break
		}
	}
	wait(t, ended)

	ended = make(chan struct{})
	to = s.over(t, "/count", endless(ended, new(atomic.Int64)))
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var last error
	for _, err := range message.Stream[int, int64](to, "count")(ctx, 1) {
		cancel(cause)
		last = err
	}
	wait(t, ended)
	is(t, last, cause)
}

func testWindow(t *testing.T, s Suite) {
	if s.Unbounded {
		t.Skip("the transport does not count items")
	}
	for _, window := range []int64{1, 3, 64} {
		ended, made := make(chan struct{}), new(atomic.Int64)
		to := s.over(t, "/count", endless(ended, made))
		for item, err := range message.Stream[int, int64](to, "count", message.Window(int(window)))(t.Context(), 1) {
			is(t, err, nil)
			if ahead := made.Load() - item; ahead > window {
				t.Fatalf("%d items are under way, with a window of %d", ahead, window)
			}
			if item == 3*window {
				break
			}
		}
		wait(t, ended)
	}
}
