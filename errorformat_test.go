package kami_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/mutil"
)

func TestErrorHandlerAnswersRequestsWithoutARoute(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		log := slogged(t)
		var status []int
		*s.logHandler = func(_ context.Context, w mutil.WriterProxy, _ *http.Request) { status = append(status, w.Status()) }
		*s.errorHandler = func(ctx context.Context, w http.ResponseWriter, r *http.Request, err error) {
			assert.Equal(t, ctx, r.Context())
			assert.Equal(t, "seen", ctx.Value(ctxKey{}))
			var coder interface{ StatusCode() int }
			if assert.ErrorAs(t, err, &coder) {
				w.WriteHeader(coder.StatusCode())
			}
			fmt.Fprint(w, r.Method, " ", r.URL.Path, " ", errors.Is(err, kami.ErrNotFound), errors.Is(err, kami.ErrMethodNotAllowed))
		}
		s.use("/", func(ctx context.Context) context.Context { return context.WithValue(ctx, ctxKey{}, "seen") })
		s.get("/a", echo("a"))
		s.get("/dir/", echo("dir"))
		for _, test := range []struct{ request, want, allow string }{
			{"GET /none", "404 GET /none true false", ""},
			{"POST /none/", "404 POST /none/ true false", ""},
			{"GET /none/%2e%2e/x", "404 GET /x true false", ""}, // as for NotFound: nobody is shown an unclean path
			{"POST /a", "405 POST /a false true", "GET, HEAD, OPTIONS"},
			{"OPTIONS /a", "204 ", "GET, HEAD, OPTIONS"},
			{"OPTIONS /none", "404 OPTIONS /none true false", ""},
			{"GET /dir", "301 <a href=\"/dir/\">Moved Permanently</a>.\n\n", ""},
			{"GET /a", "200 a", ""},
		} {
			method, target, _ := strings.Cut(test.request, " ")
			w := s.do(method, target)
			assert.Equal(t, test.want, fmt.Sprint(w.Code, " ", w.Body.String()), test.request)
			assert.Equal(t, test.allow, w.Header().Get("Allow"), test.request)
		}
		assert.Equal(t, []int{404, 404, 404, 405, 204, 404, 301, 200}, status)
		s.enableMethodNotAllowed(false)
		assert.Equal(t, "POST /a true false", s.do("POST", "/a").Body.String())
		s.enableMethodNotAllowed(true)
		s.notFound(echo("mine"))
		s.methodNotAllowed(echo("mine too"))
		assert.Equal(t, "mine", s.do("GET", "/none").Body.String())
		assert.Equal(t, "mine too", s.do("POST", "/a").Body.String())
		s.notFound(nil)
		s.methodNotAllowed(nil)
		assert.Equal(t, "GET /none true false", s.do("GET", "/none").Body.String())
		*s.errorHandler = nil
		assert.Equal(t, "404 page not found\n", s.do("GET", "/none").Body.String())
		assert.Equal(t, "Method Not Allowed\n", s.do("POST", "/a").Body.String())
		assert.Empty(t, log.String())
	})
}

// An error never becomes an empty 200, and nothing is added to a response that has begun.
func TestErrorHandlerWithoutAnAnswerForNoRoute(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		log := slogged(t)
		*s.errorHandler = func(context.Context, http.ResponseWriter, *http.Request, error) {}
		s.get("/a", echo("a"))
		assert.Equal(t, 500, s.do("GET", "/none").Code)
		assert.Equal(t, 500, s.do("POST", "/a").Code)
		s.use("/begun/", func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, "begun")
				next.ServeHTTP(w, r)
			})
		})
		w, aborted := s.aborts("GET", "/begun/x")
		assert.True(t, aborted)
		assert.Equal(t, "begun", w.Body.String())
		assert.Contains(t, log.String(), "no resource has this path")
	})
}

func TestErrorHandlerLeavesPanicsAlone(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		*s.errorHandler = func(context.Context, http.ResponseWriter, *http.Request, error) { t.Error("it is no error") }
		s.get("/", func(http.ResponseWriter, *http.Request) { panic("out of users") })
		assert.Equal(t, "out of users", panicOf(func() { s.do("GET", "/") }))
	})
}

