package main

import (
	"net/http"

	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"
)

// newEcho is echo. Its own context is none of package context's, so the request's is the handler's. Its response knows
// the status.
func newEcho(j *job) http.Handler {
	m := echo.New()
	if j.slashes {
		m.Pre(middleware.AddTrailingSlashWithConfig(middleware.AddTrailingSlashConfig{
			RedirectCode: http.StatusMovedPermanently,
		}))
	}
	if j.observed {
		m.Use(echoLogger)
	}
	if j.base {
		m.Use(echoBase)
	}
	for i := range j.values {
		m.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c *echo.Context) error {
				c.SetRequest(c.Request().WithContext(adding(c.Request().Context(), i+1)))
				return next(c)
			}
		})
	}
	for range j.standard {
		m.Use(echo.WrapMiddleware(passOn))
	}
	for _, rt := range j.routes {
		shape := rt.shape
		m.Add(rt.method, rt.path, func(c *echo.Context) error {
			e, ctx, params := examOf(c.Request()), c.Request().Context(), c.PathValues()
			if j.base {
				params = paramsIn[echo.PathValues](ctx)
			}
			for i, name := range shape.names {
				e.param(i, params.GetOr(name, ""))
			}
			e.finish(c.Response(), ctx, ctx)
			return nil
		})
	}
	return m
}

func echoBase(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		c.SetRequest(c.Request().WithContext(&carried[echo.PathValues]{c.Request().Context(), c.PathValues()}))
		return next(c)
	}
}

func echoLogger(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		if err := next(c); err != nil {
			return err
		}
		response, err := echo.UnwrapResponse(c.Response())
		if err == nil {
			logged(c.Request(), response.Status)
		}
		return err
	}
}
