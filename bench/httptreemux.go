package main

import (
	"context"
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
				next(w, r.WithContext(httptreemux.AddParamsToContext(adding(r.Context(), 0), params)), params)
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
		m.Handle(rt.method, rt.path, func(w http.ResponseWriter, r *http.Request, params map[string]string) {
			e := examOf(r)
			if j.base {
				e.read(rt.names, httptreemuxParam, r.Context(), r.Context())
			} else {
				for i, name := range rt.names {
					e.param(i, params[name])
				}
			}
			e.finish(w, r.Context(), r.Context())
		})
	}
	return wrapped(m, &job{standard: j.standard, observed: j.observed})
}

func httptreemuxParam(ctx context.Context, name string) string {
	return httptreemux.ContextParams(ctx)[name]
}
