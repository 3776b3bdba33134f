package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/guregu/kami"
	"github.com/guregu/kami/cluster"
	"github.com/guregu/kami/cluster/embed"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
)

// held is a handler that sends to began when it begins, and returns when answer is closed or its context ends.
type held struct{ began, answer chan struct{} }

func newHeld() *held { return &held{make(chan struct{}, 10_000), make(chan struct{})} }

func (h *held) ServeHTTPContext(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
	h.began <- struct{}{}
	select {
	case <-h.answer:
	case <-ctx.Done():
	}
}

// log is a buffer for log records that goroutines can share.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *log) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func TestD07Queue(t *testing.T) {
	h := newHeld()
	server := startNATS(t, embed.Options{})
	s := join(t, connect(t, server), cluster.Config{Type: "room", Concurrent: 2, Queue: 3, Remotes: newMux("/room/a", h)})
	const calls = 20
	statuses := make(chan int, calls)
	for range calls {
		go func() {
			reply, err := s.Call(context.Background(), &message.Message{Route: "room.a"})
			if err != nil {
				t.Error(err)
				reply = &message.Reply{}
			}
			statuses <- reply.Status
		}()
	}
	for range calls - 5 { // refused at once, while the other five run or wait
		if got := wait(t, statuses); got != 429 {
			t.Fatalf("got %d, want 429", got)
		}
	}
	wait(t, h.began)
	wait(t, h.began)
	select {
	case <-h.began:
		t.Error("more are handled at a time than may be")
	default:
	}
	close(h.answer)
	for range 5 {
		if got := wait(t, statuses); got != 200 {
			t.Errorf("got %d, want 200", got)
		}
	}
}

func TestD07NotificationsDropped(t *testing.T) {
	h, said := newHeld(), new(log)
	server := startNATS(t, embed.Options{})
	s := join(t, connect(t, server), cluster.Config{Type: "room", Concurrent: 1, Queue: 1, Remotes: newMux("/room/a", h), Log: said.logger()})
	for range 3 {
		noError(t, message.Notify(t.Context(), s, "room.a", 1))
	}
	until(t, "the log line of what was dropped", func() bool { return strings.Contains(said.String(), "a notification was dropped") })
	close(h.answer)
	mux := newMux("/room/fails", func(context.Context, http.ResponseWriter, *http.Request) error { return endpoint.Error(409, "taken") })
	b := join(t, connect(t, server), cluster.Config{Type: "b", Remotes: mux, Log: said.logger()})
	knows(t, s, "b", 1)
	noError(t, message.Notify(t.Context(), s.To(b.ID()), "room.fails", 1))
	until(t, "the log line of what failed", func() bool { return strings.Contains(said.String(), "a notification failed") })
}

func TestD07Timeouts(t *testing.T) {
	ends := make(chan error, 10)
	mux := newMux("/room/a", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
		<-ctx.Done()
		ends <- ctx.Err()
	})
	server := startNATS(t, embed.Options{})
	quick := join(t, connect(t, server), cluster.Config{Type: "quick", Timeout: 30 * time.Millisecond, Remotes: mux})
	slow := join(t, connect(t, server), cluster.Config{Type: "room", Timeout: time.Hour, Remotes: mux})

	// The caller's Timeout ends a call without a deadline, and the context of its handler.
	if _, err := quick.Call(context.Background(), &message.Message{Route: "room.a"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if err := wait(t, ends); !errors.Is(err, context.Canceled) {
		t.Errorf("the handler's context ended with %v", err)
	}
	// The callee's Timeout ends the context of its handler.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if _, err := slow.To(quick.ID()).Call(ctx, &message.Message{Route: "room.a"}); err != nil {
		t.Errorf("got %v", err)
	}
	if err := wait(t, ends); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the handler's context ended with %v", err)
	}
}

