package kami

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/zenazn/goji/bind"
)

// headerTimeout is how long a client may take to send a request's header.
const headerTimeout = 10 * time.Second

func init() {
	bind.WithFlag()
}

// Serve starts serving this mux with reasonable defaults, and returns after a graceful stop.
// The bind address can be changed by setting the GOJI_BIND environment variable, or by setting the "-bind" command
// line flag; Serve parses the flags if nobody has. It detects einhorn and systemd for you, and works like zenazn/goji.
//
// SIGINT and SIGTERM stop it gracefully: it accepts no more connections and waits for the requests in progress. After
// that, a second signal ends the process as usual. If it cannot serve it logs why and exits with status 1.
func (m *Mux) Serve() {
	serve(m, defaultListener())
}

// ServeTLS is like Serve, but enables TLS using the given config, which must have a certificate.
func (m *Mux) ServeTLS(config *tls.Config) {
	if config == nil {
		log.Fatal("kami: ServeTLS: the config must not be nil")
	}
	serve(m, tls.NewListener(defaultListener(), config))
}

// ServeListener is like Serve, but runs kami on top of an arbitrary net.Listener. It closes the listener.
func (m *Mux) ServeListener(listener net.Listener) {
	serve(m, listener)
}

func defaultListener() net.Listener {
	if !flag.Parsed() {
		flag.Parse()
	}
	return bind.Default()
}

func newServer(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: headerTimeout}
}

// serve serves h until a signal, then waits for the requests in progress.
func serve(h http.Handler, listener net.Listener) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	log.Println("Starting kami on", listener.Addr())
	server := newServer(h)
	stopped := make(chan error, 1)
	go func() {
		<-signals
		signal.Stop(signals)
		log.Println("kami received signal, gracefully stopping")
		stopped <- server.Shutdown(context.Background())
	}()
	bind.Ready()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		log.Fatalf("kami: serving on %s: %v", listener.Addr(), err)
	}
	if err := <-stopped; err != nil {
		log.Printf("kami: stopping: %v", err)
	}
	log.Println("kami stopped")
}
