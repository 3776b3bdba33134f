package kami

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"reflect"
	"slices"
	"syscall"
	"time"
)

// What a server has by default.
const (
	headerTimeout = 10 * time.Second // for a client to send a request's header
	idleTimeout   = 3 * time.Minute  // for a client to send the next request: longer than a load balancer keeps one
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
	host.listenAndServe(m, nil)
}

// ServeTLS is like Serve, but enables TLS using the given config, which must have a certificate. HTTP/2 is negotiated if
// its NextProtos are nil or have "h2". The config is copied: what is to change while serving, as certificates, needs its
// functions, as GetCertificate.
func (m *Mux) ServeTLS(config *tls.Config) {
	if config == nil {
		host.fatal("kami: ServeTLS: the config must not be nil")
	} else if err := checkCertificate(config); err != nil {
		host.fatal("kami: ServeTLS: %v", err)
	}
	srv := newHTTPServer()
	srv.TLSConfig = config
	host.listenAndServe(m, srv)
}

// ServeListener is like Serve, but runs kami on top of an arbitrary net.Listener. It closes the listener.
func (m *Mux) ServeListener(listener net.Listener) {
	host.serve(m, listener, nil)
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
	d, err := m.newDrain(listener, server)
	if err != nil {
		return err
	}
	if ctx == nil {
		_ = listener.Close()
		return errors.New("kami: the context to serve in must not be nil")
	}
	defer context.AfterFunc(ctx, d.stop)()
	return d.serve()
}

// Draining returns a channel that closes when the server that ctx's request came through begins to stop. Handlers that
// would go on for long, such as those of event streams and websockets, return then. The channel is nil, and so never ready,
// if that server is not one of kami's.
//
// A handler that has called Draining takes part in the stop, also when it has hijacked its connection: the server waits for
// it to return, until [Mux.DrainTimeout] and half a second have passed. Call it before the connection is hijacked, for a
// stop that begins in between does not wait. It may be called by any number of goroutines.
func Draining(ctx context.Context) <-chan struct{} {
	a := acceptedOf(ctx)
	if a == nil {
		return nil
	}
	a.cooperate()
	return a.by.draining
}

func newHTTPServer() *http.Server {
	return &http.Server{ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout}
}

// newDrain prepares to serve with srv on l, which it closes if it cannot.
func (m *Mux) newDrain(l net.Listener, srv *http.Server) (*drain, error) {
	if err := checkListener(l); err != nil {
		return nil, err
	}
	if srv == nil {
		srv = newHTTPServer()
	}
	if srv.Handler == nil {
		srv.Handler = m
	}
	d := &drain{
		server:   srv,
		listener: newDoor(l),
		timeout:  m.drainTimeout(),
		draining: make(chan struct{}),
		forced:   make(chan struct{}),
		over:     make(chan struct{}),
		quiet:    make(chan struct{}, 1),
	}
	err := m.checkPanicHandler()
	if err == nil {
		err = d.prepare(l)
	}
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	return d, nil
}

// drainTimeout is what the Mux's DrainTimeout is now.
func (m *Mux) drainTimeout() time.Duration {
	if m == &std {
		return DrainTimeout
	}
	return m.DrainTimeout
}

// checkPanicHandler reports a PanicHandler that is set and cannot be called.
func (m *Mux) checkPanicHandler() error {
	set := m.hooks().panicHandler
	if set == nil {
		return nil
	}
	_, err := m.newPanicHandler(set)
	return err
}

// checkListener reports a listener that is nil, or closed as far as it can be asked.
func checkListener(l net.Listener) error {
	if v := reflect.ValueOf(l); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return errors.New("kami: the listener to serve on must not be nil")
	}
	socket, ok := l.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err == nil {
		err = raw.Control(func(uintptr) {})
	}
	if errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("kami: serving on %s: %w", l.Addr(), net.ErrClosed)
	}
	return nil
}

// checkCertificate reports a config that no client can be served with.
func checkCertificate(c *tls.Config) error {
	if len(c.Certificates) == 0 && c.GetCertificate == nil && c.GetConfigForClient == nil {
		return errors.New("the TLS config has no certificate: set Certificates, GetCertificate or GetConfigForClient")
	}
	return nil
}

// secure readies the server for TLS, if it is to serve that. HTTP/2 is for configs that do not exclude it, which net/http
// would negotiate regardless. The config is copied, for net/http adds to it and it may have other users.
func secure(srv *http.Server) error {
	if srv.TLSConfig == nil {
		return nil
	}
	if err := checkCertificate(srv.TLSConfig); err != nil {
		return fmt.Errorf("%w; or, if net/http has set it because the http.Server has been used before, make a new server", err)
	}
	srv.TLSConfig = srv.TLSConfig.Clone()
	if protos := srv.TLSConfig.NextProtos; protos == nil || slices.Contains(protos, "h2") {
		return nil
	}
	var allowed http.Protocols
	allowed.SetHTTP1(true)
	if srv.Protocols != nil {
		allowed = *srv.Protocols
	}
	allowed.SetHTTP2(false)
	srv.Protocols = &allowed
	return nil
}

// logTo logs a line where the server logs its errors.
func logTo(srv *http.Server, format string, args ...any) {
	if srv.ErrorLog != nil {
		srv.ErrorLog.Printf(format, args...)
		return
	}
	log.Printf(format, args...)
}
