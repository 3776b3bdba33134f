package load_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/internal/load"
)

// ok is an answer of HTTP/1.1.
const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// each runs a test with each of the modes.
func each(t *testing.T, test func(t *testing.T, mode load.Mode)) {
	for mode := load.KeepAlive; mode <= load.H2C; mode++ {
		t.Run(mode.String(), func(t *testing.T) { test(t, mode) })
	}
}

// serve serves a handler and returns how to load it in that mode.
func serve(t *testing.T, mode load.Mode, handler http.HandlerFunc) load.Config {
	s := httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	c := load.Config{Mode: mode}
	switch mode {
	case load.HTTP2:
		s.EnableHTTP2 = true
		s.StartTLS()
		c.TLS = &tls.Config{RootCAs: s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	case load.H2C:
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		s.Start()
	default:
		s.Start()
	}
	t.Cleanup(s.Close)
	c.Address = s.Listener.Addr().String()
	return c
}

// script calls play with each connection to a listener, one after the other, and closes it. It returns how to load the listener. The
// channel gets a value for each closed connection.
func script(t *testing.T, mode load.Mode, play func(net.Conn)) (load.Config, <-chan struct{}) {
	l := listen(t)
	closed := make(chan struct{}, 100)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			play(conn)
			conn.Close()
			closed <- struct{}{}
		}
	}()
	return load.Config{Mode: mode, Address: l.Addr().String()}, closed
}

func listen(t *testing.T) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// readRequest reads a whole request, because closing a connection with unread bytes resets it.
func readRequest(conn net.Conn) {
	request, err := http.ReadRequest(bufio.NewReader(conn))
	if err == nil {
		_, _ = io.Copy(io.Discard, request.Body)
	}
}

// after returns a function whose n-th call ends the context.
func after(t *testing.T, n int64) (ctx context.Context, called func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var calls atomic.Int64
	return ctx, func() {
		if calls.Add(1) == n {
			cancel()
		}
	}
}

// pausing returns a context that ends when a client pauses for the first time.
func pausing(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	return untilDone{ctx, cancel}
}

// untilDone is a context that ends when its Done is called.
type untilDone struct {
	context.Context
	end context.CancelFunc
}

func (u untilDone) Done() <-chan struct{} {
	u.end()
	return u.Context.Done()
}

func run(t *testing.T, ctx context.Context, c load.Config) load.Result {
	result, err := load.Run(ctx, c)
	require.NoError(t, err)
	assert.Len(t, result.Failures, min(result.Failed, 20))
	return result
}

func TestAllAnswered(t *testing.T) {
	each(t, func(t *testing.T, mode load.Mode) {
		const clients, enough = 8, 200
		var ids sync.Map
		c := serve(t, mode, func(w http.ResponseWriter, r *http.Request) {
			id := r.Header.Get(load.IDHeader)
			_, twice := ids.LoadOrStore(id, true)
			assert.False(t, twice, "the id %q has come twice", id)
			assert.Equal(t, "/path?query", r.RequestURI)
			assert.Equal(t, mode == load.NewConnection, r.Close)
			body, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			if r.Method == http.MethodPost {
				assert.Equal(t, id, string(body))
			}
			w.(http.Flusher).Flush() // that is, chunked
			_, _ = io.WriteString(w, id)
		})
		ctx, answered := after(t, enough)
		c.Path, c.Clients, c.Think = "/path?query", clients, 100*time.Microsecond
		c.Check = func(id, body string) error {
			answered()
			if id != body {
				return errors.New("another request's answer")
			}
			return nil
		}
		result := run(t, ctx, c)
		assert.Zero(t, result.Failed, result)
		assert.GreaterOrEqual(t, result.Answered, enough)
		assert.Less(t, result.Answered, enough+clients)
		assert.Positive(t, result.Slowest)
		switch mode {
		case load.KeepAlive, load.KeepAliveLooking:
			assert.Equal(t, clients, result.Connections)
		case load.NewConnection:
			assert.Equal(t, result.Answered, result.Connections)
		default:
			assert.Positive(t, result.Connections)
		}
		assert.Zero(t, result.Moved)
	})
}

