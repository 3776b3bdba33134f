// Admin is an ordinary net/http server that has an admin panel, made with kami, under /admin/:
//
//	ADMIN_TOKEN=sesame go run ./examples/admin
//	curl -H 'Authorization: Bearer sesame' localhost:8000/admin/memstats
//	curl -H 'Authorization: Bearer sesame' -X POST localhost:8000/admin/die
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/guregu/kami/examples/admin/admin"
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

// run serves until it is told to stop, by a signal or by the admin panel.
func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once

	token := os.Getenv("ADMIN_TOKEN")
	if token == "" {
		log.Print("ADMIN_TOKEN is not set: the admin panel refuses everything")
	}
	listener, err := net.Listen("tcp", "localhost:8000")
	if err != nil {
		return err
	}
	log.Print("Serving on ", listener.Addr())
	return serve(ctx, listener, routes(token, stop))
}

// routes returns the whole site: the pages of this server, and the panel.
func routes(token string, stop func()) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", home)
	mux.Handle("/admin/", admin.Handler(token, stop))
	return mux
}

func home(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, "Nothing to see here.")
}

// serve serves until ctx ends, then waits for the requests in progress.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	// Longer than any request can take. A new context, as ctx has ended.
	limit, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return server.Shutdown(limit)
}
