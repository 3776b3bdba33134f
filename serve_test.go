//go:build unix

package kami_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
)

// logLines redirects the log for the test, and returns its lines as they come.
func logLines(t *testing.T) <-chan string {
	r, w := io.Pipe()
	flags := log.Flags()
	log.SetOutput(w)
	log.SetFlags(0)
	t.Cleanup(func() {
		log.SetOutput(os.Stderr)
		log.SetFlags(flags)
		w.Close()
	})
	lines := make(chan string, 16)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(r); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	return lines
}

// next returns the next value of a channel, or fails when it does not come.
func next[T any](t *testing.T, values <-chan T) T {
	select {
	case v := <-values:
		return v
	case <-time.After(30 * time.Second):
		require.Fail(t, "nothing has come")
		panic("not reached")
	}
}

// serving starts one of the functions that serve. It returns the address, and a channel that gets the result when it returns.
func serving(t *testing.T, lines <-chan string, serve func()) (address string, returned <-chan struct{}) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		serve()
	}()
	return regexp.MustCompile(`^Starting kami on (.*)$`).FindStringSubmatch(next(t, lines))[1], done
}

func bindTo(t *testing.T, address string) {
	old := flag.Lookup("bind").Value.String()
	require.NoError(t, flag.Set("bind", address))
	t.Cleanup(func() { require.NoError(t, flag.Set("bind", old)) })
}

func listen(t *testing.T) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return l
}

// certificate returns the configuration of a TLS server, and of a client that trusts it.
func certificate() (server, client *tls.Config) {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates}, &tls.Config{RootCAs: pool, ServerName: "example.com"}
}

func body(t *testing.T, client *http.Client, url string) string {
	response, err := client.Get(url)
	require.NoError(t, err)
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(got)
}

func TestServeEndsGracefully(t *testing.T) {
	t.Cleanup(kami.Reset)
	kami.Get("/", echo("global"))
	m := kami.New()
	m.Get("/", echo("mux"))
	bindTo(t, "127.0.0.1:0")
	server, client := certificate()
	for _, test := range []struct {
		name, scheme, want string
		signal             syscall.Signal
		serve              func()
	}{
		{"Serve", "http", "global", syscall.SIGINT, kami.Serve},
		{"ServeTLS", "https", "global", syscall.SIGTERM, func() { kami.ServeTLS(server) }},
		{"ServeListener", "http", "global", syscall.SIGTERM, func() { kami.ServeListener(listen(t)) }},
		{"Mux.Serve", "http", "mux", syscall.SIGTERM, m.Serve},
		{"Mux.ServeTLS", "https", "mux", syscall.SIGINT, func() { m.ServeTLS(server) }},
		{"Mux.ServeListener", "http", "mux", syscall.SIGINT, func() { m.ServeListener(listen(t)) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			lines := logLines(t)
			address, returned := serving(t, lines, test.serve)
			transport := &http.Transport{TLSClientConfig: client}
			defer transport.CloseIdleConnections()
			assert.Equal(t, test.want, body(t, &http.Client{Transport: transport}, test.scheme+"://"+address+"/"))

			require.NoError(t, syscall.Kill(os.Getpid(), test.signal))
			assert.Equal(t, "kami received signal, gracefully stopping", next(t, lines))
			assert.Equal(t, "kami stopped", next(t, lines))
			next(t, returned)
		})
	}
}

func TestServeWaitsForRequests(t *testing.T) {
	lines := logLines(t)
	began, release := make(chan struct{}), make(chan struct{})
	m := kami.New()
	m.Get("/slow", func(_ context.Context, w http.ResponseWriter, _ *http.Request) {
		close(began)
		<-release
		_, _ = io.WriteString(w, "done")
	})
	address, returned := serving(t, lines, func() { m.ServeListener(listen(t)) })
	answer := make(chan string, 1)
	go func() { answer <- body(t, http.DefaultClient, "http://"+address+"/slow") }()
	next(t, began)
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGTERM))
	assert.Equal(t, "kami received signal, gracefully stopping", next(t, lines))
	select {
	case <-returned:
		t.Error("it has not waited for the request")
	default:
	}
	close(release)
	assert.Equal(t, "done", next(t, answer))
	next(t, returned)
}

// onDefaultServeMux registers a path on http.DefaultServeMux, as net/http/pprof does.
var onDefaultServeMux = sync.OnceValue(func() string {
	const path = "/registered-on-the-default-mux"
	http.HandleFunc(path, func(http.ResponseWriter, *http.Request) {})
	return path
})

