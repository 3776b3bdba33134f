//go:build unix

package kami_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
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

// serving starts one of the functions that serve and returns its address, and a channel that says when it has returned.
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

// certificate is a server's configuration, and that of a client which trusts it.
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

// onDefaultServeMux registers a path as imported packages do, net/http/pprof among them.
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

// TestServeFailures runs each failure in a process of its own, for it ends that.
func TestServeFailures(t *testing.T) {
	failures := map[string]struct {
		fail func()
		want string
	}{
		"nil config": {func() { kami.ServeTLS(nil) }, `^kami: ServeTLS: the config must not be nil\n$`},
		"closed listener": {func() {
			l, _ := net.Listen("tcp", "127.0.0.1:0")
			l.Close()
			kami.ServeListener(l)
		}, `\nkami: serving on 127\.0\.0\.1:\d+: accept tcp .*: use of closed network connection\n$`},
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
