package main

import "net/http"

// newServeMux is net/http's ServeMux. Middleware wraps the whole of it, for it has none.
func newServeMux(j *job) http.Handler {
	m := http.NewServeMux()
	for _, rt := range j.routes {
		shape := rt.shape
		m.HandleFunc(rt.method+" "+rt.braced(), func(w http.ResponseWriter, r *http.Request) {
			e, params := examOf(r), r
			if j.base {
				r = r.WithContext(&carried[*http.Request]{r.Context(), r})
				params = paramsIn[*http.Request](r.Context())
			}
			for i, name := range shape.names {
				e.param(i, params.PathValue(name))
			}
			e.finish(w, r.Context(), r.Context())
		})
	}
	return wrapped(m, j)
}

// wrapped returns the handler with all middleware around it.
func wrapped(h http.Handler, j *job) http.Handler {
	for range j.standard {
		h = passOn(h)
	}
	for i := j.values; i > 0; i-- {
		h = addingStandard(i)(h)
	}
	if j.observed {
		h = recording(h)
	}
	return h
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
