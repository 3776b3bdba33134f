package main

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/auth"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/examples/internal/program"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/peer"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const limit = 30 * time.Second // for what comes, but not when

func TestMain(m *testing.M) { program.Main(m, main) }

// TestProgram runs server and client by one command, up to the signal that stops both.
func TestProgram(t *testing.T) {
	p := program.Start(t)
	assert.Equal(t, "ann has asked for the square of 1", program.After(t, p.Log, "the service says: "))
	assert.Equal(t, "1", program.After(t, p.Log, "the square of 1 is "))
	assert.Equal(t, "4", program.After(t, p.Log, "the square of 2 is "))

	p.Signal(os.Interrupt)
	assert.Contains(t, p.End(), "kami stopped\n")
}

// TestPrograms runs the server alone, and a client in another process with the same key.
func TestPrograms(t *testing.T) {
	key := filepath.Join(t.TempDir(), "math.key")
	p := program.Start(t, "-server", "-key", key)
	client := exec.CommandContext(p.Context, "/bin/sh", "-c", "exec env "+p.Shell+" -client http://"+p.Address+"/math -key '"+key+"' 2>&1")
	output, err := client.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, client.Start())
	log := bufio.NewReader(output)
	assert.Equal(t, "1", program.After(t, log, "the square of 1 is "))
	assert.Equal(t, "ann has asked for the square of 2", program.After(t, log, "the service says: "))

	require.NoError(t, client.Process.Signal(os.Interrupt))
	require.NoError(t, client.Wait())
	p.Signal(os.Interrupt)
	assert.NotContains(t, p.End(), "the square of", "the client ran elsewhere")
}

// newIssuer returns an issuer and the keys that know it.
func newIssuer(t *testing.T) (*auth.Issuer, *auth.Keys) {
	t.Helper()
	key, err := readKey("")
	require.NoError(t, err)
	keys := new(auth.Keys)
	keys.Set(keyID, key.Public())
	return &auth.Issuer{Name: issuerName, KeyID: keyID, Key: key}, keys
}

var student = auth.Identity{Subject: "ann", Audience: serviceName}

// serve serves the Node until the test's end.
func serve(t *testing.T, node *peer.Node) (url string) {
	t.Helper()
	mux := kami.New()
	mux.Get("/math", node)
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		assert.NoError(t, node.Close(ctx))
		server.Close()
	})
	return server.URL + "/math"
}

// connect connects a client until the test's end.
func connect(t *testing.T, url string, token peer.DialOption) *peer.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	conn, err := dial(ctx, url, func(string) {}, token)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// ask has the service square a number.
func ask(t *testing.T, conn *peer.Conn, n float64) (float64, error) {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return message.Remote[float64, float64](conn, "math.square")(ctx, n)
}

func status(t *testing.T, err error) int {
	t.Helper()
	var coder endpoint.StatusCoder
	require.ErrorAs(t, err, &coder)
	return coder.StatusCode()
}

// TestCallBack has the service call its caller before it answers.
func TestCallBack(t *testing.T) {
	issuer, keys := newIssuer(t)
	heard := make(chan string, 1)
	conn, err := dial(t.Context(), serve(t, newService(keys)), func(text string) { heard <- text },
		peer.Token(issuer.Source(student, time.Minute)))
	require.NoError(t, err)
	defer conn.Close()
	got, err := ask(t, conn, 4)
	require.NoError(t, err)
	assert.Equal(t, 16.0, got)
	assert.Equal(t, "ann has asked for the square of 4", <-heard)
}

// fixed returns the same token each time.
func fixed(t *testing.T, issuer *auth.Issuer, id auth.Identity, ttl time.Duration) peer.DialOption {
	t.Helper()
	scheme, token, expires, err := issuer.Source(id, ttl)(t.Context())
	require.NoError(t, err)
	return peer.Token(func(context.Context) (string, string, time.Time, error) { return scheme, token, expires, nil })
}

