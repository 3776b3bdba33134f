package kami_test

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/mutil"
)

// here returns the place of its call in the form of messages: the file with its directory, and the line.
func here() string {
	_, file, line, _ := runtime.Caller(1)
	return fmt.Sprintf("%s/%s:%d", path.Base(path.Dir(file)), path.Base(file), line)
}

// refusal returns the message about a registration that breaks a rule.
func refusal(what, at, rule string) string { return fmt.Sprintf("kami: %s (%s): %s", what, at, rule) }

// nothing is a handler that does nothing.
func nothing(http.ResponseWriter, *http.Request) {}

const (
	acceptedHandlers = "accepted are kami.ContextHandler, http.Handler, " +
		"func(context.Context, http.ResponseWriter, *http.Request), the same with an error as its result, and func(http.ResponseWriter, *http.Request)"
	acceptedMiddleware = "accepted are those of kami.MiddlewareType: " +
		"func(context.Context, http.ResponseWriter, *http.Request) context.Context, " +
		"func(http.ResponseWriter, *http.Request) context.Context, " +
		"func(context.Context, *http.Request) context.Context, func(context.Context) context.Context, " +
		"func(http.Handler) http.Handler, func(http.Handler) http.HandlerFunc, " +
		"func(http.HandlerFunc) http.HandlerFunc, func(kami.ContextHandler) kami.ContextHandler, " +
		"http.Handler, func(http.ResponseWriter, *http.Request)"
	acceptedAfterware = "accepted are those of kami.AfterwareType: " +
		"func(context.Context, mutil.WriterProxy, *http.Request) context.Context, the same without a result, " +
		"func(mutil.WriterProxy, *http.Request) context.Context, func(mutil.WriterProxy, *http.Request), " +
		"and the types of middleware that do not take the next handler"
)

// refused are paths that the grammar refuses, and why.
var refused = [][2]string{
	{"", `a path must begin with "/"`},
	{"a/b", `a path must begin with "/"`},
	{":id", `a path must begin with "/"`},
	{"*", `a path must begin with "/"`},
	{"//", `a path must have no empty segment ("//")`},
	{"//a", `a path must have no empty segment ("//")`},
	{"/a//b", `a path must have no empty segment ("//")`},
	{"/a/b//", `a path must have no empty segment ("//")`},
	{"/a/*rest/b", `nothing may follow the catch-all "*rest"`},
	{"/a/*rest//", `nothing may follow the catch-all "*rest"`},
	{"/*/a", `nothing may follow the catch-all "*"`},
	{"/a/:id/b/:id", `the name "id" must not be used twice in one path`},
	{"/a/:id/*id", `the name "id" must not be used twice in one path`},
}

func TestC26Paths(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		before := s.answers()
		for _, test := range refused {
			path, rule := fmt.Sprintf("%q", test[0]), test[1]
			at, got := here(), panicOf(func() { s.handle("PURGE", test[0], nothing) })
			assert.Equal(t, refusal("PURGE "+path, at, rule), got)
			at, got = here(), panicOf(func() { s.use(test[0], unused) })
			assert.Equal(t, refusal("middleware for "+path, at, rule), got)
			at, got = here(), panicOf(func() { s.after(test[0], unused) })
			assert.Equal(t, refusal("afterware for "+path, at, rule), got)
		}
		assert.Equal(t, before, s.answers())
	})
}

// unused is middleware and afterware that must not run. pass returns its context.
func unused(context.Context) context.Context   { panic("used") }
func pass(ctx context.Context) context.Context { return ctx }

// answers returns what the stack answers to requests that the refused registrations might have changed.
func (s *stack) answers() (all []string) {
	for _, target := range []string{"/", "/a", "/a/b", "/a//b", "/a/b/", "/a/x/y", "/a/1/b/2", "/a/:id", "/new"} {
		for _, method := range []string{"GET", "POST", "PURGE", "OPTIONS"} {
			all = append(all, fmt.Sprintf("%s %s %s", method, target, outcome(s.do(method, target))))
		}
	}
	return all
}

