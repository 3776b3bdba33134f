package kami_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/zenazn/goji/graceful"

	"github.com/guregu/kami"
)

func ExampleMux_ServeContext() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, cancel) // a second signal ends the process
	listener, err := net.Listen("tcp", "127.0.0.1:9000")
	if err != nil {
		log.Fatal(err)
	}
	mux := kami.New()
	mux.DrainTimeout = 20 * time.Second
	server := &http.Server{
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       11 * time.Minute,
		WriteTimeout:      time.Minute, // not if there are event streams
		ErrorLog:          log.New(os.Stderr, "http: ", log.LstdFlags),
		Protocols:         new(http.Protocols),
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true) // h2c
	if err := mux.ServeContext(ctx, listener, server); err != nil {
		log.Fatal(err)
	}
}

func ExampleDraining() {
	kami.Cancel = true // so that ctx ends when the client goes away
	kami.Get("/events", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for {
			select {
			case event := <-events:
				fmt.Fprintf(w, "data: %s\n\n", event)
				_ = http.NewResponseController(w).Flush()
			case <-kami.Draining(ctx):
				fmt.Fprint(w, "retry: 1000\nevent: bye\ndata:\n\n") // come back in a second
				return
			case <-ctx.Done():
				return
			}
		}
	})
}

func ExampleDraining_websockets() {
	kami.Get("/chat", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		draining := kami.Draining(ctx) // the server waits for this handler from now on
		socket, err := upgrade(w, r)   // with a websocket package of your choice
		if err != nil {
			return
		}
		defer socket.Close()
		for {
			select {
			case message := <-messages:
				socket.Send(message)
			case <-draining:
				socket.GoAway() // status 1001
				return
			}
		}
	})
}

func ExampleServe_preHook() {
	if os.Getenv("KUBERNETES_SERVICE_HOST") != "" {
		graceful.PreHook(func() { time.Sleep(5 * time.Second) })
	}
}

func ExampleGet_debug() {
	kami.Use("/debug/", requireAdmin)
	kami.Get("/debug/*rest", http.DefaultServeMux)
}

// The parts of the app that the examples use.
var (
	events, messages chan string
	upgrade          func(http.ResponseWriter, *http.Request) (webSocket, error)
	requireAdmin     kami.Middleware
)

type webSocket interface {
	io.Closer
	Send(message string)
	GoAway()
}