func TestD07Waited(t *testing.T) {
	h := newHeld()
	server := startNATS(t, embed.Options{})
	mux := newMux("/room/hold", h)
	ran := make(chan struct{}, 1)
	mux.Post("/room/run", func(http.ResponseWriter, *http.Request) { ran <- struct{}{} })
	s := join(t, connect(t, server), cluster.Config{Type: "room", Concurrent: 1, Remotes: mux})
	go func() { _, _ = s.Call(context.Background(), &message.Message{Route: "room.hold"}) }()
	wait(t, h.began)
	for _, route := range []string{"room.run", "room.nothing"} { // while the second call waits, the cancellation of the first one arrives
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if _, err := s.Call(ctx, &message.Message{Route: route}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	}
	close(h.answer)
	_, err := s.Call(context.Background(), &message.Message{Route: "room.nothing"})
	noError(t, err)
	select {
	case <-ran:
		t.Error("a call ran whose time was over before its turn came")
	default:
	}
}

func TestD07CancelTravels(t *testing.T) {
	server := startNATS(t, embed.Options{})
	ended := make(chan error, 1)
	began := make(chan struct{})
	last := join(t, connect(t, server), cluster.Config{Type: "last", Remotes: newMux("/last/a", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
		close(began)
		<-ctx.Done()
		ended <- context.Cause(ctx)
	})})
	middle := join(t, connect(t, server), cluster.Config{Type: "middle", Remotes: named("/x", "")})
	mux := newMux("/first/a", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
		_, _ = middle.Call(ctx, &message.Message{Route: "last.a"})
	})
	first := join(t, connect(t, server), cluster.Config{Type: "first", Remotes: mux})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-began
		cancel()
	}()
	if _, err := last.Call(ctx, &message.Message{Route: "first.a"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := wait(t, ended); !errors.Is(err, context.Canceled) {
		t.Errorf("the last handler's context ended with %v", err)
	}
	_ = first
}

func TestD07OwnTimeout(t *testing.T) {
	server := startNATS(t, embed.Options{})
	left := make(chan time.Duration, 1)
	room := join(t, connect(t, server), cluster.Config{Type: "room", Remotes: newMux("/room/a", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
		end, _ := ctx.Deadline()
		left <- time.Until(end)
	})})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
	defer cancel()
	for own, want := range map[string]time.Duration{"": 3 * time.Hour, "1h": time.Hour, "5h": 3 * time.Hour} {
		m := &message.Message{Route: "room.a"}
		if own != "" {
			m.Header = http.Header{"Kami-Timeout": {own}}
		}
		_, err := room.Call(ctx, m)
		noError(t, err)
		if got := wait(t, left); got > want || got < want-30*time.Minute {
			t.Errorf("%q: got %v, want %v", own, got, want)
		}
	}
	reply, err := room.Call(ctx, &message.Message{Route: "room.a", Header: http.Header{"Kami-Timeout": {"soon"}}})
	if err != nil || reply.Status != 400 {
		t.Errorf("got %v, %v, want 400", reply, err)
	}
}

func TestGoexitIsA500(t *testing.T) {
	server := startNATS(t, embed.Options{})
	mux := newMux("/room/exit", func(http.ResponseWriter, *http.Request) { runtime.Goexit() })
	mux.Post("/room/panic", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	s := join(t, connect(t, server), cluster.Config{Type: "room", Concurrent: 1, Remotes: mux})
	for range 3 {
		for _, route := range []string{"room.exit", "room.panic"} {
			reply, err := s.Call(t.Context(), &message.Message{Route: route})
			if err != nil || reply.Status != 500 {
				t.Fatalf("%s: got %v, %v, want 500", route, reply, err)
			}
		}
	}
}

func TestD12Sizes(t *testing.T) {
	server := startNATS(t, embed.Options{})
	ran := new(atomic.Int32)
	mux := newMux("/room/size", endpoint.JSON(func(_ context.Context, n int) (string, error) {
		ran.Add(1)
		return strings.Repeat("x", n), nil
	}))
	mux.Post("/room/header", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("x", 2<<20))
	})
	nc := connect(t, server)
	s := join(t, nc, cluster.Config{Type: "room", Remotes: mux})
	max := int(nc.MaxPayload())
	for name, m := range map[string]*message.Message{
		"body":         {Route: "room.size", Body: make([]byte, max+1)},
		"with headers": {Route: "room.size", Body: make([]byte, max), Header: http.Header{"X": {"1"}}},
	} {
		_, err := s.Call(t.Context(), m)
		var coder endpoint.StatusCoder
		if !errors.As(err, &coder) || coder.StatusCode() != 413 || errors.Is(err, message.ErrUndelivered) {
			t.Errorf("%s: got %v, want an error with 413", name, err)
		}
	}
	if ran.Load() != 0 {
		t.Error("a message that is too large was sent")
	}
	reply, err := s.Call(t.Context(), &message.Message{Route: "room.size", Body: fmt.Append(nil, max)})
	if err != nil || reply.Status != 500 || !strings.Contains(string(reply.Body), "larger than the 1048576 that NATS takes") {
		t.Errorf("got %.200v, %v", reply, err)
	}
	reply, err = s.Call(t.Context(), &message.Message{Route: "room.header"})
	if err != nil || reply.Status != 500 || !strings.Contains(string(reply.Body), "larger than") {
		t.Errorf("headers: got %.200v, %v", reply, err)
	}
}