func TestC26AcceptedPaths(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		for _, path := range []string{"/", "/a", "/:", "/:/:", "/*", "/:/*", "/a:b", "/a*b", `/\:a`, `/\*`, "/...", "/a/..b",
			"/%2F", "/あ", "/a b", "/a/:id/b/:other", "/b/*rest/"} {
			assert.Empty(t, panicOf(func() { s.handle("PURGE", path, nothing) }), path)
			assert.Empty(t, panicOf(func() { s.use(path, pass) }), path)
			assert.Empty(t, panicOf(func() { s.after(path, pass) }), path)
		}
	})
}

func TestC26Methods(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		s.echoes("GET /a")
		before := s.answers()
		for _, method := range []string{"", " ", "GE T", "GET ", "GET\n", "GE/T", "GET,PUT", "GÉT", "G\x00", `"GET"`} {
			at, got := here(), panicOf(func() { s.handle(method, "/a", nothing) })
			rule := "a method must be a token (RFC 9110, section 5.6.2)"
			assert.Equal(t, refusal(fmt.Sprintf(`%q "/a"`, method), at, rule), got)
		}
		assert.Equal(t, before, s.answers())
		for _, method := range []string{"get", "PURGE", "M-SEARCH", "VERSION_CONTROL", "!#$%&'*+-.^_`|~09azAZ"} {
			assert.Empty(t, panicOf(func() { s.handle(method, "/a", echo(method)) }), method)
			assert.Equal(t, method, s.serve(programmatic(method, "/a", "", "")).Body.String())
		}
	})
}

type (
	pointerHandler struct{}
	someFunc       func(string)
)

func (*pointerHandler) ServeHTTP(http.ResponseWriter, *http.Request)                         {}
func (*pointerHandler) ServeHTTPContext(context.Context, http.ResponseWriter, *http.Request) {}

// nils are all kinds of nil that can be passed as a handler.
var nils = map[string]any{
	"nil":                   nil,
	"http.Handler":          http.Handler(nil),
	"kami.ContextHandler":   kami.ContextHandler(nil),
	"http.HandlerFunc":      http.HandlerFunc(nil),
	"kami.HandlerFunc":      kami.HandlerFunc(nil),
	"func(w, r)":            (func(http.ResponseWriter, *http.Request))(nil),
	"func(ctx, w, r)":       (func(context.Context, http.ResponseWriter, *http.Request))(nil),
	"pointer":               (*pointerHandler)(nil),
	"*kami.Mux":             (*kami.Mux)(nil),
	"func of no known type": someFunc(nil),
}

func TestC26NilHandlers(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		s.echoes("GET /a")
		before := s.answers()
		for name, handler := range nils {
			at, got := here(), panicOf(func() { s.handle("POST", "/a", handler) })
			assert.Equal(t, refusal(`POST "/a"`, at, "the handler must not be nil"), got, name)
		}
		assert.Equal(t, before, s.answers())
	})
}

// choosy serves only requests with the param "id".
type choosy struct{ kami.HandlerFunc }

func (choosy) CheckRoute(params []string) error {
	if !slices.Contains(params, "id") {
		return fmt.Errorf("there is no id in %q", params)
	}
	return nil
}

func TestC26HandlersThatNeedParams(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		s.echoes("GET /a")
		before := s.answers()
		for _, handler := range []any{choosy{echo("choosy")}, &choosy{echo("choosy")}} {
			for path, params := range map[string]string{"/b": "[]", "/:ids": `["ids"]`, "/id/*": `[""]`, "/:a/*b": `["a" "b"]`} {
				at, got := here(), panicOf(func() { s.handle("POST", path, handler) })
				assert.Equal(t, refusal(fmt.Sprintf("POST %q", path), at, "there is no id in "+params), got)
			}
			at, got := here(), panicOf(func() { s.mount("/:ids/x", handler) })
			assert.Equal(t, refusal(`Mount "/:ids/x"`, at, `there is no id in ["ids"]`), got)
			at, got = here(), panicOf(func() { s.notFound(handler) })
			assert.Equal(t, refusal("NotFound", at, "there is no id in []"), got)
			at, got = here(), panicOf(func() { s.methodNotAllowed(handler) })
			assert.Equal(t, refusal("MethodNotAllowed", at, "there is no id in []"), got)
		}
		assert.Equal(t, before, s.answers())
		s.handle("POST", "/x/:id/*rest", choosy{echo("choosy")})
		assert.Equal(t, "200 choosy", outcome(s.do("POST", "/x/7/y")))
		s.mount("/y/:id", choosy{echo("choosy")})
		assert.Equal(t, "200 choosy", outcome(s.do("POST", "/y/7/z")))
	})
}

