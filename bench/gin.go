package main

import (
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
	for _, i := range j.added() {
		m.Use(func(c *gin.Context) {
			c.Request = c.Request.WithContext(adding(c.Request.Context(), i))
			c.Next()
		})
	}
	for _, rt := range j.routes {
		m.Handle(rt.method, rt.path, func(c *gin.Context) {
			e := examOf(c.Request)
			for i, name := range rt.names {
				e.param(i, c.Param(name))
			}
			e.finish(c.Writer, c, c.Request.Context())
		})
	}
	return wrapped(m, &job{standard: j.standard})
}