// TestWrongToken checks that the server refuses the upgrade, and that the client does not try again.
func TestWrongToken(t *testing.T) {
	issuer, keys := newIssuer(t)
	stranger, _ := newIssuer(t)
	url := serve(t, newService(keys))
	for name, token := range map[string]peer.DialOption{
		"another key":      fixed(t, stranger, student, time.Minute),
		"another audience": fixed(t, issuer, auth.Identity{Subject: "ann", Audience: "physics"}, time.Minute),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := dial(t.Context(), url, hear, token)
			assert.Equal(t, http.StatusUnauthorized, status(t, err))
		})
	}
}

// TestNoToken connects without a token, and may not call methods behind Require.
func TestNoToken(t *testing.T) {
	_, keys := newIssuer(t)
	conn := connect(t, serve(t, newService(keys)), peer.Header(nil))
	_, err := ask(t, conn, 4)
	assert.Equal(t, http.StatusUnauthorized, status(t, err))
	pong, err := message.Remote[struct{}, string](conn, "kami.ping")(t.Context(), struct{}{})
	require.NoError(t, err)
	assert.Equal(t, "pong", pong)
}

// TestExpiredToken has a token expire. A client that sends a new one goes on, and one that does not is refused.
func TestExpiredToken(t *testing.T) {
	issuer, keys := newIssuer(t)
	const life = 2 * time.Second
	url := serve(t, newService(keys, auth.WithLeeway(0)))
	renewing := connect(t, url, peer.Token(issuer.Source(student, life)))
	forgetful := connect(t, url, fixed(t, issuer, student, life))
	_, err := ask(t, forgetful, 1)
	require.NoError(t, err)

	require.Eventually(t, func() bool {
		_, err := ask(t, forgetful, 2)
		return err != nil
	}, limit, 10*time.Millisecond)
	_, err = ask(t, forgetful, 3)
	assert.Equal(t, http.StatusUnauthorized, status(t, err))
	assert.EventuallyWithT(t, func(t *assert.CollectT) { // on a busy machine the next one may come a moment late
		got, err := message.Remote[float64, float64](renewing, "math.square")(context.Background(), 4)
		assert.NoError(t, err)
		assert.Equal(t, 16.0, got)
	}, limit, 10*time.Millisecond)
}

// TestRestart restarts the server while a client calls: each call is answered.
func TestRestart(t *testing.T) {
	issuer, keys := newIssuer(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	stop := start(t, listener, newService(keys))
	conn := connect(t, "http://"+address+"/math", peer.Token(issuer.Source(student, time.Minute)))

	var answered atomic.Int64
	var clients sync.WaitGroup
	ctx, end := context.WithCancel(t.Context())
	clients.Go(func() {
		for n := 1.0; ctx.Err() == nil; n++ {
			if got, err := ask(t, conn, n); assert.NoError(t, err) {
				assert.Equal(t, n*n, got)
				answered.Add(1)
			}
			sleep(ctx, 600*time.Millisecond) // long enough for the server to close the connection in between
		}
	})
	for range 2 {
		before := answered.Load()
		require.Eventually(t, func() bool { return answered.Load() > before }, limit, time.Millisecond)
		stop()
		listener, err = net.Listen("tcp", address)
		require.NoError(t, err)
		stop = start(t, listener, newService(keys))
	}
	before := answered.Load()
	require.Eventually(t, func() bool { return answered.Load() > before }, limit, time.Millisecond)
	end()
	clients.Wait()
	require.NoError(t, conn.Close())
	stop()
}

// start serves the Node as kami.Serve does, until stop, which waits for the end.
func start(t *testing.T, listener net.Listener, node *peer.Node) (stop func()) {
	mux := kami.New()
	mux.Get("/math", node)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	served := make(chan error, 1)
	go func() { served <- mux.ServeContext(ctx, listener, nil) }()
	return func() {
		cancel()
		assert.NoError(t, <-served)
	}
}

// TestReadKey checks that the key is kept in its file.
func TestReadKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "math.key")
	first, err := readKey(file)
	require.NoError(t, err)
	second, err := readKey(file)
	require.NoError(t, err)
	assert.Equal(t, first, second)
	other, err := readKey("")
	require.NoError(t, err)
	assert.NotEqual(t, first, other)
	require.NoError(t, os.WriteFile(file, []byte("short"), 0o600))
	_, err = readKey(file)
	assert.ErrorContains(t, err, "has 5 bytes")
	_, err = readKey(t.TempDir())
	assert.Error(t, err)
}
