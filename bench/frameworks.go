package main

import (
	"net/http"

	"github.com/dimfeld/httptreemux/v5"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/julienschmidt/httprouter"
	"github.com/labstack/echo/v5"
	echomiddleware "github.com/labstack/echo/v5/middleware"
	"github.com/uptrace/bunrouter"
)

// newServeMux is net/http's ServeMux. It has no middleware, so handlers wrap the whole mux.
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
	return wrapped(m, j.standard, j.values, j.observed)
}

// wrapped returns the handler with middleware around it, and a logger with a recorder.
func wrapped(h http.Handler, standard, values int, observed bool) http.Handler {
	for range standard {
		h = passOn(h)
	}
	for i := values; i > 0; i-- {
		h = addingStandard(i)(h)
	}
	if !observed {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder{ResponseWriter: w}
		h.ServeHTTP(rec, r)
		logged(r, rec.status)
	})
}

func addingStandard(i int) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(adding(r.Context(), i)))
		})
	}
}

// stack is the middleware of a job, in a framework's own type.
func stack[M any](j *job, logger, base M, value func(i int) M, standard ...M) (all []M) {
	if j.observed {
		all = append(all, logger)
	}
	if j.base {
		all = append(all, base)
	}
	for i := range j.values {
		all = append(all, value(i+1))
	}
	for range j.standard {
		all = append(all, standard...)
	}
	return all
}

// newChi is chi, with chi's wrapper for the writer.
func newChi(j *job) http.Handler {
	m := chi.NewRouter()
	if j.slashes {
		m.Use(chimiddleware.RedirectSlashes)
	}
	logger := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ww := chimiddleware.NewWrapResponseWriter(w, r.ProtoMajor)
			next.ServeHTTP(ww, r)
			logged(r, ww.Status())
		})
	}
	m.Use(stack(j, logger, addingStandard(0), addingStandard, passOn)...)
	for _, rt := range j.routes {
		shape := rt.shape
		m.MethodFunc(rt.method, rt.braced(), func(w http.ResponseWriter, r *http.Request) {
			e := examOf(r)
			for i, name := range shape.names {
				e.param(i, chi.URLParamFromCtx(r.Context(), name))
			}
			e.finish(w, r.Context(), r.Context())
		})
	}
	return m
}

func init() { gin.SetMode(gin.ReleaseMode) }

// newGin is gin. Values go into the request's context, which is the handler's too, because gin's own context only asks that one,
// with ContextWithFallback. gin's writer knows the status. Standard middleware wraps the whole router.
func newGin(j *job) http.Handler {
	m := gin.New()
	m.HandleMethodNotAllowed = true
	logger := func(c *gin.Context) {
		c.Next()
		logged(c.Request, c.Writer.Status())
	}
	base := func(c *gin.Context) {
		c.Request = c.Request.WithContext(&carried[gin.Params]{c.Request.Context(), c.Params})
	}
	m.Use(stack[gin.HandlerFunc](j, logger, base, func(i int) gin.HandlerFunc {
		return func(c *gin.Context) { c.Request = c.Request.WithContext(adding(c.Request.Context(), i)) }
	})...)
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
	return wrapped(m, j.standard, 0, false)
}

// newEcho is echo. echo.Context is not a context.Context, so the handler uses the request's. echo's response knows the status.
func newEcho(j *job) http.Handler {
	m := echo.New()
	if j.slashes {
		m.Pre(echomiddleware.AddTrailingSlashWithConfig(echomiddleware.AddTrailingSlashConfig{
			RedirectCode: http.StatusMovedPermanently,
		}))
	}
	logger := func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			err := next(c)
			if response, _ := echo.UnwrapResponse(c.Response()); response != nil {
				logged(c.Request(), response.Status)
			}
			return err
		}
	}
	base := func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			c.SetRequest(c.Request().WithContext(&carried[echo.PathValues]{c.Request().Context(), c.PathValues()}))
			return next(c)
		}
	}
	m.Use(stack[echo.MiddlewareFunc](j, logger, base, func(i int) echo.MiddlewareFunc {
		return func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c *echo.Context) error {
				c.SetRequest(c.Request().WithContext(adding(c.Request().Context(), i)))
				return next(c)
			}
		}
	}, echo.WrapMiddleware(passOn))...)
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