func TestC26NilRestoresTheDefault(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		s.echoes("GET /a")
		before := s.answers()
		s.notFound(echo("not found"))
		s.methodNotAllowed(echo("not allowed"))
		assert.Equal(t, "200 not found", outcome(s.do("GET", "/none")))
		assert.Equal(t, "200 GET, HEAD, OPTIONS not allowed", outcome(s.do("POST", "/a")))
		s.notFound(nil)
		s.methodNotAllowed(nil)
		assert.Equal(t, before, s.answers())
		assert.Equal(t, "404 page not found\n", s.do("GET", "/none").Body.String())
	})
}

func TestC26UnsupportedHandlers(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		s.echoes("GET /a")
		before := s.answers()
		for _, test := range []struct {
			handler any
			name    string
		}{
			{7, "int"},
			{"handler", "string"},
			{struct{}{}, "struct {}"},
			{pointerHandler{}, "kami_test.pointerHandler"},
			{someFunc(func(string) {}), "kami_test.someFunc"},
			{func() {}, "func()"},
			{func(context.Context) {}, "func(context.Context)"},
			{func(*http.Request, http.ResponseWriter) {}, "func(*http.Request, http.ResponseWriter)"},
			{func(http.ResponseWriter, *http.Request) error { return nil }, "func(http.ResponseWriter, *http.Request) error"},
			{func(http.ResponseWriter, http.Request) {}, "func(http.ResponseWriter, http.Request)"},
			{new(trail).middleware(""), "kami.Middleware"},
			{func(next http.Handler) http.Handler { return next }, "func(http.Handler) http.Handler"},
		} {
			rule := test.name + " is no type of handler; " + acceptedHandlers
			at, got := here(), panicOf(func() { s.handle("POST", "/a", test.handler) })
			assert.Equal(t, refusal(`POST "/a"`, at, rule), got)
			at, got = here(), panicOf(func() { s.notFound(test.handler) })
			assert.Equal(t, refusal("NotFound", at, rule), got)
			at, got = here(), panicOf(func() { s.methodNotAllowed(test.handler) })
			assert.Equal(t, refusal("MethodNotAllowed", at, rule), got)
		}
		assert.Equal(t, before, s.answers())
	})
}

func TestC26Duplicates(t *testing.T) {
	tests := []struct{ first, second string }{
		{"/", "/"},
		{"/users", "/users"},
		{"/users", "/users/"},
		{"/users/", "/users"},
		{"/users/:name", "/users/:id"},
		{"/users/:id/", "/users/:id"},
		{"/users/:", "/users/:id"},
		{"/files/*path", "/files/*"},
		{"/:a/b/*c", "/:x/b/*y"},
		{`/\:a`, `/\:a`},
		{`/a`, `/a`},
	}
	for _, test := range tests {
		each(t, func(t *testing.T, s *stack) {
			first, _ := here(), panicOf(func() { s.handle("GET", test.first, nothing) })
			s.echoes("POST " + test.first)
			second, got := here(), panicOf(func() { s.handle("GET", test.second, nothing) })
			assert.Equal(t, fmt.Sprintf("kami: GET %q (%s) conflicts with %q (%s): both match the same paths",
				test.second, second, test.first, first), got)
		})
	}
}

func TestC26NoConflict(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		s.echoes("GET /a", "HEAD /a", "POST /a/", "GET /:a", `GET /\:a`, "GET /*a", `GET /\*a`, "GET /A", "GET /%61",
			"GET /a/:b")
	})
}