func TestServeNothingOfTheDefaultServeMux(t *testing.T) {
	path := onDefaultServeMux()
	lines := logLines(t)
	address, returned := serving(t, lines, func() { kami.New().ServeListener(listen(t)) })
	assert.Equal(t, "404 page not found\n", body(t, http.DefaultClient, "http://"+address+path))
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGINT))
	next(t, returned)
}

// serveContext serves the mux on a new listener until the test's end, or until stop. Stop returns ServeContext's
// result.
func serveContext(t *testing.T, m *kami.Mux, srv *http.Server) (address string, stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	l := listen(t)
	served := make(chan error, 1)
	go func() { served <- m.ServeContext(ctx, l, srv) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return next(t, served)
	})
	t.Cleanup(func() { assert.NoError(t, stop()) })
	return l.Addr().String(), stop
}

// client returns a client that shares its connections with no other.
func client(t *testing.T, config *tls.Config, protocols ...func(*http.Protocols, bool)) *http.Client {
	transport := &http.Transport{TLSClientConfig: config, Protocols: new(http.Protocols)}
	for _, set := range protocols {
		set(transport.Protocols, true)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// protocolOf is a handler that answers with the protocol of the request.
func protocolOf(_ context.Context, w http.ResponseWriter, r *http.Request) {
	tls := "none"
	if r.TLS != nil {
		tls = r.TLS.NegotiatedProtocol + " for " + r.TLS.ServerName
	}
	_, _ = fmt.Fprintf(w, "%s, TLS: %s", r.Proto, tls)
}

func TestServeContextProtocols(t *testing.T) {
	config, trusting := certificate()
	m := kami.New()
	m.Get("/", protocolOf)
	http1, http2, h2c := (*http.Protocols).SetHTTP1, (*http.Protocols).SetHTTP2, (*http.Protocols).SetUnencryptedHTTP2
	protocols := func(set ...func(*http.Protocols, bool)) *http.Protocols {
		p := new(http.Protocols)
		for _, set := range set {
			set(p, true)
		}
		return p
	}
	for _, test := range []struct {
		name   string
		tls    bool
		nextTo []string // NextProtos
		server *http.Protocols
		want   string
	}{
		{"TLS", true, nil, nil, "HTTP/2.0, TLS: h2 for example.com"},
		{"TLS with h2", true, []string{"h2"}, nil, "HTTP/2.0, TLS: h2 for example.com"},
		{"TLS with both", true, []string{"h2", "http/1.1"}, nil, "HTTP/2.0, TLS: h2 for example.com"},
		{"TLS with HTTP/1.1 alone", true, []string{"http/1.1"}, nil, "HTTP/1.1, TLS: http/1.1 for example.com"},
		{"TLS with another protocol", true, []string{"acme-tls/1"}, nil, "HTTP/1.1, TLS: http/1.1 for example.com"},
		{"TLS with no protocol", true, []string{}, nil, "HTTP/1.1, TLS: http/1.1 for example.com"},
		{"TLS with HTTP/1.1 of all", true, []string{"http/1.1"}, protocols(http1, http2), "HTTP/1.1, TLS: http/1.1 for example.com"},
		{"TLS, the server without HTTP/2", true, nil, protocols(http1), "HTTP/1.1, TLS: http/1.1 for example.com"},
		{"plain", false, nil, nil, "HTTP/1.1, TLS: none"},
		{"h2c", false, nil, protocols(http1, h2c), "HTTP/2.0, TLS: none"},
	} {
		t.Run(test.name, func(t *testing.T) {
			srv, scheme := &http.Server{Protocols: test.server, ErrorLog: log.New(io.Discard, "", 0)}, "http"
			if test.tls {
				srv.TLSConfig, scheme = config.Clone(), "https"
				srv.TLSConfig.NextProtos = test.nextTo
			}
			given := srv.TLSConfig
			address, _ := serveContext(t, m, srv)
			c := client(t, trusting, http1, http2)
			if test.name == "h2c" {
				c = client(t, nil, h2c)
			}
			assert.Equal(t, test.want, body(t, c, scheme+"://"+address+"/"))
			if test.tls {
				assert.Equal(t, test.nextTo, given.NextProtos, "the config is not changed")
				response, err := http.Get("http://" + address)
				require.NoError(t, err)
				defer response.Body.Close()
				assert.Equal(t, http.StatusBadRequest, response.StatusCode, "plain HTTP on a TLS port")
				text, _ := io.ReadAll(response.Body)
				assert.Equal(t, "Client sent an HTTP request to an HTTPS server.\n", string(text))
			}
		})
	}
}

// TestServeContextPeer checks that ConnContext and Hijack get net/http's connection, without a wrapper.
func TestServeContextPeer(t *testing.T) {
	config, trusting := certificate()
	for _, secure := range []bool{false, true} {
		conns, m := make(chan net.Conn, 2), kami.New()
		m.Post("/hijack", func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			assert.NoError(t, err)
			conns <- conn
			_ = conn.Close()
		})
		srv, scheme := &http.Server{}, "http"
		if secure {
			srv.TLSConfig, scheme = config, "https"
		}
		srv.ConnContext = func(ctx context.Context, conn net.Conn) context.Context { conns <- conn; return ctx }
		address, _ := serveContext(t, m, srv)
		_, err := client(t, trusting, (*http.Protocols).SetHTTP1).Post(scheme+"://"+address+"/hijack", "", nil)
		require.Error(t, err)
		assert.IsType(t, map[bool]net.Conn{false: &net.TCPConn{}, true: &tls.Conn{}}[secure], next(t, conns))
	}
}

// TestHTTP2SaysGoodbye checks that connections of HTTP/2 live on while the server drains, and that an answer tells each of them
// of its end. A handshake that ends after draining began does not keep the server. An event stream that ends does not end the
// connection of another request.
func TestHTTP2SaysGoodbye(t *testing.T) {
	config, trusting := certificate()
	m := kami.New()
	began, draining, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
	m.Get("/", protocolOf)
	m.Get("/slow", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		close(began)
		<-kami.Draining(ctx)
		close(draining)
		<-release
		_, _ = io.WriteString(w, "slow")
	})
	m.Get("/stream", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		<-kami.Draining(ctx)
	})
	address, stop := serveContext(t, m, &http.Server{TLSConfig: config, ErrorLog: log.New(io.Discard, "", 0)})
	busy, idle := client(t, trusting, (*http.Protocols).SetHTTP2), client(t, trusting, (*http.Protocols).SetHTTP2)
	url := "https://" + address
	want := "HTTP/2.0, TLS: h2 for example.com"
	assert.Equal(t, want, body(t, idle, url))
	slow := make(chan string, 1)
	go func() { slow <- body(t, busy, url+"/slow") }()
	next(t, began)
	stream, err := busy.Get(url + "/stream")
	require.NoError(t, err)
	defer stream.Body.Close()
	late, err := net.Dial("tcp", address) // has not shaken hands yet
	require.NoError(t, err)
	defer late.Close()
	require.NoError(t, late.SetDeadline(time.Now().Add(time.Minute)))

	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	next(t, draining)
	assert.Equal(t, want, body(t, idle, url), "it is answered on the connection that there is")
	_ = tls.Client(late, &tls.Config{RootCAs: trusting.RootCAs, ServerName: "example.com", NextProtos: []string{"h2"}}).Handshake()
	_, err = io.Copy(io.Discard, stream.Body)
	assert.NoError(t, err)
	require.Eventually(t, func() bool { // until the listener is closed, the system takes connections that nobody accepts
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	}, time.Minute, time.Millisecond)
	_, err = idle.Get(url)
	assert.ErrorIs(t, err, syscall.ECONNREFUSED, "the client has been told not to use it any more")
	close(release)
	assert.Equal(t, "slow", next(t, slow))
	assert.NoError(t, next(t, stopped))
}