func TestD15Headers(t *testing.T) {
	server := startNATS(t, embed.Options{})
	got := make(chan http.Header, 1)
	var answer func(http.ResponseWriter)
	mux := newMux("/room/a", func(w http.ResponseWriter, r *http.Request) {
		got <- r.Header
		answer(w)
	})
	s := join(t, connect(t, server), cluster.Config{Type: "room", Remotes: mux})

	t.Run("an answer's own", func(t *testing.T) {
		want := http.Header{"Status": {"503"}, "Description": {"No Responders"}, "Nats-Service-Error-Code": {"400"}, "Kami-Status": {"201"}, "X": {"1", "2"}, "Content-Type": {"a/b"}}
		answer = func(w http.ResponseWriter) {
			for name, values := range want {
				w.Header()[name] = values
			}
		}
		reply, err := s.Call(t.Context(), &message.Message{Route: "room.a"})
		if err != nil || reply.Status != 200 || fmt.Sprint(reply.Header) != fmt.Sprint(want) {
			t.Errorf("got %v, %v", reply, err)
		}
		<-got
	})
	t.Run("only a status of NATS's", func(t *testing.T) {
		answer = func(w http.ResponseWriter) { w.Header()["Status"] = []string{"503"} }
		reply, err := s.Call(t.Context(), &message.Message{Route: "room.a"})
		if err != nil || reply.Status != 200 || len(s.Instances("room")) != 1 {
			t.Errorf("got %v, %v", reply, err)
		}
		<-got
	})
	t.Run("a name that is none", func(t *testing.T) {
		for _, name := range []string{"bad name", "", "a:b", "é", "a\r\nb"} {
			answer = func(w http.ResponseWriter) { w.Header()[name] = []string{"x"} }
			reply, err := s.Call(t.Context(), &message.Message{Route: "room.a"})
			if err != nil || reply.Status != 500 {
				t.Errorf("%q: got %v, %v, want 500", name, reply, err)
			}
			<-got
			_, err = s.Call(t.Context(), &message.Message{Route: "room.a", Header: http.Header{name: {"x"}}})
			var coder endpoint.StatusCoder
			if !errors.As(err, &coder) || coder.StatusCode() != 400 {
				t.Errorf("%q in a request: got %v, want an error with 400", name, err)
			}
		}
	})
	t.Run("statuses and bodies", func(t *testing.T) {
		for _, status := range []int{200, 201, 204, 304, 400, 404, 503, 599, 999} {
			for _, body := range []string{"", "text"} {
				answer = func(w http.ResponseWriter) {
					w.WriteHeader(status)
					_, _ = w.Write([]byte(body))
				}
				want := message.Serve(t.Context(), mux, &message.Message{Route: "room.a"})
				<-got
				reply, err := s.Call(t.Context(), &message.Message{Route: "room.a"})
				<-got
				if err != nil || reply.Status != want.Status || string(reply.Body) != string(want.Body) || len(reply.Header) != len(want.Header) {
					t.Errorf("%d %q: got %+v, %v, want %+v", status, body, reply, err, want)
				}
			}
		}
	})
	answer = func(http.ResponseWriter) {}
	t.Run("a request's own", func(t *testing.T) {
		header := http.Header{"Status": {"503"}, "Nats-Msg-Id": {"1"}, "Kami-Status": {"400"}, "Kami-Session": {"{}"}, "X": {"1"}}
		_, err := s.Call(context.Background(), &message.Message{Route: "room.a", Header: header})
		if r := <-got; err != nil || fmt.Sprint(r) != fmt.Sprint(header) {
			t.Errorf("got %v, %v", r, err)
		}
	})
	t.Run("spelling", func(t *testing.T) {
		nc := connect(t, server)
		wire := messages(t, nc, "kami.r.room.a")
		_, err := s.Call(t.Context(), &message.Message{Route: "room.a", Header: http.Header{"x-mIXed": {"1"}}})
		noError(t, err)
		if r := <-got; r.Get("X-Mixed") != "1" {
			t.Errorf("got %v", r)
		}
		if m := wait(t, wire); m.Header["x-mIXed"] == nil {
			t.Errorf("on the wire: got %v", m.Header)
		}
		m := &nats.Msg{Subject: "kami.r.room.a", Data: []byte("x"), Header: nats.Header{"content-type": {"text/plain"}, "Kami-Timeout": {"nonsense"}}}
		answered, err := nc.RequestMsg(m, patience)
		if err != nil || answered.Header.Get("Nats-Service-Error-Code") != "400" {
			t.Errorf("a Kami-Timeout that is none: got %v, %v", answered, err)
		}
		delete(m.Header, "Kami-Timeout")
		_, err = nc.RequestMsg(m, patience)
		noError(t, err)
		if r := <-got; r.Get("Content-Type") != "text/plain" {
			t.Errorf("got %v", r)
		}
	})
}

