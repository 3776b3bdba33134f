package main

import (
	"context"
	"net/http"

	"github.com/guregu/kami"
	"github.com/guregu/kami/mutil"
)

// -compare compiles this file with older revisions too, so it uses only API that they have.
func init() { builds[now] = newKami }

// newKami is kami, with the app's value in its base context, and context middleware.
func newKami(j *job) http.Handler {
	m := kami.New()
	if j.base {
		m.Context = adding(context.Background(), 0)
	}
	for i := range j.values {
		if j.plain {
			m.Use("/", func(ctx context.Context) context.Context { return adding(ctx, i+1) })
			continue
		}
		m.Use("/", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) context.Context {
			return adding(ctx, i+1)
		})
	}
	for range j.standard {
		m.Use("/", passOn)
	}
	if j.odd {
		m.Use("/", func(ctx context.Context) context.Context { return odd{ctx} })
	}
	for _, scope := range j.scopes {
		m.Use(scope, func(ctx context.Context) context.Context { return ctx })
	}
	if j.observed {
		m.After("/", func(ctx context.Context, _ mutil.WriterProxy, _ *http.Request) context.Context { return ctx })
		m.LogHandler = func(_ context.Context, w mutil.WriterProxy, r *http.Request) { logged(r, w.Status()) }
	}
	for _, rt := range j.routes {
		shape := rt.shape
		handler := func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			e := examOf(r)
			for i, name := range shape.names {
				e.param(i, kami.Param(ctx, name))
				if e.both() {
					e.param(i, kami.Param(r.Context(), name))
				}
			}
			e.finish(w, ctx, r.Context())
		}
		if j.fallible {
			m.Handle(rt.method, rt.path, func(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
				handler(ctx, w, r)
				return nil
			})
			continue
		}
		m.Handle(rt.method, rt.path, handler)
	}
	return m
}