func TestC26SameLeafOtherNames(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		s.echoes("GET /users/:id/*rest", "POST /users/:name/*path", "GET /:x", "PUT /:y/")
		s.askAll(t, [][2]string{
			{"GET /users/7/a/b", "200 GET /users/:id/*rest(id=7,rest=a/b)"},
			{"POST /users/7/a/b", "200 POST /users/:name/*path(name=7,path=a/b)"},
			{"GET /v/", "200 GET /:x(x=v)"},
			{"PUT /v/", "200 PUT /:y/(y=v)"},
		})
	})
}

func TestC26NothingHasChangedAfterAConflict(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		s.echoes("GET /a", "POST /a/b")
		before := s.answers()
		require.NotEmpty(t, panicOf(func() { s.get("/a/", echo("another")) }))
		require.NotEmpty(t, panicOf(func() { s.handle("POST", "/a/b", echo("another")) }))
		assert.Equal(t, before, s.answers())
		s.echoes("GET /new") // and it goes on
		assert.Equal(t, "200 GET /new", outcome(s.do("GET", "/new")))
	})
}

// TestC26PlacesOfEveryRegistration registers with each function and method that registers.
func TestC26PlacesOfEveryRegistration(t *testing.T) {
	mux := kami.New()
	for _, test := range []struct {
		method        string
		global, local func(string, kami.HandlerType)
	}{
		{"GET", kami.Get, mux.Get}, {"POST", kami.Post, mux.Post}, {"PUT", kami.Put, mux.Put},
		{"PATCH", kami.Patch, mux.Patch}, {"HEAD", kami.Head, mux.Head}, {"DELETE", kami.Delete, mux.Delete},
		{"OPTIONS", kami.Options, mux.Options},
	} {
		globalStack(t)
		for _, register := range []func(string, kami.HandlerType){test.global, test.local} {
			first, got := here(), panicOf(func() { register("/x/:y", nothing) })
			assert.Empty(t, got)
			second, got := here(), panicOf(func() { register("/x/:z", nothing) })
			assert.Equal(t, fmt.Sprintf(`kami: %s "/x/:z" (%s) conflicts with "/x/:y" (%s): both match the same paths`,
				test.method, second, first), got)
		}
	}
	at, got := here(), panicOf(func() { mux.Handle("GET", "x", nothing) })
	assert.Equal(t, refusal(`GET "x"`, at, `a path must begin with "/"`), got)
	at, got = here(), panicOf(func() { kami.Handle("GET", "x", nothing) })
	assert.Equal(t, refusal(`GET "x"`, at, `a path must begin with "/"`), got)
	at, got = here(), panicOf(func() { mux.Get("x", nothing) })
	assert.Equal(t, refusal(`GET "x"`, at, `a path must begin with "/"`), got)
	at, got = here(), panicOf(func() { kami.Get("x", nothing) })
	assert.Equal(t, refusal(`GET "x"`, at, `a path must begin with "/"`), got)
	at, got = here(), panicOf(func() { kami.Use("x", unused) })
	assert.Equal(t, refusal(`middleware for "x"`, at, `a path must begin with "/"`), got)
	at, got = here(), panicOf(func() { kami.After("x", unused) })
	assert.Equal(t, refusal(`afterware for "x"`, at, `a path must begin with "/"`), got)
	at, got = here(), panicOf(func() { kami.NotFound(7) })
	assert.Equal(t, refusal("NotFound", at, "int is no type of handler; "+acceptedHandlers), got)
	at, got = here(), panicOf(func() { kami.MethodNotAllowed(7) })
	assert.Equal(t, refusal("MethodNotAllowed", at, "int is no type of handler; "+acceptedHandlers), got)
}

// helper registers a route some calls down, and returns the place.
func helper(s *stack, path string, depth int) string {
	if depth > 0 {
		return helper(s, path, depth-1)
	}
	at, got := here(), panicOf(func() { s.handle("GET", path, nothing) })
	return at + got
}