// TestStopOnBlockingSockets stops servers on sockets in blocking mode, on which Accept cannot be interrupted.
func TestStopOnBlockingSockets(t *testing.T) {
	m := kami.New()
	m.Get("/", protocolOf)
	for _, test := range []struct{ network, address string }{
		{"tcp", "127.0.0.1:0"}, {"tcp", ":0"}, {"tcp4", "0.0.0.0:0"}, {"tcp6", "[::1]:0"}, {"tcp6", "[::]:0"},
		{"unix", filepath.Join(t.TempDir(), "socket")},
	} {
		t.Run(test.network+" "+test.address, func(t *testing.T) {
			l, err := net.Listen(test.network, test.address)
			if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
				t.Skip(err)
			}
			require.NoError(t, err)
			if unix, ok := l.(*net.UnixListener); ok {
				unix.SetUnlinkOnClose(false) // as if a supervisor had passed it
			}
			file, err := l.(interface{ File() (*os.File, error) }).File()
			require.NoError(t, err)
			defer file.Close()
			file.Fd()

			ctx, stop := context.WithCancel(t.Context())
			served := make(chan error, 1)
			go func() { served <- m.ServeContext(ctx, l, nil) }()
			transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
				return net.Dial(l.Addr().Network(), l.Addr().String())
			}}
			assert.Equal(t, "HTTP/1.1, TLS: none", body(t, &http.Client{Transport: transport}, "http://kami/"))
			transport.CloseIdleConnections()
			stop()
			require.NoError(t, next(t, served))
		})
	}
}