func TestRequestsInFlightFinish(t *testing.T) {
	each(t, func(t *testing.T, mode load.Mode) {
		began, release := make(chan struct{}), make(chan struct{})
		c := serve(t, mode, func(http.ResponseWriter, *http.Request) {
			close(began) // panics if there is another request
			<-release
		})
		ctx, cancel := context.WithCancel(t.Context())
		results := make(chan load.Result)
		go func() {
			result, _ := load.Run(ctx, c)
			results <- result
		}()
		<-began
		cancel()
		select {
		case result := <-results:
			t.Error("it has not waited for the request:", result)
		default:
		}
		close(release)
		result := <-results
		assert.Equal(t, 1, result.Answered)
		assert.Zero(t, result.Failed, result)
	})
}

func TestFailures(t *testing.T) {
	handlers := map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"status":   {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "oh", 500) }, `status "500 Internal Server Error": "oh\n"`},
		"redirect": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) }, `status "302 Found"`},
		"body":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ko") }, `wrong body: "ko"`},
		"short body": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "ok")
		}, "in the body of the answer, after 2 bytes: "},
		"aborted body": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "ok")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, "in the body of the answer, after 2 bytes: "},
		"aborted": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, ""},
		"limit": {func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}, "the limit of 100ms is exceeded: "},
	}
	for name, test := range handlers {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, mode load.Mode) {
				t.Parallel()
				ctx, came := after(t, 1)
				c := serve(t, mode, func(w http.ResponseWriter, r *http.Request) {
					came()
					test.handler(w, r)
				})
				if name == "limit" { // which may come before the handler
					c.Limit, c.Think = 100*time.Millisecond, time.Hour
					ctx = pausing(t)
				}
				c.Check = wantOK
				mustFail(t, ctx, c, test.want)
			})
		})
	}
}