func TestC26PlacesElsewhere(t *testing.T) {
	tests := []struct {
		name     string
		register func(s *stack) (want string) // a regular expression
	}{
		{"helper", func(s *stack) string { return helper(s, "/x", 0) }},
		{"deep down", func(s *stack) string { return helper(s, "/x", 40) }},
		{"goroutine", func(s *stack) string {
			at := make(chan string)
			go func() { at <- helper(s, "/x", 0) }()
			return <-at
		}},
		{"other file", func(s *stack) string {
			newPair(s).handle("GET", "/x")
			return `[^/]+/oracle_test\.go:[1-9]\d*`
		}},
		{"other package", func(s *stack) string {
			of := reflect.ValueOf
			of(s.handle).Call([]reflect.Value{of("GET"), of("/x"), of(nothing)})
			return `reflect/value\.go:[1-9]\d*`
		}},
		{"defer", func(s *stack) string {
			defer s.handle("GET", "/x", nothing)
			return `[^/]+/registration_test\.go:[1-9]\d*`
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			each(t, func(t *testing.T, s *stack) {
				want := test.register(s)
				assert.Regexp(t, ` conflicts with "/x" \(`+want+`\): `, panicOf(func() { s.handle("GET", "/x", nothing) }))
			})
		})
	}
}

// TestC27OneSnapshotForARequest changes everything during a request, which still ends with the routes and middleware of its begin.
func TestC27OneSnapshotForARequest(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var ran trail
		changed := false
		s.use("/", func(ctx context.Context) context.Context {
			if ran.add("first"); changed {
				return ctx
			}
			changed = true
			s.use("/", ran.middleware("late"))
			s.use("/:x", ran.middleware("late-wild"))
			s.after("/", ran.afterware("late-after"))
			s.get("/new", ran.handler("new"))
			s.handle("POST", "/:x", ran.handler("post"))
			s.notFound(ran.handler("late-404"))
			s.methodNotAllowed(ran.handler("late-405"))
			return ctx
		})
		s.after("/", ran.afterware("after"))
		s.notFound(ran.handler("404"))
		s.do("GET", "/new")
		assert.Equal(t, "first 404 after", ran.take())
		s.do("GET", "/new")
		assert.Equal(t, "first late late-wild new late-after after", ran.take())
		s.do("PUT", "/new")
		assert.Equal(t, "first late late-wild late-405 late-after after", ran.take())
	})
}

func TestC27ResetWhileARequestIsOnItsWay(t *testing.T) {
	s := globalStack(t)
	var ran trail
	s.use("/", func(ctx context.Context) context.Context { kami.Reset(); return ctx })
	s.use("/", ran.middleware("second"))
	s.after("/", ran.afterware("after"))
	*s.logHandler = func(context.Context, mutil.WriterProxy, *http.Request) { ran.add("log") }
	s.get("/a", ran.handler("handler"))
	s.do("GET", "/a")
	assert.Equal(t, "second handler after log", ran.take())
	assert.Equal(t, "404", outcome(s.do("GET", "/a")))
	assert.Empty(t, ran.take())
}

func TestC27ResetRemovesEverything(t *testing.T) {
	s := globalStack(t)
	before := s.answers()
	s.echoes("GET /", "GET /:a", "POST /*b")
	s.use("/", unused)
	s.after("/", unused)
	s.notFound(echo("not found"))
	s.methodNotAllowed(echo("not allowed"))
	s.enableMethodNotAllowed(false)
	kami.Reset()
	assert.Equal(t, before, s.answers())
	s.echoes("GET /a")
	assert.Equal(t, "405 GET, HEAD, OPTIONS", outcome(s.do("POST", "/a")))
}

// TestC27RegisteringWithinARegistration has the constructor of a middleware register something.
func TestC27RegisteringWithinARegistration(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		s.use("/", func(next http.Handler) http.Handler {
			s.echoes("GET /a")
			return next
		})
		assert.Equal(t, "200 GET /a", outcome(s.do("GET", "/a")))
	})
}

