package main

import (
	"net/http"

	"github.com/dimfeld/httptreemux/v5"
)

// newHTTPTreeMux is httptreemux with its own type of handlers and middleware; standard middleware wraps the whole. Its
// DefaultContext would put away the incoming request's values.
func newHTTPTreeMux(j *job) http.Handler {
	m := httptreemux.New()
	if j.base {
		m.Use(func(next httptreemux.HandlerFunc) httptreemux.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request, params map[string]string) {
				next(w, r.WithContext(&carried[map[string]string]{r.Context(), params}), params)
			}
		})
	}
	for i := range j.values {
		m.Use(func(next httptreemux.HandlerFunc) httptreemux.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request, params map[string]string) {
				next(w, r.WithContext(adding(r.Context(), i+1)), params)
			}
		})
	}
	for _, rt := range j.routes {
		shape := rt.shape
		m.Handle(rt.method, rt.path, func(w http.ResponseWriter, r *http.Request, params map[string]string) {
			e, ctx := examOf(r), r.Context()
			if j.base {
				params = paramsIn[map[string]string](ctx)
			}
			for i, name := range shape.names {
				e.param(i, params[name])
			}
			e.finish(w, ctx, ctx)
		})
	}
	return wrapped(m, &job{standard: j.standard, observed: j.observed})
}
