package comingfrom

import (
	"fmt"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
)

// Chi is the app on chi.
func Chi() http.Handler {
	r := chi.NewRouter()
	r.Use(middleware.Recoverer)
	r.Use(requestID)
	r.NotFound(notFound)
	r.Route("/hello", func(r chi.Router) {
		r.Use(greeting)
		r.Get("/{name}", chiHello)
	})
	r.Route("/admin", func(r chi.Router) {
		r.Use(adminOnly)
		r.Get("/stats", stats)
	})
	r.Post("/items", createItem)
	return r
}

func chiHello(w http.ResponseWriter, r *http.Request) {
	word := r.Context().Value(greetingKey{})
	fmt.Fprintf(w, "%s, %s!", word, chi.URLParam(r, "name"))
}