// changers register again and again, each below its own path.
var changers = []func(s *stack, n int){
	func(s *stack, n int) { s.get(fmt.Sprintf("/new/%d/:id", n), nothing) },
	func(s *stack, n int) { s.handle("PUT", fmt.Sprintf("/echo/:id/%d", n), nothing) },
	func(s *stack, n int) {
		s.use(fmt.Sprintf("/scope/%d/", n), pass)
	},
	func(s *stack, n int) {
		s.use(fmt.Sprintf("/echo/:x/%d", n), func(h http.Handler) http.Handler { return h })
	},
	func(s *stack, n int) {
		s.after(fmt.Sprintf("/echo/*rest%d", n%9), func(context.Context) context.Context { return nil })
	},
	func(s *stack, n int) { s.notFound(echo("404")); s.notFound(nil) },
	func(s *stack, n int) { s.methodNotAllowed(echo("405")); s.methodNotAllowed(nil) },
	func(s *stack, n int) { s.enableMethodNotAllowed(n%2 == 0) },
}

// whileServing runs the changers a hundred times each, while goroutines ask for a param of their own until they are done.
func whileServing(s *stack, changers []func(*stack, int), ask func(client string)) {
	var changing, serving sync.WaitGroup
	done := make(chan struct{})
	for client := range 4 {
		serving.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
					ask(fmt.Sprintf("%d-%d", client, n))
				}
			}
		})
	}
	for _, change := range changers {
		changing.Go(func() {
			for n := range 100 {
				change(s, n)
			}
		})
	}
	changing.Wait()
	close(done)
	serving.Wait()
}

func TestC27RegisterWhileServing(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		s.use("/echo/:id", func(ctx context.Context, r *http.Request) context.Context {
			if want := strings.TrimPrefix(r.URL.Path, "/echo/"); kami.Param(ctx, "id") != want {
				t.Errorf("middleware: got %q, want %q", kami.Param(ctx, "id"), want)
			}
			return ctx
		})
		s.get("/echo/:id", echo("", "id"))
		whileServing(s, changers, func(client string) {
			if got, want := outcome(s.do("GET", "/echo/"+client)), "200 (id="+client+")"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			s.do("POST", "/echo/"+client) // 405 or 404, of this handler or that
			s.do("GET", "/none")
		})
		for n := range 100 { // nothing was lost
			assert.Equal(t, 200, s.do("GET", fmt.Sprintf("/new/%d/x", n)).Code, n)
			assert.Equal(t, 200, s.do("PUT", fmt.Sprintf("/echo/x/%d", n)).Code, n)
		}
	})
}

func TestC27ResetWhileServing(t *testing.T) {
	s := globalStack(t)
	register := func(*stack, int) {
		_ = panicOf(func() { kami.Get("/echo/:id", echo("", "id")) }) // there unless there was a Reset since
	}
	reset := func(*stack, int) { kami.Reset() }
	whileServing(s, []func(*stack, int){register, reset, register}, func(client string) {
		if got, want := outcome(s.do("GET", "/echo/"+client)), "200 (id="+client+")"; got != want && got != "404" {
			t.Errorf("got %q, want %q or 404", got, want)
		}
	})
}

// many registers n routes: wide ones, deep ones, and with params.
func many(s *stack, n int) *stack {
	handler := echo("found", "id")
	for i := range n {
		switch i % 4 {
		case 0:
			s.get(fmt.Sprintf("/wide%d", i), handler)
		case 1:
			s.get(fmt.Sprintf("/wide/%d/:id", i), handler)
		case 2:
			s.get(fmt.Sprintf("/deep/%d/%d/%d/%d", i/1000, i/100%10, i/10%10, i%10), handler)
		default:
			s.get(fmt.Sprintf("/:a/b/:id/%d", i), handler)
		}
	}
	return s
}

// small and big are stacks with ten and a hundred thousand routes. A test that adds routes adds the same ones to both.
var (
	small = sync.OnceValue(func() *stack { return many(newStack(), 10) })
	big   = sync.OnceValue(func() *stack { return many(newStack(), 100_000) })
)

func TestC27HundredThousandRoutes(t *testing.T) {
	s := big()
	s.askAll(t, [][2]string{
		{"GET /wide0", "200 found(id=)"},
		{"GET /wide99996", "200 found(id=)"},
		{"GET /wide/50001/x", "200 found(id=x)"},
		{"GET /deep/99/9/9/8", "200 found(id=)"},
		{"GET /wide/b/x/99999", "200 found(id=x)"},
		{"GET /wide1", "404"},
		{"POST /wide/99997/x/", "405 GET, HEAD, OPTIONS"},
	})
}