func TestD15Listeners(t *testing.T) {
	server := startNATS(t, embed.Options{})
	messages(t, connect(t, server), ">")
	s := join(t, connect(t, server), cluster.Config{Type: "room", Timeout: time.Hour})
	for name, to := range map[string]message.Caller{"by type": s, "by id": s.To("nobody")} {
		if _, err := to.Call(context.Background(), &message.Message{Route: "nothing.a"}); !errors.Is(err, cluster.ErrNoServer) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestD15Subjects(t *testing.T) {
	server := startNATS(t, embed.Options{})
	nc := connect(t, server)
	s := join(t, nc, cluster.Config{Type: "room", Remotes: kami.New()})
	for _, route := range []string{"room." + strings.Repeat("x", 5000), "room.." + strings.Repeat(".x", 10)} {
		reply, err := s.Call(t.Context(), &message.Message{Route: route})
		if err != nil || reply.Status != 400 {
			t.Errorf("got %v, %v", reply, err)
		}
	}
	if !nc.IsConnected() || nc.Reconnects != 0 {
		t.Error("the connection was lost")
	}
}

func TestForeignMessages(t *testing.T) {
	said := new(log)
	server := startNATS(t, embed.Options{})
	s := join(t, connect(t, server), cluster.Config{Type: "room", ID: "a", Remotes: named("/room/name", "a"), Log: said.logger()})
	nc := connect(t, server)
	for _, subject := range []string{
		"kami.p.x", "kami.p.room.a", "kami.p.room.b", "kami.c.room", "kami.r.room.%zz", "kami.r.room.a%", "kami.r.room.%", "kami.h.room.x",
		"kami.to.a.r.", "kami.to.a.r.%", "kami.r.room." + strings.Repeat("x", 3000), "$SRV.PING", "$SRV.INFO.room",
	} {
		for _, data := range []string{"", "null", "[]", "nonsense", `{"id":"a.b","type":"*"}`, `{"id":"a","type":"room","version":7}`, "\xff"} {
			for _, header := range []nats.Header{nil, {"Status": {"503"}}, {"Kami-Session": {"nonsense"}}, {"Kami-Stream": {"-1"}}, {"Kami-Timeout": {"-1s"}}, {"Kami-Returns": {"x"}}} {
				m := &nats.Msg{Subject: subject, Data: []byte(data), Header: header}
				noError(t, nc.PublishMsg(m))
				m.Reply = nc.NewInbox()
				noError(t, nc.PublishMsg(m))
			}
		}
	}
	noError(t, nc.Flush())
	if got, err := ask(t, s, "room.name"); err != nil || got != "a" {
		t.Errorf("got %q, %v", got, err)
	}
	if got := s.Instances("room"); len(got) != 1 {
		t.Errorf("the view has %v", got)
	}
}
