package kami

import (
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pipeListener accepts the server's ends of pipes, so that a test in a bubble has its own time.
type pipeListener struct {
	accept chan net.Conn
	once   sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	if conn, ok := <-l.accept; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.accept) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func (l *pipeListener) dial() net.Conn {
	client, server := net.Pipe()
	l.accept <- server
	return client
}

func TestSlowHeadersTimeOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := &pipeListener{accept: make(chan net.Conn)}
		server := newHTTPServer()
		server.Handler = New()
		served := make(chan error)
		go func() { served <- server.Serve(listener) }()

		start := time.Now()
		conn := listener.dial()
		_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: ")
		require.NoError(t, err)
		_, err = io.ReadAll(conn)
		require.NoError(t, err, "the server closes the connection")
		assert.Equal(t, headerTimeout, time.Since(start))

		require.NoError(t, server.Close())
		assert.ErrorIs(t, <-served, http.ErrServerClosed)
	})
}
