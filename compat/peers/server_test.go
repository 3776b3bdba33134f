package peers

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/peer"
	"github.com/guregu/kami/session"
)

const limit = time.Minute // for what comes, but not when

// server is a real server with the methods that clients call.
type server struct {
	*httptest.Server
	sockets *listener

	mu    sync.Mutex
	node  *peer.Node // serves /kite; see replace
	nodes []*peer.Node
	notes []string
	holds map[string]chan struct{} // of calls of hold, closed by release
}

// start starts a server until the test's end. Its Node is named "first".
func start(t *testing.T) *server {
	s := &server{holds: make(map[string]chan struct{})}
	s.replace("first")
	mux := kami.New()
	mux.Get("/kite", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		s.current().ServeHTTPContext(ctx, w, r)
	})
	mux.Get("/refused", func(context.Context, http.ResponseWriter, *http.Request) error {
		return endpoint.Error(http.StatusUnauthorized, "no")
	})
	page(mux)
	s.Server = httptest.NewUnstartedServer(mux)
	s.sockets = &listener{Listener: s.Listener}
	s.Listener = s.sockets
	s.Start()
	t.Cleanup(func() {
		s.mu.Lock()
		nodes := s.nodes
		s.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		for _, n := range nodes {
			_ = n.Sessions.Close(ctx, "the test is over")
			_ = n.Close(ctx)
		}
		s.Close()
	})
	return s
}

// address is the URL of the websocket.
func (s *server) address() string { return "ws" + strings.TrimPrefix(s.URL, "http") + "/kite" }

func (s *server) current() *peer.Node {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.node
}

// replace has another Node accept connections from now on, as at a restart, and returns the one before.
func (s *server) replace(name string) (before *peer.Node) {
	n := &peer.Node{
		Name: name, Version: "1.0.0", Log: slog.New(slog.DiscardHandler),
		Authenticate: authenticate,
		Sessions:     session.Pool{ResumeWithin: limit},
	}
	n.Handler = s.calls(n)
	s.mu.Lock()
	defer s.mu.Unlock()
	before, s.node = s.node, n
	s.nodes = append(s.nodes, n)
	return before
}

type userKey struct{}

// authenticate takes bearers' tokens "secret-of-X".
func authenticate(ctx context.Context, scheme, credential string) (context.Context, error) {
	user, ok := strings.CutPrefix(credential, "secret-of-")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return nil, errors.New("the credential is unknown")
	}
	return context.WithValue(ctx, userKey{}, user), nil
}

// calls returns the methods that clients of the Node call.
func (s *server) calls(n *peer.Node) http.Handler {
	m := kami.New()
	post := func(route string, h kami.HandlerType) { m.Post("/"+route, h) }
	post("node", endpoint.JSON(func(context.Context, struct{}) (string, error) { return n.Name, nil }))
	post("square", endpoint.JSON(func(_ context.Context, x float64) (float64, error) { return x * x, nil }))
	post("echo", endpoint.JSON(func(_ context.Context, v json.RawMessage) (json.RawMessage, error) { return v, nil }))
	post("nothing", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	post("text", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("some text")) })
	post("bytes", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write([]byte{0, 255, 128})
	})
	post("header", func(w http.ResponseWriter, r *http.Request) { _ = json.NewEncoder(w).Encode(r.Header.Get("X-Test")) })
	post("fail", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusConflict)
		_, _ = w.Write([]byte(`{"title":"Conflict","status":409,"detail":"taken","by":"bob"}`))
	})
	post("teapot", func(context.Context, http.ResponseWriter, *http.Request) error {
		return endpoint.Error(http.StatusTeapot, "I am a teapot")
	})
	post("panic", func(http.ResponseWriter, *http.Request) { panic("a test's own") })
	post("whoami", endpoint.JSON(func(ctx context.Context, _ struct{}) (string, error) {
		user, _ := ctx.Value(userKey{}).(string)
		return user, nil
	}))

	post("note", endpoint.JSON(func(_ context.Context, text string) (struct{}, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.notes = append(s.notes, text)
		return struct{}{}, nil
	}))
	post("notes", s.list(&s.notes))
	post("wait", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) error {
		<-ctx.Done()
		return ctx.Err()
	})
	post("hold", endpoint.JSON(func(ctx context.Context, name string) (string, error) {
		select {
		case <-s.held(name):
			return "held by " + n.Name, session.FromContext(ctx).Push(ctx, "tick", 7)
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}))
	post("release", endpoint.JSON(func(_ context.Context, name string) (struct{}, error) {
		close(s.held(name))
		return struct{}{}, nil
	}))

	post("call", endpoint.JSON(callBack))
	post("push", endpoint.JSON(push))
	post("say", endpoint.JSON(func(ctx context.Context, r back) (struct{}, error) {
		return struct{}{}, session.FromContext(ctx).Push(ctx, r.Method, r.Value)
	}))
	post("count", endpoint.Stream(func(_ context.Context, n int) (iter.Seq2[int, error], error) {
		return func(yield func(int, error) bool) {
			for i := range n {
				if !yield(i, nil) {
					return
				}
			}
		}, nil
	}))
	post("kick", endpoint.JSON(func(ctx context.Context, reason string) (struct{}, error) {
		return struct{}{}, session.FromContext(ctx).Kick(ctx, reason)
	}))
	ethereum(post)
	post("restart", func(http.ResponseWriter, *http.Request) { // the Node's connections are told to go, and to come back
		s.replace("second")
		go func() { _ = n.Close(context.Background()) }()
	})
	post("cut", endpoint.JSON(func(ctx context.Context, r pushes) (struct{}, error) {
		s.sockets.cut()
		<-ctx.Done() // so the server knows
		_, err := push(context.WithoutCancel(ctx), r)
		return struct{}{}, err
	}))
	return m
}

