package comingfrom

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/go-chi/chi/v5/middleware"

	"github.com/guregu/kami"
)

// FromChi is the app on kami with handlers and middleware kept as they are, chi's own middleware too.
func FromChi() *kami.Mux {
	mux := kami.New()
	mux.Cancel = true // as net/http does
	mux.Use("/", middleware.Recoverer)
	mux.Use("/", requestID)
	mux.Use("/hello/", greeting)
	mux.Use("/admin/", adminOnly)
	mux.NotFound(notFound)

	mux.Get("/hello/:name", hello)
	mux.Get("/admin/stats", stats)
	mux.Post("/items", createItem)
	return mux
}

// FromServeMux is the app on kami with handlers and middleware kept as they are.
func FromServeMux() *kami.Mux {
	mux := kami.New()
	mux.Cancel = true // as net/http does
	mux.Use("/", requestID)
	mux.Use("/hello/", greeting)
	mux.Use("/admin/", adminOnly)
	mux.NotFound(notFound)

	mux.Get("/hello/:name", hello)
	mux.Get("/admin/stats", stats)
	mux.Post("/items", createItem)
	return mux
}

// Kami is the app in kami's own style.
func Kami() *kami.Mux {
	mux := kami.New()
	mux.Context = context.WithValue(
		context.Background(), greetingKey{}, "Hello")
	mux.Use("/", setRequestID)
	mux.Use("/hello/", setGreeting)
	mux.Use("/admin/", letAdminsIn)
	mux.NotFound(kamiNotFound)

	mux.Get("/hello/:name", kamiHello)
	mux.Get("/admin/stats", kamiStats)
	mux.Post("/items", kamiCreateItem)
	return mux
}

func setRequestID(ctx context.Context, w http.ResponseWriter, r *http.Request) context.Context {
	w.Header().Set("X-Request-Id", rand.Text())
	return ctx
}

func setGreeting(ctx context.Context, r *http.Request) context.Context {
	if r.Header.Get("Accept-Language") == "ja" {
		ctx = context.WithValue(ctx, greetingKey{}, "こんにちは")
	}
	return ctx
}

func letAdminsIn(ctx context.Context, w http.ResponseWriter, r *http.Request) context.Context {
	if r.Header.Get("X-Admin") == "" {
		http.Error(w, "admins only", http.StatusForbidden)
		return nil // which halts
	}
	return ctx
}

func kamiHello(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s, %s!", ctx.Value(greetingKey{}), kami.Param(ctx, "name"))
}

func kamiCreateItem(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	var in item
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Name == "" {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "that is no item"})
		return
	}
	writeJSON(w, http.StatusCreated, in)
}

func kamiStats(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	fmt.Fprint(w, "all is well")
}

func kamiNotFound(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	http.Error(w, "nothing is here", http.StatusNotFound)
}

// Halfway is an app of which a part has moved to kami. What has not is still the old one's.
func Halfway(old http.Handler) *kami.Mux {
	mux := kami.New()
	mux.Cancel = true
	mux.EnableMethodNotAllowed(false) // the old app may have the path with another method
	mux.NotFound(old)                 // whatever has no route here

	mux.Use("/hello/", requestID)
	mux.Use("/hello/", greeting)
	mux.Get("/hello/:name", hello)
	return mux
}

// Run serves the app and stops gracefully.
func Run() {
	Kami().Serve()
}
