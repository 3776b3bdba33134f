package peer_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/peer"
)

// settle waits until there are at most most goroutines.
func settle(t *testing.T, most int) {
	for range 3000 {
		if runtime.NumGoroutine() <= most {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	stacks := make([]byte, 1<<20)
	t.Fatalf("there are %d goroutines, more than %d:\n%s", runtime.NumGoroutine(), most, stacks[:runtime.Stack(stacks, true)])
}

// TestP19 checks that no goroutine is left after Close, however the connections ended.
func TestP19(t *testing.T) {
	http.DefaultClient.CloseIdleConnections()
	before := runtime.NumGoroutine()
	server := newNode(mux("/work", func(http.ResponseWriter, *http.Request) {}))
	listening := httptest.NewServer(server)
	url := "ws" + strings.TrimPrefix(listening.URL, "http")
	client := newNode(mux("/work", func(http.ResponseWriter, *http.Request) {}))
	var raws []raw
	for n := range 20 {
		var opts []peer.DialOption
		if n%2 == 0 {
			opts = append(opts, peer.Reconnect(peer.Backoff{}))
		}
		c, err := client.Dial(t.Context(), url, opts...)
		require.NoError(t, err)
		_, err = c.Call(t.Context(), &message.Message{Route: "work"})
		require.NoError(t, err)
		if n%3 == 0 {
			require.NoError(t, c.Close())
		}
		r := dialRaw(t, url, nil)
		r.silence()
		raws = append(raws, r)
	}
	for n, r := range raws {
		switch n % 3 {
		case 0:
			_ = r.CloseNow()
		case 1:
			go func() { _ = r.Close(websocket.StatusNormalClosure, "") }()
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, client.Close(ctx))
	for _, r := range raws {
		go func() { _, _, _ = r.Read(context.Background()) }() // the server's close handshake waits for this read
	}
	require.NoError(t, server.Close(ctx))
	listening.Close()
	http.DefaultClient.CloseIdleConnections()
	settle(t, before)
}

// idle returns the bytes and the goroutines that each of n idle connections to a handler costs. The bytes include the client's
// memory. The client has no goroutines.
func idle(t *testing.T, n int, h http.Handler, use func(raw)) (bytes, goroutines float64) {
	m := kami.New()
	m.Get("/", h)
	server := httptest.NewServer(m)
	defer server.Close()
	measure := func() (uint64, int) {
		for range 3 {
			runtime.GC()
			time.Sleep(20 * time.Millisecond)
		}
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc + stats.StackInuse, runtime.NumGoroutine()
	}
	measure()
	bytesBefore, goroutinesBefore := measure()
	conns := make([]raw, n)
	for i := range conns {
		c, _, err := websocket.Dial(t.Context(), server.URL, nil)
		require.NoError(t, err)
		conns[i] = raw{t, c}
		use(conns[i])
	}
	settle(t, goroutinesBefore+n)
	bytesAfter, goroutinesAfter := measure()
	for _, c := range conns {
		_ = c.CloseNow()
	}
	return (float64(bytesAfter) - float64(bytesBefore)) / float64(n), float64(goroutinesAfter-goroutinesBefore) / float64(n)
}

// TestP19Idle checks that an idle connection has one goroutine and less than 12 KB more than a bare websocket.
func TestP19Idle(t *testing.T) {
	const n = 400
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		for {
			_, data, err := c.Read(context.Background())
			if err != nil {
				return
			}
			_ = c.Write(context.Background(), websocket.MessageText, data)
		}
	})
	ping := func(r raw) { r.silence() }
	echo := func(r raw) { r.ask("x") }
	node := newNode(mux("/a", func(http.ResponseWriter, *http.Request) {}))
	idle(t, n, bare, echo) // not counted, because the first connections fill pools
	idle(t, n, node, ping)
	bareBytes, _ := idle(t, n, bare, echo)
	bytes, goroutines := idle(t, n, node, ping)
	t.Logf("an idle connection has %.2f goroutines and %.1f KB, %.1f KB more than a bare one", goroutines, bytes/1024, (bytes-bareBytes)/1024)
	assert.Equal(t, 1.0, goroutines)
	if !race {
		assert.Less(t, (bytes-bareBytes)/1024, 12.0)
	}
}
