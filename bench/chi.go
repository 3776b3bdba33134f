package main

import (
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
)

// newChi is chi, with its own wrapper for the writer.
func newChi(j *job) http.Handler {
	m := chi.NewRouter()
	if j.slashes {
		m.Use(middleware.RedirectSlashes)
	}
	if j.observed {
		m.Use(chiLogger)
	}
	for _, i := range j.added() {
		m.Use(addingStandard(i))
	}
	for range j.standard {
		m.Use(passOn)
	}
	for _, rt := range j.routes {
		m.MethodFunc(rt.method, rt.braced(), func(w http.ResponseWriter, r *http.Request) {
			e := examOf(r)
			for i, name := range rt.names {
				e.param(i, chi.URLParam(r, name))
			}
			e.finish(w, r.Context(), r.Context())
		})
	}
	return m
}

func chiLogger(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		next.ServeHTTP(ww, r)
		logged(r, ww.Status())
	})
}
