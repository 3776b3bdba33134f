package main

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

func init() { gin.SetMode(gin.ReleaseMode) }

// newGin is gin. Values go into the request's context, which is the handler's too: gin's own would only ask that one, with
// ContextWithFallback. Its writer knows the status. Standard middleware wraps the whole of it.
func newGin(j *job) http.Handler {
	m := gin.New()
	m.HandleMethodNotAllowed = true
	if j.observed {
		m.Use(func(c *gin.Context) {
			c.Next()
			logged(c.Request, c.Writer.Status())
		})
	}
	if j.base {
		m.Use(func(c *gin.Context) {
			c.Request = c.Request.WithContext(&carried[gin.Params]{c.Request.Context(), c.Params})
		})
	}
	for i := range j.values {
		m.Use(func(c *gin.Context) {
			c.Request = c.Request.WithContext(adding(c.Request.Context(), i+1))
		})
	}
	for _, rt := range j.routes {
		shape := rt.shape
		m.Handle(rt.method, rt.path, func(c *gin.Context) {
			e, ctx, params := examOf(c.Request), c.Request.Context(), c.Params
			if j.base {
				params = paramsIn[gin.Params](ctx)
			}
			for i, name := range shape.names {
				e.param(i, params.ByName(name))
			}
			e.finish(c.Writer, ctx, ctx)
		})
	}
	return wrapped(m, &job{standard: j.standard})
}
