package main

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"
)

func init() { gin.SetMode(gin.ReleaseMode) }

// newGin is gin. Values go into the request's context, and ContextWithFallback shows them in gin's own too. Its writer
// knows the status. Standard middleware wraps the whole of it.
func newGin(j *job) http.Handler {
	m := gin.New()
	m.ContextWithFallback, m.HandleMethodNotAllowed = true, true
	if j.observed {
		m.Use(func(c *gin.Context) {
			c.Next()
			logged(c.Request, c.Writer.Status())
		})
	}
	if j.base {
		m.Use(func(c *gin.Context) {
			c.Request = c.Request.WithContext(&carried[gin.Params]{c.Request.Context(), c.Params})
			c.Next()
		})
	}
	for i := range j.values {
		m.Use(func(c *gin.Context) {
			c.Request = c.Request.WithContext(adding(c.Request.Context(), i+1))
			c.Next()
		})
	}
	for _, rt := range j.routes {
		m.Handle(rt.method, rt.path, func(c *gin.Context) {
			e := examOf(c.Request)
			if j.base {
				e.read(rt.names, ginParam, c, c.Request.Context())
			} else {
				for i, name := range rt.names {
					e.param(i, c.Param(name))
				}
			}
			e.finish(c.Writer, c, c.Request.Context())
		})
	}
	return wrapped(m, &job{standard: j.standard})
}

func ginParam(ctx context.Context, name string) string { return paramsIn[gin.Params](ctx).ByName(name) }