func (s *server) list(texts *[]string) kami.HandlerType {
	return endpoint.JSON(func(context.Context, struct{}) ([]string, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return append([]string{}, *texts...), nil
	})
}

func (s *server) held(name string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holds[name] == nil {
		s.holds[name] = make(chan struct{})
	}
	return s.holds[name]
}

// pushes asks for the pushes From to To - 1, by the method "tick" or the given one.
type pushes struct {
	From, To int
	Method   string
}

func push(ctx context.Context, r pushes) (struct{}, error) {
	s := session.FromContext(ctx)
	if r.Method == "" {
		r.Method = "tick"
	}
	for i := r.From; i < r.To; i++ {
		if err := s.Push(ctx, r.Method, i); err != nil {
			return struct{}{}, err
		}
	}
	return struct{}{}, nil
}

// back asks the server to call a method of the client, or to push to it. It may limit the call to some milliseconds.
type back struct {
	Method  string
	Value   json.RawMessage
	Timeout int
}

type backAnswer struct {
	Status int             `json:"status"`
	Body   json.RawMessage `json:"body"`
}

// callBack calls its caller, and returns the caller's answer.
func callBack(ctx context.Context, r back) (backAnswer, error) {
	conn := peer.FromContext(ctx)
	if r.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(r.Timeout)*time.Millisecond)
		defer cancel()
	}
	reply, err := conn.Call(ctx, &message.Message{Route: r.Method, Body: r.Value})
	if errors.Is(err, context.DeadlineExceeded) {
		return backAnswer{}, endpoint.Error(http.StatusGatewayTimeout, "no answer")
	}
	if err != nil {
		return backAnswer{}, err
	}
	body := json.RawMessage(reply.Body)
	if !json.Valid(body) {
		body, _ = json.Marshal(string(reply.Body))
	}
	return backAnswer{reply.Status, body}, nil
}

// listener can cut its connections.
type listener struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.conns = append(l.conns, conn)
	}
	return conn, err
}

// cut resets the connections that have been made.
func (l *listener) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range l.conns {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
	l.conns = nil
}

// TestServer checks that the server above works for kami's own client, so that other failures are the other clients'.
func TestServer(t *testing.T) {
	client := &peer.Node{Name: "client", Version: "1.0.0"}
	conn, err := client.Dial(t.Context(), start(t).address())
	require.NoError(t, err)
	defer conn.Close()
	got, err := message.Remote[float64, float64](conn, "square")(t.Context(), 4)
	require.NoError(t, err)
	require.Equal(t, 16.0, got)
}
