package main

import (
	"net/http"

	"github.com/julienschmidt/httprouter"
)

// newHTTPRouter is httprouter with its own type of handlers. It has no middleware: handlers are wrapped, as its
// examples do it, and standard middleware wraps the whole.
func newHTTPRouter(j *job) http.Handler {
	m := httprouter.New()
	for _, rt := range j.routes {
		m.Handle(rt.method, rt.path, httprouterWrapped(j, httprouterHandle(rt)))
	}
	return wrapped(m, &job{standard: j.standard, observed: j.observed})
}

func httprouterHandle(rt *route) httprouter.Handle {
	return func(w http.ResponseWriter, r *http.Request, params httprouter.Params) {
		e := examOf(r)
		for i, name := range rt.names {
			e.param(i, params.ByName(name))
		}
		e.finish(w, r.Context(), r.Context())
	}
}

func httprouterWrapped(j *job, h httprouter.Handle) httprouter.Handle {
	added := j.added()
	for k := len(added) - 1; k >= 0; k-- {
		i, next := added[k], h
		h = func(w http.ResponseWriter, r *http.Request, params httprouter.Params) {
			next(w, r.WithContext(adding(r.Context(), i)), params)
		}
	}
	return h
}
