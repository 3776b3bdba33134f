package comingfrom

import (
	"context"
	"errors"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

// ServeMux is the app on http.ServeMux.
func ServeMux() http.Handler {
	admin := http.NewServeMux()
	admin.HandleFunc("GET /admin/stats", stats)
	admin.HandleFunc("/", notFound)

	greeted := greeting(http.HandlerFunc(hello))
	mux := http.NewServeMux()
	mux.Handle("GET /hello/{name}", greeted)
	mux.Handle("/admin/", adminOnly(admin))
	mux.HandleFunc("POST /items", createItem)
	mux.HandleFunc("/", notFound)
	return requestID(mux)
}

// RunServer serves an app and stops gracefully, with what net/http has.
func RunServer(app http.Handler) {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	server := &http.Server{Addr: ":8000", Handler: app}
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() { stopped <- server.Shutdown(context.Background()) })
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	if err := <-stopped; err != nil {
		log.Fatal(err)
	}
}
