// Command server serves a few paths with kami, or with net/http alone, for the scripts of this directory. It prints
// its address, and stops when it is interrupted.
//
//	GET, POST  /      reads the body and answers with a kilobyte
//	GET        /big   a megabyte
//	GET        /open  how many connections are open, the one that asks included
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/guregu/kami"
)

var (
	with        = flag.String("with", "kami", "what serves: kami or net/http")
	mode        = flag.String("mode", "plain", "how: plain, tls or h2c")
	certificate = flag.String("certificate", "", "PEM `file` with the certificate and the key for -mode tls")
)

var open atomic.Int64 // connections

func main() {
	flag.Parse()
	server, err := newServer()
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	fmt.Println(listener.Addr())
	if err := serve(ctx, listener, server); err != nil {
		log.Fatal(err)
	}
}

func serve(ctx context.Context, l net.Listener, server *http.Server) error {
	switch *with {
	case "kami":
		mux := kami.New()
		mux.Get("/", kilobyte)
		mux.Post("/", kilobyte)
		mux.Get("/big", megabyte)
		mux.Get("/open", countOpen)
		return mux.ServeContext(ctx, l, server)
	case "net/http":
		mux := http.NewServeMux()
		mux.HandleFunc("GET /{$}", kilobyte)
		mux.HandleFunc("POST /{$}", kilobyte)
		mux.HandleFunc("GET /big", megabyte)
		mux.HandleFunc("GET /open", countOpen)
		server.Handler = mux
		context.AfterFunc(ctx, func() { _ = server.Close() })
		err := server.Serve
		if server.TLSConfig != nil {
			err = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
		}
		if failure := err(l); !errors.Is(failure, http.ErrServerClosed) {
			return failure
		}
		return nil
	}
	return fmt.Errorf("server: -with %q is unknown", *with)
}

// newServer is a server with kami's defaults, whatever serves.
func newServer() (*http.Server, error) {
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 3 * time.Minute, ConnState: countConn}
	switch *mode {
	case "plain":
	case "tls":
		pair, err := tls.LoadX509KeyPair(*certificate, *certificate)
		if err != nil {
			return nil, err
		}
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}}
	case "h2c":
		server.Protocols = new(http.Protocols)
		server.Protocols.SetHTTP1(true)
		server.Protocols.SetUnencryptedHTTP2(true)
	default:
		return nil, fmt.Errorf("server: -mode %q is unknown", *mode)
	}
	return server, nil
}

func countConn(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		open.Add(1)
	case http.StateClosed:
		open.Add(-1)
	}
}

func kilobyte(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, _ = w.Write(bytes.Repeat([]byte("kami\n"), 205))
}

func megabyte(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write(bytes.Repeat([]byte("kami\n"), 205*1024))
}

func countOpen(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, open.Load()) }