// TestFailuresOfHTTP1 has servers make mistakes that net/http's does not make.
func TestFailuresOfHTTP1(t *testing.T) {
	bare := []load.Mode{load.KeepAlive, load.KeepAliveLooking, load.NewConnection}
	all := append(bare, load.TransportPost)
	for name, test := range map[string]struct {
		answer, want string
		modes        []load.Mode
	}{
		"nothing":        {"", "EOF", all},
		"half a line":    {"HTTP/1.1 20", "malformed HTTP", all},
		"no answer":      {"ok\r\n\r\n", "malformed HTTP", all},
		"half a header":  {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", "EOF", all},
		"short body":     {ok[:len(ok)-1], "after 1 bytes: unexpected EOF", all},
		"no last chunk":  {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", "after 2 bytes: unexpected EOF", all},
		"no length":      {"HTTP/1.1 200 OK\r\n\r\nok", "without a length", all},
		"closing":        {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok", "without a length", all},
		"HTTP/1.0":       {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", `protocol "HTTP/1.0"`, all},
		"long body":      {ok + "!", "nobody asked for", bare},
		"another answer": {ok + ok, "nobody asked for", bare},
	} {
		for _, mode := range test.modes {
			t.Run(fmt.Sprint(name, "/", mode), func(t *testing.T) {
				ctx, came := after(t, 1)
				c, _ := script(t, mode, func(conn net.Conn) {
					readRequest(conn)
					came()
					_, _ = io.WriteString(conn, test.answer)
				})
				c.Check = wantOK
				mustFail(t, ctx, c, test.want)
			})
		}
	}
}

func TestReset(t *testing.T) {
	for mode := load.KeepAlive; mode <= load.TransportPost; mode++ {
		t.Run(mode.String(), func(t *testing.T) {
			ctx, came := after(t, 1)
			c, _ := script(t, mode, func(conn net.Conn) {
				readRequest(conn)
				came()
				_ = conn.(*net.TCPConn).SetLinger(0)
			})
			mustFail(t, ctx, c, "")
		})
	}
}

// TestRefused also checks that the pause ends with the context.
func TestRefused(t *testing.T) {
	each(t, func(t *testing.T, mode load.Mode) {
		t.Parallel()
		l := listen(t)
		l.Close()
		c := load.Config{Mode: mode, Address: l.Addr().String(), Think: time.Hour}
		if mode == load.HTTP2 {
			c.TLS = new(tls.Config)
		}
		result := run(t, pausing(t), c)
		assert.Equal(t, 1, result.Failed)
		assert.Zero(t, result.Answered+result.Connections)
	})
}

func wantOK(_, body string) error {
	if body != "ok" {
		return fmt.Errorf("%q", body)
	}
	return nil
}

// mustFail expects that there is one request, and that it fails.
func mustFail(t *testing.T, ctx context.Context, c load.Config, want string) {
	result := run(t, ctx, c)
	assert.Equal(t, 1, result.Failed)
	assert.Zero(t, result.Answered)
	assert.Zero(t, result.Slowest)
	assert.Regexp(t, "^"+c.Mode.String()+`: client 0, \S+ into the run, 0 served before, after \S+: .`, result.Failures[0])
	assert.Contains(t, result.Failures[0], want)
}

func TestFirstFailures(t *testing.T) {
	ctx, came := after(t, 30)
	result := run(t, ctx, serve(t, load.KeepAlive, func(w http.ResponseWriter, _ *http.Request) {
		came()
		http.Error(w, "no", http.StatusServiceUnavailable)
	}))
	assert.Equal(t, 30, result.Failed)
	assert.Len(t, result.Failures, 20)
}

// TestUnannouncedClose has the server close each connection after an answer that does not say so, and the client wait
// for that before its next request.
func TestUnannouncedClose(t *testing.T) {
	for mode, want := range map[load.Mode]load.Result{
		load.KeepAlive:        {Answered: 3, Failed: 2, Connections: 3},
		load.KeepAliveLooking: {Answered: 3, Failed: 0, Connections: 3},
		load.NewConnection:    {Answered: 3, Failed: 0, Connections: 3},
	} {
		t.Run(mode.String(), func(t *testing.T) {
			c, closed := script(t, mode, func(conn net.Conn) {
				readRequest(conn)
				_, _ = io.WriteString(conn, ok)
			})
			ctx, answered := after(t, 3)
			c.Check = func(string, string) error {
				<-closed
				answered()
				return nil
			}
			result := run(t, ctx, c)
			for _, failure := range result.Failures {
				assert.Contains(t, failure, " 1 served before")
			}
			result.Failures, result.Slowest = nil, 0
			assert.Equal(t, want, result)
		})
	}
}

// TestAnswerNobodyAskedFor has the server send another answer after the client has read the first one.
func TestAnswerNobodyAskedFor(t *testing.T) {
	read, sent := make(chan struct{}), make(chan struct{})
	c, _ := script(t, load.KeepAliveLooking, func(conn net.Conn) {
		readRequest(conn)
		_, _ = io.WriteString(conn, ok)
		<-read
		_, _ = io.WriteString(conn, ok)
		sent <- struct{}{}
	})
	ctx, answered := after(t, 2)
	c.Check = func(string, string) error {
		read <- struct{}{}
		<-sent
		answered()
		return nil
	}
	result := run(t, ctx, c)
	assert.Equal(t, 2, result.Answered)
	assert.Equal(t, 2, result.Connections)
	require.Equal(t, 1, result.Failed)
	assert.Contains(t, result.Failures[0], "nobody asked for")
}

func TestAnnouncedClose(t *testing.T) {
	for mode := load.KeepAlive; mode <= load.TransportPost; mode++ {
		t.Run(mode.String(), func(t *testing.T) {
			ctx, came := after(t, 5)
			result := run(t, ctx, serve(t, mode, func(w http.ResponseWriter, _ *http.Request) {
				came()
				w.Header().Set("Connection", "close")
			}))
			assert.Zero(t, result.Failed, result)
			assert.Equal(t, 5, result.Answered)
			assert.Equal(t, 5, result.Connections)
		})
	}
}

// TestGoAway has the server say that it has not begun a request that was sent completely.
func TestGoAway(t *testing.T) {
	for rewind, want := range map[bool]load.Result{
		false: {Answered: 1, Failed: 1, Connections: 2},
		true:  {Answered: 1, Moved: 1, Connections: 2},
	} {
		t.Run(fmt.Sprint("rewind ", rewind), func(t *testing.T) {
			l := listen(t)
			server := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
			server.Protocols.SetUnencryptedHTTP2(true)
			defer server.Close()
			go func() {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				goAway(conn)
				_ = server.Serve(l)
			}()
			ctx, answered := after(t, 1)
			result := run(t, ctx, load.Config{Mode: load.H2C, Address: l.Addr().String(), Rewind: rewind, Check: func(string, string) error {
				answered()
				return nil
			}})
			for _, failure := range result.Failures {
				assert.Contains(t, failure, "GOAWAY")
			}
			result.Failures, result.Slowest = nil, 0
			assert.Equal(t, want, result)
		})
	}
}

// goAway sends SETTINGS and, after the first frame of DATA, GOAWAY with NO_ERROR and no stream begun.
func goAway(conn net.Conn) {
	_, _ = conn.Write([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0})
	in := bufio.NewReader(conn)
	_, err := in.Discard(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	for header := make([]byte, 9); err == nil; {
		if _, err = io.ReadFull(in, header); err == nil {
			_, err = in.Discard(int(binary.BigEndian.Uint32(header) >> 8))
		}
		if header[3] == 0 {
			break
		}
	}
	_, _ = conn.Write([]byte{0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
}

func TestConfig(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		config load.Config
		want   string // none means that there is no error
	}{
		{load.Config{Address: "127.0.0.1:80"}, ""},
		{load.Config{Address: "127.1.2.3:80", Path: "/a/b?c=d", Mode: load.TransportPost}, ""},
		{load.Config{Address: "[::1]:80", Mode: load.HTTP2, TLS: new(tls.Config), Rewind: true}, ""},
		{load.Config{Address: "192.0.2.1:80"}, `load: "192.0.2.1:80" is not a loopback address`},
		{load.Config{Address: "0.0.0.0:80"}, `load: "0.0.0.0:80" is not a loopback address`},
		{load.Config{Address: "[::]:80"}, `load: "[::]:80" is not a loopback address`},
		{load.Config{Address: "localhost:80"}, "load: address: "},
		{load.Config{Address: "127.0.0.1"}, "load: address: "},
		{load.Config{}, "load: address: "},
		{load.Config{Address: "127.0.0.1:80", Path: "a"}, `load: "a" is not a path`},
		{load.Config{Address: "127.0.0.1:80", Path: "http://127.0.0.1/"}, `load: "http://127.0.0.1/" is not a path`},
		{load.Config{Address: "127.0.0.1:80", Path: "/ HTTP/1.1\r\n"}, "is not a path"},
		{load.Config{Address: "127.0.0.1:80", Mode: 6}, "load: there is no Mode(6)"},
		{load.Config{Address: "127.0.0.1:80", Mode: -1}, "load: there is no Mode(-1)"},
		{load.Config{Address: "127.0.0.1:80", Mode: load.HTTP2}, "load: TLS must be set for HTTP2 and for nothing else"},
		{load.Config{Address: "127.0.0.1:80", TLS: new(tls.Config)}, "load: TLS must be set for HTTP2 and for nothing else"},
		{load.Config{Address: "127.0.0.1:80", Mode: load.TransportPost, Rewind: true}, "load: TransportPost cannot have Rewind"},
		{load.Config{Address: "127.0.0.1:80", Clients: -1}, "load: no number may be negative"},
	} {
		result, err := load.Run(ended, test.config)
		assert.Zero(t, result)
		if test.want == "" {
			assert.NoError(t, err)
		} else {
			assert.ErrorContains(t, err, test.want)
		}
	}
}

func TestResultString(t *testing.T) {
	r := load.Result{Answered: 1200, Connections: 3, Slowest: 1234567}
	assert.Equal(t, "0 failed, 1200 answered on 3 connections, the slowest in 1.235ms", r.String())
	r.Failed, r.Failures, r.Moved = 2, []string{"one", "two"}, 7
	assert.Equal(t, "2 failed, 1200 answered on 3 connections, the slowest in 1.235ms, 7 moved; first failure: one", r.String())
	assert.False(t, strings.Contains(r.String(), "\n"))
}
