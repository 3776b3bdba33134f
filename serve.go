package kami

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/guregu/kami/internal/process"
	"github.com/guregu/kami/internal/serving"
)

// Serve starts serving this mux with reasonable defaults, and returns after a graceful stop.
// The bind address can be changed by setting the GOJI_BIND environment variable, or by setting the "-bind" command
// line flag; Serve parses the flags if nobody has. It detects einhorn and systemd for you, and works like zenazn/goji.
//
// SIGINT, SIGTERM, and under einhorn SIGUSR2, stop it gracefully, and so does a call of graceful.Shutdown of
// zenazn/goji. No request is lost then: see [Mux.ServeContext]. A second SIGINT within two seconds of another, or
// graceful.ShutdownNow, ends it at once. The hooks of zenazn/goji/graceful run: PreHook at the signal, PostHook when the
// last connection has ended. If it cannot serve it logs why and exits with status 1.
//
// Several muxes may be served in one process; one signal stops them all.
func (m *Mux) Serve() {
	m.listenAndServe(nil)
}

// ServeTLS is like Serve, but enables TLS using the given config, which must have a certificate. HTTP/2 is negotiated if
// its NextProtos are nil or have "h2". The config is copied: what is to change while serving, as certificates, needs its
// functions, as GetCertificate.
func (m *Mux) ServeTLS(config *tls.Config) {
	if config == nil {
		process.Fatal("kami: ServeTLS: the config must not be nil")
	} else if err := serving.CheckCertificate(config); err != nil {
		process.Fatal("kami: ServeTLS: %v", err)
	}
	server := serving.Defaults()
	server.TLSConfig = config
	m.listenAndServe(server)
}

// ServeListener is like Serve, but runs kami on top of an arbitrary net.Listener. It closes the listener.
func (m *Mux) ServeListener(listener net.Listener) {
	m.serveOn(listener, nil)
}

// ServeContext serves this mux on the listener until ctx ends, and returns after a graceful stop. Nothing in it concerns
// the process: it takes no signals, and any number may serve at once.
//
// The server says how to serve; nil means one with kami's defaults: ten seconds for a request's header and three minutes
// between two requests. Its Handler, if set, is served in the place of the mux, which it may wrap; it serves TLS if and
// only if its TLSConfig is set, HTTP/2 included if NextProtos are nil or have "h2"; its ConnState, ConnContext and
// BaseContext are called as well as kami's own. It belongs to kami from now on and cannot be used again.
//
// A graceful stop loses no request. [Draining] says that it has begun, the listener closes, and responses to requests
// that begin from then on tell their clients to close the connection, or to open a new one (HTTP/2). For half a second
// connections without a request live on, so that one which is under way is still answered. Then the server waits for the
// requests in progress, until [Mux.DrainTimeout] if that is set, and returns nil. Handlers with hijacked connections it
// waits for if they have called Draining.
//
// It returns an error at once if the listener is nil or closed, the server has been used before or is unusable, or
// PanicHandler is no type of handler. If the listener fails later, it
// logs that and stops gracefully before it returns the error. It always closes the listener.
func (m *Mux) ServeContext(ctx context.Context, listener net.Listener, server *http.Server) error {
	s, err := m.server(listener, server)
	if err != nil {
		return err
	}
	if ctx == nil {
		_ = listener.Close()
		return errors.New("kami: the context to serve in must not be nil")
	}
	defer context.AfterFunc(ctx, s.Stop)()
	return s.Serve()
}

// Draining returns a channel that closes when the server that ctx's request came through begins to stop. Handlers that
// would go on for long, such as those of event streams and websockets, return then. The channel is nil, and so never ready,
// if that server is not one of kami's.
//
// A handler that has called Draining takes part in the stop, also when it has hijacked its connection: the server waits for
// it to return, until [Mux.DrainTimeout] and half a second have passed. Call it before the connection is hijacked, for a
// stop that begins in between does not wait. It may be called by any number of goroutines.
func Draining(ctx context.Context) <-chan struct{} { return serving.Draining(ctx) }

func (m *Mux) listenAndServe(server *http.Server) {
	if err := m.checkPanicHandler(); err != nil {
		process.Fatal("%v", err)
	}
	m.serveOn(process.Listen(), server)
}

func (m *Mux) serveOn(listener net.Listener, server *http.Server) {
	s, err := m.server(listener, server)
	if err != nil {
		process.Fatal("%v", err)
	}
	process.Serve(s)
}

// server prepares to serve on the listener, which it closes if it returns an error.
func (m *Mux) server(listener net.Listener, server *http.Server) (*serving.Server, error) {
	if err := serving.CheckListener(listener); err != nil {
		return nil, err
	}
	if err := m.checkPanicHandler(); err != nil {
		_ = listener.Close()
		return nil, err
	}
	return serving.New(m, m.drainTimeout(), listener, server)
}

// drainTimeout returns the present DrainTimeout.
func (m *Mux) drainTimeout() time.Duration {
	if m == &std {
		return DrainTimeout
	}
	return m.DrainTimeout
}

// checkPanicHandler returns an error for a PanicHandler that is set and is no type of handler.
func (m *Mux) checkPanicHandler() error {
	set := m.hooks().panicHandler
	if set == nil {
		return nil
	}
	_, err := m.newPanicHandler(set)
	return err
}