// TestOtherProtocols has connections that net/http hands over by TLSNextProto, and whose end it does not report.
func TestOtherProtocols(t *testing.T) {
	config, trusting := certificate()
	config.NextProtos = []string{"echo"}
	began, release := make(chan struct{}), make(chan struct{})
	srv := &http.Server{TLSConfig: config, TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){
		"echo": func(_ *http.Server, c *tls.Conn, _ http.Handler) {
			close(began)
			<-release
			_, _ = io.WriteString(c, "echo")
		},
	}}
	address, stop := serveContext(t, kami.New(), srv)
	conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: trusting.RootCAs, ServerName: "example.com", NextProtos: []string{"echo"}})
	require.NoError(t, err)
	defer conn.Close()
	next(t, began)
	lines := logLines(t)
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	assert.Regexp(t, "^kami: waiting for 1 connection", next(t, lines))
	assert.Empty(t, stopped)
	close(release)
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	assert.Equal(t, "echo", string(got))
	require.NoError(t, next(t, stopped))
}

// TestStartsAndStops starts and stops servers many times, for the race detector and to find leaks.
func TestStartsAndStops(t *testing.T) {
	m := kami.New()
	m.Get("/", protocolOf)
	for range 50 {
		address, stop := serveContext(t, m, nil)
		var asking sync.WaitGroup
		for range 4 {
			asking.Go(func() {
				c := client(t, nil, (*http.Protocols).SetHTTP1)
				for range 3 {
					if _, err := c.Get("http://" + address); err != nil {
						return // it was too late
					}
				}
			})
		}
		require.NoError(t, stop())
		asking.Wait()
	}
}

func TestServeContextRefuses(t *testing.T) {
	config, _ := certificate()
	open := func() net.Listener { return listen(t) }
	closed := func() net.Listener {
		l := listen(t)
		require.NoError(t, l.Close())
		return l
	}
	none := func() net.Listener { return nil }
	for _, test := range []struct {
		name string
		ctx  context.Context
		on   func() net.Listener
		srv  func() *http.Server
		want string
	}{
		{"nil listener", t.Context(), none, nil, "kami: the listener to serve on must not be nil"},
		{"nil TCP listener", t.Context(), func() net.Listener { return (*net.TCPListener)(nil) }, nil,
			"kami: the listener to serve on must not be nil"},
		{"closed listener", t.Context(), closed, nil, "kami: serving on ADDRESS: use of closed network connection"},
		{"closed listener that cannot be asked", t.Context(), func() net.Listener { return struct{ net.Listener }{closed()} }, nil,
			"kami: serving on ADDRESS: accept tcp ADDRESS: use of closed network connection"},
		{"nil context", nil, open, nil, "kami: the context to serve in must not be nil"},
		{"no certificate", t.Context(), open, func() *http.Server { return &http.Server{TLSConfig: &tls.Config{}} },
			"kami: serving on ADDRESS: the TLS config has no certificate: set Certificates, GetCertificate or GetConfigForClient"},
		{"server in use", t.Context(), open, func() *http.Server {
			srv := &http.Server{}
			address, _ := serveContext(t, kami.New(), srv)
			assert.Equal(t, "404 page not found\n", body(t, client(t, nil), "http://"+address)) // it serves
			return srv
		}, "kami: serving on ADDRESS: the http.Server has been used before: make a new one"},
		{"server that was used", t.Context(), open, func() *http.Server {
			srv := &http.Server{}
			_, stop := serveContext(t, kami.New(), srv)
			require.NoError(t, stop())
			return srv
		}, "kami: serving on ADDRESS: the http.Server has been used before: make a new one"},
		{"server that was used, with another handler", t.Context(), open, func() *http.Server {
			srv := &http.Server{TLSConfig: config}
			_, stop := serveContext(t, kami.New(), srv)
			require.NoError(t, stop())
			srv.Handler = kami.New()
			return srv
		}, "kami: serving on ADDRESS: http: Server closed: the app has shut it down, or it has been used before; make a new http.Server"},
		{"server that net/http has used", t.Context(), open, func() *http.Server {
			srv := &http.Server{}
			require.NoError(t, srv.Close())
			require.ErrorIs(t, srv.Serve(listen(t)), http.ErrServerClosed)
			return srv
		}, "GetConfigForClient; or, if net/http has set it because the http.Server has been used before, make a new server"},
		{"nil BaseContext", t.Context(), open,
			func() *http.Server {
				return &http.Server{BaseContext: func(net.Listener) context.Context { return nil }}
			},
			"kami: serving on ADDRESS: BaseContext returned a nil context"},
		{"unfit ciphers", t.Context(), open, func() *http.Server {
			return &http.Server{TLSConfig: &tls.Config{Certificates: config.Certificates, MaxVersion: tls.VersionTLS12,
				CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}}}
		}, "kami: serving on ADDRESS: http2: TLSConfig.CipherSuites is missing an HTTP/2-required "},
	} {
		t.Run(test.name, func(t *testing.T) {
			each(t, func(t *testing.T, s *stack) {
				serve := kami.New().ServeContext
				if s.global {
					serve = kami.ServeContext
				}
				l, srv := test.on(), (*http.Server)(nil)
				if test.srv != nil {
					srv = test.srv()
				}
				err := serve(test.ctx, l, srv)
				if strings.Contains(test.want, "listener to serve on") {
					assert.EqualError(t, err, test.want)
					return
				}
				assert.ErrorContains(t, err, strings.ReplaceAll(test.want, "ADDRESS", l.Addr().String()))
				_, acceptErr := l.Accept()
				assert.ErrorIs(t, acceptErr, net.ErrClosed, "the listener is closed")
			})
		})
	}
}