func TestErrorHandlerExplained(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		s.get("/a", echo("a"))
		*s.errorHandler = kami.DefaultErrorHandler
		for request, want := range map[string]string{
			"GET /none": "404 Not Found, by kami.DefaultErrorHandler",
			"POST /a":   "405 Method Not Allowed, Allow: GET, HEAD, OPTIONS, by kami.DefaultErrorHandler",
		} {
			method, target, _ := strings.Cut(request, " ")
			e, err := s.explain(method, target)
			assert.NoError(t, err)
			assert.Equal(t, want, e.Answer())
		}
		r := httptest.NewRequest("GET", "/none", nil)
		r.Header.Set("Accept", "application/json")
		assert.Equal(t, `{"title":"Not Found","status":404,"detail":"no resource has this path"}`+"\n", s.serve(r).Body.String())
	})
}

// If one Mux is mounted in another, each uses its own ErrorHandler.
func TestErrorHandlersOfMountedMuxes(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		named := func(name string) func(context.Context, http.ResponseWriter, *http.Request, error) {
			return func(_ context.Context, w http.ResponseWriter, r *http.Request, err error) {
				fmt.Fprint(w, name, ": ", err)
			}
		}
		inner := kami.New()
		inner.ErrorHandler = named("inner")
		inner.Get("/in/a", echo("a"))
		*s.errorHandler = named("outer")
		s.mount("/in/", inner)
		assert.Equal(t, "inner: no resource has this path", s.do("GET", "/in/none").Body.String())
		assert.Equal(t, "inner: the resource does not have this method", s.do("POST", "/in/a").Body.String())
		assert.Equal(t, "outer: no resource has this path", s.do("GET", "/none").Body.String())
	})
}

// answerJSON is an ErrorHandler as an app could have it: one format for all errors, and its own log.
func answerJSON(ctx context.Context, w http.ResponseWriter, r *http.Request, err error) {
	code, text := http.StatusInternalServerError, "something went wrong"
	var coder interface{ StatusCode() int }
	if errors.As(err, &coder) && coder.StatusCode() < 500 {
		code, text = coder.StatusCode(), err.Error()
	} else {
		slog.ErrorContext(ctx, "request failed", "method", r.Method, "pattern", r.Pattern, "err", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{"code": code, "error": text})
}

type sum struct {
	A int `path:"a"`
	B int `query:"b"`
}

// One ErrorHandler gives one format to a 404, a 405, a handler's error, and an endpoint's errors.
func TestErrorsInOneFormat(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		log := slogged(t)
		*s.errorHandler = answerJSON
		s.get("/handler", fails(&statusError{409, nil}))
		s.get("/broken", fails(errors.New("the password is 123")))
		s.get("/sum/:a", endpoint.JSON(func(_ context.Context, in sum) (int, error) {
			if in.A == in.B {
				return 0, endpoint.Error(http.StatusUnprocessableEntity, "they are the same")
			}
			return in.A + in.B, nil
		}))
		for request, want := range map[string]struct {
			code int
			text string
		}{
			"GET /none":      {404, "no resource has this path"},
			"PUT /handler":   {405, "the resource does not have this method"},
			"GET /handler":   {409, "error 409"},
			"GET /broken":    {500, "something went wrong"},
			"GET /sum/x":     {400, `path "a": "x" is not an integer`},
			"GET /sum/1?b=1": {422, "they are the same"},
		} {
			method, target, _ := strings.Cut(request, " ")
			w := s.do(method, target)
			assert.Equal(t, want.code, w.Code, request)
			assert.Equal(t, "application/json", w.Header().Get("Content-Type"), request)
			var got map[string]any
			assert.NoError(t, json.Unmarshal(w.Body.Bytes(), &got), request)
			assert.Equal(t, map[string]any{"code": float64(want.code), "error": want.text}, got, request)
		}
		assert.Equal(t, "level=ERROR msg=\"request failed\" method=GET pattern=/broken err=\"the password is 123\"\n", log.String())
	})
}
