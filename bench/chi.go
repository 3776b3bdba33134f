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
	if j.base {
		m.Use(addingStandard(0))
	}
	for i := range j.values {
		m.Use(addingStandard(i + 1))
	}
	for range j.standard {
		m.Use(passOn)
	}
	for _, rt := range j.routes {
		shape := rt.shape
		m.MethodFunc(rt.method, rt.braced(), func(w http.ResponseWriter, r *http.Request) {
			e := examOf(r)
			for i, name := range shape.names {
				e.param(i, chi.URLParamFromCtx(r.Context(), name))
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