// newBunrouter is bunrouter. HTTPHandler adapts standard middleware.
func newBunrouter(j *job) http.Handler {
	logger := func(next bunrouter.HandlerFunc) bunrouter.HandlerFunc {
		return func(w http.ResponseWriter, r bunrouter.Request) error {
			rec := &recorder{ResponseWriter: w}
			err := next(rec, r)
			logged(r.Request, rec.status)
			return err
		}
	}
	base := func(next bunrouter.HandlerFunc) bunrouter.HandlerFunc {
		return func(w http.ResponseWriter, r bunrouter.Request) error {
			return next(w, r.WithContext(&carried[bunrouter.Params]{r.Context(), r.Params()}))
		}
	}
	m := bunrouter.New(bunrouter.Use(stack[bunrouter.MiddlewareFunc](j, logger, base, func(i int) bunrouter.MiddlewareFunc {
		return func(next bunrouter.HandlerFunc) bunrouter.HandlerFunc {
			return func(w http.ResponseWriter, r bunrouter.Request) error {
				return next(w, r.WithContext(adding(r.Context(), i)))
			}
		}
	}, func(next bunrouter.HandlerFunc) bunrouter.HandlerFunc { return bunrouter.HTTPHandler(passOn(next)) })...))
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

// newHTTPRouter is httprouter with its own type of handlers. It has no middleware, so handlers are wrapped, as in its examples,
// and standard middleware wraps the whole router.
func newHTTPRouter(j *job) http.Handler {
	m := httprouter.New()
	for _, rt := range j.routes {
		shape, base := rt.shape, j.base
		h := func(w http.ResponseWriter, r *http.Request, params httprouter.Params) {
			e, ctx := examOf(r), r.Context()
			if base {
				params = paramsIn[httprouter.Params](ctx)
			}
			for i, name := range shape.names {
				e.param(i, params.ByName(name))
			}
			e.finish(w, ctx, ctx)
		}
		for i := j.values; i > 0; i-- {
			next := h
			h = func(w http.ResponseWriter, r *http.Request, params httprouter.Params) {
				next(w, r.WithContext(adding(r.Context(), i)), params)
			}
		}
		if next := h; base {
			h = func(w http.ResponseWriter, r *http.Request, params httprouter.Params) {
				next(w, r.WithContext(&carried[httprouter.Params]{r.Context(), params}), params)
			}
		}
		m.Handle(rt.method, rt.path, h)
	}
	return wrapped(m, j.standard, 0, j.observed)
}

// newHTTPTreeMux is httptreemux with its own type of handlers and middleware. Standard middleware wraps the whole router. Its
// DefaultContext is not used because it drops the values of the incoming request.
func newHTTPTreeMux(j *job) http.Handler {
	m := httptreemux.New()
	if j.base {
		m.Use(func(next httptreemux.HandlerFunc) httptreemux.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request, params map[string]string) {
				next(w, r.WithContext(&carried[map[string]string]{r.Context(), params}), params)
			}
		})
	}
	for i := range j.values {
		m.Use(func(next httptreemux.HandlerFunc) httptreemux.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request, params map[string]string) {
				next(w, r.WithContext(adding(r.Context(), i+1)), params)
			}
		})
	}
	for _, rt := range j.routes {
		shape := rt.shape
		m.Handle(rt.method, rt.path, func(w http.ResponseWriter, r *http.Request, params map[string]string) {
			e, ctx := examOf(r), r.Context()
			if j.base {
				params = paramsIn[map[string]string](ctx)
			}
			for i, name := range shape.names {
				e.param(i, params[name])
			}
			e.finish(w, ctx, ctx)
		})
	}
	return wrapped(m, j.standard, 0, j.observed)
}
