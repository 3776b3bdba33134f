package serving

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/guregu/kami/internal/lifetime"
)

// Timeouts of a server by default.
const (
	headerTimeout = 10 * time.Second // for a client to send a request's header
	idleTimeout   = 3 * time.Minute  // for a client to send the next request: longer than a load balancer keeps one
)

var errUsed = errors.New("the http.Server has been used before: make a new one")

// Defaults returns a server with kami's timeouts: ten seconds for a request's header and three minutes between two requests.
func Defaults() *http.Server {
	return &http.Server{ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout}
}

// prepare makes the http.Server call the functions of this package in addition to its own.
func (s *Server) prepare(l net.Listener) error {
	srv := s.server
	if _, used := srv.Handler.(*entrance); used {
		return fmt.Errorf("kami: serving on %s: %w", l.Addr(), errUsed)
	}
	if err := secure(srv); err != nil {
		return fmt.Errorf("kami: serving on %s: %w", l.Addr(), err)
	}
	base := context.Background()
	if srv.BaseContext != nil {
		if base = srv.BaseContext(l); base == nil {
			return fmt.Errorf("kami: serving on %s: BaseContext returned a nil context", l.Addr())
		}
	}
	s.limitRequests(base)
	s.spareOtherProtocols()
	srv.BaseContext = func(net.Listener) context.Context { return s.base }

	connContext := srv.ConnContext
	srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if connContext != nil {
			if ctx = connContext(ctx, c); ctx == nil {
				return nil // net/http returns the error
			}
		}
		a := &accepted{by: s, conn: c}
		s.conns.Store(c, a)
		return context.WithValue(ctx, acceptedKey{}, a)
	}
	connState := srv.ConnState
	srv.ConnState = func(c net.Conn, state http.ConnState) {
		if connState != nil {
			connState(c, state)
		}
		s.count(c, state)
	}
	srv.Handler = &entrance{s, srv.Handler}
	return nil
}

// limitRequests makes the contexts that end at the limit. Without a limit none is made, and the app's contexts are joined to
// nothing.
func (s *Server) limitRequests(base context.Context) {
	s.base, s.end = base, func(error) {}
	if s.limit <= 0 {
		return
	}
	requests, endRequests := context.WithCancelCause(context.Background())
	incoming, endIncoming := context.WithCancelCause(base)
	s.requests, s.joins, s.base = requests, lifetime.NewJoins(requests), incoming
	s.end = func(cause error) { endRequests(cause); endIncoming(cause) }
}

// spareOtherProtocols counts connections of the protocols in TLSNextProto as ones that have sent a request, or a stop would close
// them as silent: net/http does not report their states. For its own HTTP/2 it does.
func (s *Server) spareOtherProtocols() {
	s.server.TLSNextProto = maps.Clone(s.server.TLSNextProto)
	for name, serve := range s.server.TLSNextProto {
		if name == "h2" || name == "unencrypted_http2" {
			continue
		}
		s.server.TLSNextProto[name] = func(srv *http.Server, c *tls.Conn, h http.Handler) {
			s.count(c, http.StateActive)
			serve(srv, c, h)
		}
	}
}

// CheckCertificate returns an error for a config without a certificate, with which no client can be served.
func CheckCertificate(c *tls.Config) error {
	if len(c.Certificates) == 0 && c.GetCertificate == nil && c.GetConfigForClient == nil {
		return errors.New("the TLS config has no certificate: set Certificates, GetCertificate or GetConfigForClient")
	}
	return nil
}

// secure prepares the server for TLS if its TLSConfig is set. It excludes HTTP/2 if the config does, because net/http would
// negotiate it all the same. It copies the config, because net/http adds to it and it may have other users.
func secure(srv *http.Server) error {
	if srv.TLSConfig == nil {
		return nil
	}
	if err := CheckCertificate(srv.TLSConfig); err != nil {
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
