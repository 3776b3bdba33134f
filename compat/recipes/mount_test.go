package recipes

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/guregu/kami"
	"github.com/guregu/kami/mutil"
	"github.com/stretchr/testify/assert"
)

func Example_underServeMux() {
	admin := kami.New()
	admin.Get("/admin/users/:id", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "user", kami.Param(ctx, "id"), "by", r.Pattern)
	})

	server := http.NewServeMux()
	server.Handle("/admin/", admin) // the whole path: no StripPrefix
	server.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "home") })

	for _, path := range []string{"/", "/admin/users/7", "/admin/users/7/", "/admin/nothing", "/nothing"} {
		show(get(server, path), "Location")
	}
	// Output:
	// 200 | home
	// 200 | user 7 by /admin/users/:id
	// 301 | Location: /admin/users/7 | <a href="/admin/users/7">Moved Permanently</a>.
	// 404 | 404 page not found
	// 404 | 404 page not found
}

// Who stands outside of both sees kami's pattern for a route of kami's, else that of ServeMux.
func TestPatternOutsideServeMux(t *testing.T) {
	admin := kami.New()
	admin.Get("/admin/users/:id", func(http.ResponseWriter, *http.Request) {})
	admin.LogHandler = func(_ context.Context, w mutil.WriterProxy, r *http.Request) {
		assert.Equal(t, w.Status() == http.StatusNotFound, r.Pattern == "", r.URL)
	}
	server := http.NewServeMux()
	server.Handle("/admin/", admin)
	for path, pattern := range map[string]string{"/admin/users/7": "/admin/users/:id", "/admin/nothing": "/admin/"} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		server.ServeHTTP(httptest.NewRecorder(), r)
		assert.Equal(t, pattern, r.Pattern, path)
	}
}

func Example_serveMuxUnder() {
	old := http.NewServeMux()
	old.HandleFunc("GET /old/users/{id}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "user", r.PathValue("id"), "by", r.Pattern)
	})
	old.HandleFunc("POST /old/users/{id}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "changed", r.PathValue("id"))
	})
	requireUser := func(ctx context.Context, w http.ResponseWriter, r *http.Request) context.Context {
		if _, _, ok := r.BasicAuth(); !ok {
			w.WriteHeader(http.StatusUnauthorized)
			return nil
		}
		return ctx
	}

	mux := kami.New()
	mux.Use("/old/", requireUser)
	mux.Mount("/old/", old) // the whole path: it would be http.StripPrefix("/old", old) otherwise

	me := []string{"Authorization", "Basic bWU6"}
	show(get(mux, "/old/users/7", me...))
	show(ask(mux, http.MethodPost, "/old/users/7", "", me...))
	show(get(mux, "/old/users/7"))
	show(get(mux, "/old/nothing", me...))
	show(ask(mux, http.MethodPut, "/old/users/7", "", me...), "Allow")
	// Output:
	// 200 | user 7 by GET /old/users/{id}
	// 200 | changed 7
	// 401
	// 404 | 404 page not found
	// 405 | Allow: GET, HEAD, POST | Method Not Allowed
}