// TestServeRefusesWrongPanicHandlers has PanicHandlers of types that cannot be called.
func TestServeRefusesWrongPanicHandlers(t *testing.T) {
	for _, test := range []struct {
		name           string
		handler        any
		routes         bool
		global, ofAMux string
	}{
		{"wrong type", "oops", true,
			"kami: kami.PanicHandler: string is no type of handler; accepted are kami.ContextHandler, ",
			`kami: PanicHandler of the Mux with the route GET /a \(.*/serve_test.go:\d+\): string is no type of handler; accepted are `},
		{"no routes", 1, false,
			"kami: kami.PanicHandler: int is no type of handler; ",
			"kami: PanicHandler of a Mux without routes: int is no type of handler; "},
		{"nil function", http.HandlerFunc(nil), false,
			"kami: kami.PanicHandler: the handler must not be nil", "kami: PanicHandler of a Mux without routes: the handler must not be nil"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Cleanup(kami.Reset)
			m := kami.New()
			if test.routes {
				m.Get("/b", protocolOf)
				m.Get("/a", protocolOf)
			}
			kami.PanicHandler, m.PanicHandler = test.handler, test.handler
			l := listen(t)
			assert.Regexp(t, "^"+test.ofAMux, m.ServeContext(t.Context(), l, nil))
			_, err := l.Accept()
			assert.ErrorIs(t, err, net.ErrClosed, "the listener is closed")
			assert.Regexp(t, "^"+test.global, kami.ServeContext(t.Context(), listen(t), nil))
		})
	}
}

// TestServeFailures runs each failure in a separate process, because it ends the process.
func TestServeFailures(t *testing.T) {
	failures := map[string]struct {
		fail func()
		want string
	}{
		"nil config": {func() { kami.ServeTLS(nil) }, `^kami: ServeTLS: the config must not be nil\n$`},
		"wrong PanicHandler": {func() {
			_ = flag.Set("bind", "nowhere") // is not asked for
			kami.PanicHandler = "oops"
			kami.Serve()
		}, `^kami: kami.PanicHandler: string is no type of handler; accepted are .*\n$`},
		"closed listener": {func() {
			l, _ := net.Listen("tcp", "127.0.0.1:0")
			l.Close()
			kami.ServeListener(l)
		}, `^kami: serving on 127\.0\.0\.1:\d+: .*use of closed network connection\n$`},
	}
	const variable = "KAMI_TEST_FAILURE"
	if failure, ok := failures[os.Getenv(variable)]; ok {
		log.SetFlags(0)
		failure.fail()
		return // with status 0, which is not what the parent waits for
	}
	for name, failure := range failures {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			command := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestServeFailures$")
			command.Env = append(os.Environ(), variable+"="+name)
			output, err := command.CombinedOutput()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
			assert.Equal(t, 1, exit.ExitCode())
			assert.Regexp(t, failure.want, string(output))
		})
	}
}
