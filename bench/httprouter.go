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
		m.Handle(rt.method, rt.path, httprouterWrapped(j, httprouterHandle(rt.shape, j.base)))
	}
	return wrapped(m, &job{standard: j.standard, observed: j.observed})
}

func httprouterHandle(shape *shape, base bool) httprouter.Handle {
	return func(w http.ResponseWriter, r *http.Request, params httprouter.Params) {
		e, ctx := examOf(r), r.Context()
		if base {
			params = paramsIn[httprouter.Params](ctx)
		}
		for i, name := range shape.names {
			e.param(i, params.ByName(name))
		}
		e.finish(w, ctx, ctx)
	}
}

func httprouterWrapped(j *job, h httprouter.Handle) httprouter.Handle {
	for i := j.values; i > 0; i-- {
		next := h
		h = func(w http.ResponseWriter, r *http.Request, params httprouter.Params) {
			next(w, r.WithContext(adding(r.Context(), i)), params)
		}
	}
	if !j.base {
		return h
	}
	return func(w http.ResponseWriter, r *http.Request, params httprouter.Params) {
		h(w, r.WithContext(&carried[httprouter.Params]{r.Context(), params}), params)
	}
}
