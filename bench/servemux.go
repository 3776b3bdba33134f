package main

import (
	"context"
	"net/http"
)

// newServeMux is net/http's ServeMux. Middleware wraps the whole of it, for it has none.
func newServeMux(j *job) http.Handler {
	m := http.NewServeMux()
	for _, rt := range j.routes {
		m.HandleFunc(rt.method+" "+rt.braced(), func(w http.ResponseWriter, r *http.Request) {
			e := examOf(r)
			if j.base {
				r = r.WithContext(&carried[*http.Request]{r.Context(), r})
				e.read(rt.names, serveMuxParam, r.Context(), r.Context())
			} else {
				for i, name := range rt.names {
					e.param(i, r.PathValue(name))
				}
			}
			e.finish(w, r.Context(), r.Context())
		})
	}
	return wrapped(m, j)
}

func serveMuxParam(ctx context.Context, name string) string {
	return paramsIn[*http.Request](ctx).PathValue(name)
}

// wrapped returns the handler with all middleware around it.
func wrapped(h http.Handler, j *job) http.Handler {
	all := standardMiddleware(j)
	for i := len(all) - 1; i >= 0; i-- {
		h = all[i](h)
	}
	return h
}

// standardMiddleware is all middleware of the job, the outermost first, for those whose middleware is net/http's.
func standardMiddleware(j *job) []func(http.Handler) http.Handler {
	var all []func(http.Handler) http.Handler
	if j.observed {
		all = append(all, recording)
	}
	for i := range j.values {
		all = append(all, addingStandard(i+1))
	}
	for range j.standard {
		all = append(all, passOn)
	}
	return all
}

func addingStandard(i int) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(adding(r.Context(), i)))
		})
	}
}

// recording is the logger with the writer that most apps have.
func recording(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder{ResponseWriter: w}
		next.ServeHTTP(rec, r)
		logged(r, rec.status)
	})
}