func BenchmarkC27Register100000(b *testing.B) {
	for b.Loop() {
		many(newStack(), 100_000)
	}
}

// cost returns how many bytes a call of f allocates. It is the least of several calls, because other tests allocate too.
func cost(f func()) uint64 {
	best := ^uint64(0)
	for range 20 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		best = min(best, after.TotalAlloc-before.TotalAlloc)
	}
	return best
}

// fresh counts up, for paths that no run of a test has used before.
var fresh int

func TestC27ARouteCostsTheDepth(t *testing.T) {
	for _, path := range []string{"/wide%d", "/wide/%d/:id", "/deep/1/1/1/%d", "/:a/b/:id/%d"} {
		got := cost(func() {
			fresh++
			big().get(fmt.Sprintf(strings.Replace(path, "%d", "fresh%d", 1), fresh), nothing)
		})
		assert.Less(t, got, uint64(64<<10), path)
	}
}

func TestC27UseCostsNothingPerRoute(t *testing.T) {
	for _, path := range []string{"/", "/wide/", "/wide0", "/deep/1/", "/:a/b/", "/*rest"} {
		use := func(s *stack) func() { return func() { s.use(path, pass); s.after(path, pass) } }
		assert.InDelta(t, cost(use(small())), cost(use(big())), 2048, path)
	}
}

func TestC27UseIsLinearInTheScopesBelow(t *testing.T) {
	scopes := func(n int) *stack {
		s := newStack()
		for i := range n {
			s.use(fmt.Sprintf("/below/%d/", i), pass)
		}
		return s
	}
	use := func(s *stack, path string) uint64 { return cost(func() { s.use(path, pass) }) }
	few, many := scopes(1000), scopes(4000)
	assert.Less(t, use(many, "/"), 8*use(few, "/"), "all are below")
	assert.Less(t, use(many, "/beside/"), uint64(64<<10), "none is below")
	assert.Less(t, use(many, "/below/7/"), uint64(64<<10), "the others are beside")
}

// A slash after a catch-all, which v2 accepted, changes nothing, because the catch-all matches paths with and without one. Reports
// show the pattern as it was registered.
func TestC26SlashAfterACatchAll(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var ran trail
		s.use("/abc/*rest/", ran.middleware("use", "rest"))
		s.after("/abc/*/", ran.afterware("after"))
		s.get("/abc/*path/", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.Pattern, " ", kami.Param(ctx, "path"))
		})
		for target, want := range map[string]string{
			"/abc/d":       "200 /abc/*path/ d",
			"/abc/d/":      "200 /abc/*path/ d",
			"/abc/d/e%2Ff": "200 /abc/*path/ d/e/f",
			"/abc//d":      "301 /abc/d",
			"/abc/x/../d/": "301 /abc/d/",
			"/abc/":        "404",
		} {
			w := s.do("GET", target)
			got := fmt.Sprint(w.Code)
			if w.Code == 200 {
				got += " " + w.Body.String()
			} else if location := w.Header().Get("Location"); location != "" {
				got += " " + location
			}
			assert.Equal(t, want, got, target)
		}
		ran.take()
		s.do("GET", "/abc/d/e/")
		assert.Equal(t, "use(rest=d/e) after", ran.take())
		for r := range s.routes() {
			assert.Equal(t, "/abc/*path/", r.Pattern)
		}
		assert.Empty(t, s.check())
		first := s.place("GET", "/abc/*path/")
		at, got := here(), panicOf(func() { s.handle("GET", "/abc/*other", nothing) })
		assert.Equal(t, fmt.Sprintf(`kami: GET "/abc/*other" (%s) conflicts with "/abc/*path/" (%s): both match the same paths`, at, first), got)
	})
}

// place returns where the route was registered.
func (s *stack) place(method, pattern string) string {
	for r := range s.routes() {
		if r.Method == method && r.Pattern == pattern {
			return r.Place
		}
	}
	return ""
}
