package main

import (
	"net/http"

	"github.com/uptrace/bunrouter"
)

// newBunrouter is bunrouter. Standard middleware is adapted by its HTTPHandler.
func newBunrouter(j *job) http.Handler {
	var all []bunrouter.MiddlewareFunc
	if j.observed {
		all = append(all, bunrouterLogger)
	}
	if j.base {
		all = append(all, bunrouterBase)
	}
	for i := range j.values {
		all = append(all, func(next bunrouter.HandlerFunc) bunrouter.HandlerFunc {
			return func(w http.ResponseWriter, r bunrouter.Request) error {
				return next(w, r.WithContext(adding(r.Context(), i+1)))
			}
		})
	}
	for range j.standard {
		all = append(all, func(next bunrouter.HandlerFunc) bunrouter.HandlerFunc {
			return bunrouter.HTTPHandler(passOn(next))
		})
	}
	m := bunrouter.New(bunrouter.Use(all...))
	for _, rt := range j.routes {
		shape := rt.shape
		m.Handle(rt.method, rt.path, func(w http.ResponseWriter, r bunrouter.Request) error {
			e, ctx, params := examOf(r.Request), r.Context(), r.Params()
			if j.base {
				params = paramsIn[bunrouter.Params](ctx)
			}
			for i, name := range shape.names {
				e.param(i, params.ByName(name))
			}
			e.finish(w, ctx, ctx)
			return nil
		})
	}
	return m
}

func bunrouterBase(next bunrouter.HandlerFunc) bunrouter.HandlerFunc {
	return func(w http.ResponseWriter, r bunrouter.Request) error {
		return next(w, r.WithContext(&carried[bunrouter.Params]{r.Context(), r.Params()}))
	}
}

func bunrouterLogger(next bunrouter.HandlerFunc) bunrouter.HandlerFunc {
	return func(w http.ResponseWriter, r bunrouter.Request) error {
		rec := &recorder{ResponseWriter: w}
		err := next(rec, r)
		logged(r.Request, rec.status)
		return err
	}
}
