package kami_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/mutil"
)

func TestC30Order(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		for _, scope := range []string{"/users/:id/edit", "/users/:id/", "/users/:id", "/users/*rest", "/*all", "/:top/", "/:top/:id/",
			"/users/7/edit", "/users/7/", "/users/7", "/users/", "/users", "/", "/users/7/edit/", "/other/"} {
			s.use(scope, ran.middleware(scope))
		}
		s.use("/users/", ran.middleware("/users/(2)"))
		s.use("/:top/", ran.middleware("/:top/(2)"))
		s.get("/users/:id/edit", ran.handler("handler"))
		for _, test := range []struct{ target, want string }{
			{"/users/7/edit", "/ /users/ /users/(2) /users/7/ /users/7/edit/ /users/7/edit " +
				"/*all /:top/ /:top/(2) /:top/:id/ /users/*rest /users/:id/ /users/:id/edit handler"},
			{"/users/8/edit", "/ /users/ /users/(2) /*all /:top/ /:top/(2) /:top/:id/ /users/*rest /users/:id/ /users/:id/edit handler"},
			{"/users/7", "/ /users/ /users/(2) /users/7/ /users/7 /*all /:top/ /:top/(2) /:top/:id/ /users/*rest /users/:id/ /users/:id"},
			{"/users/", "/ /users/ /users/(2) /users /*all /:top/ /:top/(2) /users/*rest"},
			{"/", "/ /*all"},
			{"/nowhere", "/ /*all /:top/ /:top/(2)"},
		} {
			s.do("GET", test.target)
			assert.Equal(t, test.want, ran.take(), test.target)
		}
	})
}

func TestC30Coverage(t *testing.T) {
	for _, test := range []struct {
		scope            string
		covered, outside []string
	}{
		{"/", []string{"/", "/a", "/a/", "/a/b"}, nil},
		{"/a", []string{"/a", "/a/"}, []string{"/", "/ab", "/a/b", "/a/b/"}},
		{"/a/", []string{"/a", "/a/", "/a/b", "/a/b/c/"}, []string{"/", "/ab", "/b/a"}},
		{"/a/b", []string{"/a/b", "/a/b/"}, []string{"/a", "/a/", "/a/b/c"}},
		{"/*", []string{"/", "/a", "/a/b"}, nil},
		{"/a/*", []string{"/a/", "/a/b", "/a/b/c"}, []string{"/", "/b", "/ab"}},
		{"/a/*rest", []string{"/a/", "/a/b", "/a/b/c"}, []string{"/", "/b", "/ab"}},
		{"/:x", []string{"/a", "/a/", "/b"}, []string{"/", "/a/b"}},
		{"/:x/", []string{"/a", "/a/", "/a/b"}, []string{"/"}},
		{"/a/:x/c", []string{"/a/b/c", "/a/b/c/"}, []string{"/a/b", "/a/b/c/d"}},
		{`/\:x`, []string{"/:x"}, []string{"/a"}},
	} {
		everywhere(t, func(t *testing.T, s *stack) {
			var ran trail
			s.use(test.scope, ran.middleware("in"))
			s.after(test.scope, ran.afterware("out"))
			for _, target := range test.covered {
				s.do("GET", target)
				assert.Equal(t, "in out", ran.take(), "%s covers %s", test.scope, target)
			}
			for _, target := range test.outside {
				s.do("GET", target)
				assert.Equal(t, "", ran.take(), "%s does not cover %s", test.scope, target)
			}
		})
	}
}

func TestC30ScopesThatDifferInNamesAreOne(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		s.use("/u/:id/", ran.middleware("1", "id", "name"))
		s.use("/u/:name/", ran.middleware("2", "id", "name"))
		s.use("/u/:id/", ran.middleware("3", "id", "name"))
		s.do("GET", "/u/7/x")
		assert.Equal(t, "1(id=7,name=) 2(id=7,name=7) 3(id=7,name=7)", ran.take(), "each has its own name and those before it")
	})
}

func TestC31AfterwareIsTheMirror(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		scopes := []string{"/users/:id/edit", "/", "/users/7/edit", "/*all", "/users/", "/:top/", "/users/", "/:top/"}
		for i, scope := range scopes {
			s.use(scope, ran.middleware(fmt.Sprint(scope, i)))
			s.after(scope, ran.afterware(fmt.Sprint(scope, i)))
		}
		for _, target := range []string{"/users/7/edit", "/users/8/edit", "/users/7", "/", "/x", "/%75sers/7"} {
			s.do("GET", target)
			all := strings.Fields(ran.take())
			middleware, afterware := all[:len(all)/2], all[len(all)/2:]
			slices.Reverse(afterware)
			assert.Equal(t, middleware, afterware, target)
			assert.NotEmpty(t, middleware, target)
		}
	})
}

func TestC32OrderOfRegistrationDoesNotMatter(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		scopes := []string{"/", "/a/", "/a", "/a/b", "/a/b/", "/:x/", "/:x/b", "/*c", "/a/:y"}
		routes := []string{"/a", "/a/b", "/:p/:q", "/*r", "/c/"}
		targets := []string{"/", "/a", "/a/", "/a/b", "/a/b/c", "/b/b", "/c", "/x//../a"}
		want := map[string]string{}
		for seed := range uint64(20) {
			if s = newStack(); seed%2 == 1 {
				s = globalStack(t)
			}
			var ran trail
			var registrations []func()
			for _, scope := range scopes {
				registrations = append(registrations,
					func() { s.use(scope, ran.middleware(scope)) }, func() { s.after(scope, ran.afterware(scope)) })
			}
			for _, route := range routes {
				registrations = append(registrations, func() { s.get(route, ran.handler("handler:"+route)) })
			}
			random := rand.New(rand.NewPCG(seed, 0))
			random.Shuffle(len(registrations), func(i, j int) {
				registrations[i], registrations[j] = registrations[j], registrations[i]
			})
			for _, register := range registrations {
				register()
			}
			for _, target := range targets {
				s.do("GET", target)
				got := ran.take()
				if seed == 0 {
					want[target] = got
				}
				assert.Equal(t, want[target], got, target)
			}
		}
	})
}

func TestC32ScopesRunWithoutRoutes(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		s.use("/a/:x/", ran.middleware("in", "x"))
		w := s.do("GET", "/a/7/b")
		assert.Equal(t, http.StatusNotFound, w.Code)
		assert.Equal(t, "in(x=7)", ran.take())
	})
}

func TestC33NilHalts(t *testing.T) {
	halt := func(context.Context) context.Context { return nil }
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		*s.logHandler = func(context.Context, mutil.WriterProxy, *http.Request) { ran.add("log") }
		s.use("/", ran.middleware("before"))
		s.use("/halted/", halt)
		s.use("/halted/", ran.middleware("behind"))
		s.use("/:x", ran.middleware("wild"))
		s.use("/wild/:x", halt)
		s.after("/", ran.afterware("after"))
		s.after("/", halt)
		s.get("/*all", ran.handler("handler"))
		for _, test := range []struct{ target, want string }{
			{"/halted", "before after log"},
			{"/wild/7", "before after log"},
			{"/other", "before wild handler after log"},
		} {
			s.do("GET", test.target)
			assert.Equal(t, test.want, ran.take(), test.target)
		}
	})
}

func TestC33AfterwareNilKeepsTheContext(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var got any
		s.after("/", func(ctx context.Context) context.Context { got = ctx.Value(ctxKey{}); return nil })
		s.after("/", func(context.Context) context.Context { return nil })
		s.after("/", func(ctx context.Context) context.Context { return context.WithValue(ctx, ctxKey{}, "kept") })
		s.do("GET", "/")
		assert.Equal(t, "kept", got)
	})
}

func TestC34AfterwareRunsOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		*s.panicHandler = func(context.Context, http.ResponseWriter, *http.Request) { ran.add("caught") }
		boom := func(ctx context.Context) context.Context { ran.add("boom"); panic("boom") }
		s.use("/middleware", boom)
		s.use("/halted", func(context.Context) context.Context { return nil })
		s.get("/fine", ran.handler("handler"))
		s.get("/handler", func(http.ResponseWriter, *http.Request) { panic("handler") })
		s.after("/", ran.afterware("/"))
		s.after("/:x", ran.afterware("/:x", "x"))
		s.after("/afterware", boom)
		s.after("/afterware", boom)
		for _, test := range []struct{ target, want string }{
			{"/fine", "handler /:x(x=fine) /"},
			{"/halted", "/:x(x=halted) /"},
			{"/middleware", "boom caught /:x(x=middleware) /"},
			{"/handler", "caught /:x(x=handler) /"},
			{"/afterware", "/:x(x=afterware) boom caught boom caught /"},
		} {
			s.do("GET", test.target)
			assert.Equal(t, test.want, ran.take(), test.target)
		}
	})
}

// spellings are attempts to get around a scope: spellings of paths below /admin/, and of paths that look like them.
var spellings = []struct {
	target string
	denied bool
}{
	// the path itself
	{"/admin/secret", true},
	{"/admin/secret/", true},
	{"/admin/", true},
	{"/admin", true},
	{"/admin/x/y/z", true},
	{"/admin?x=/public", true},
	{"/admin/;x=y", true},
	{"/admin/%00", true},
	// doubled slashes
	{"//admin/secret", true},
	{"///admin/secret", true},
	{"/admin//secret", true},
	{"/admin//", true},
	{"//admin", true},
	{"/admin///x//", true},
	{"/public//../admin/secret", true},
	// dot segments
	{"/./admin/secret", true},
	{"/admin/./secret", true},
	{"/public/../admin/secret", true},
	{"/public/../admin", true},
	{"/public/x/../../admin/", true},
	{"/../admin/secret", true},
	{"/../../admin", true},
	{"/admin/.", true},
	{"/admin/..", true}, // routed, it lies under /admin/
	{"/admin/../public", true},
	{"/admin/x/../secret", true},
	{"/./../admin/./secret/.", true},
	{"/.//admin", true},
	{"/public/..//admin", true},
	// encoded letters
	{"/%61dmin/secret", true},
	{"/%61%64%6d%69%6e/secret", true},
	{"/%61%64%6D%69%6E/secret", true},
	{"/adm%69n", true},
	{"/admin/%73ecret", true},
	{"//%61dmin", true},
	// encoded slashes, in upper and lower case
	{"/admin%2Fsecret", true},
	{"/admin%2fsecret", true},
	{"/%2Fadmin/secret", true},
	{"/%2fadmin%2fsecret", true},
	{"/public%2F..%2Fadmin/secret", true},
	{"/public/..%2fadmin%2Fsecret", true},
	{"/public%2f..%2fadmin", true},
	{"/admin%2F", true},
	{"/%2F%2Fadmin", true},
	// encoded dots
	{"/%2e/admin/secret", true},
	{"/%2E/admin/secret", true},
	{"/public/%2e%2e/admin/secret", true},
	{"/public/%2E%2E/admin/secret", true},
	{"/public/.%2e/admin", true},
	{"/public/%2e./admin/", true},
	{"/admin/%2e%2e/public", true},
	{"/public%2f%2e%2e%2fadmin", true},
	{"/%2e%2e%2fadmin/x", true},
	{"/public/%2e%2e%2F%61dmin%2Fsecret", true},
	// trailing slashes
	{"/admin/secret//", true},
	{"/public/../admin//", true},
	// absolute form
	{"http://example.com/admin/secret", true},
	{"http://example.com//admin", true},
	// different names
	{"/public/admin/secret", false},
	{"/administrator", false},
	{"/admi", false},
	{"/Admin/secret", false},
	{"/ADMIN/secret", false},
	{`/%5Cadmin/secret`, false},
	{`/admin%5Csecret`, false},
	{`/public/..%5Cadmin`, false},
	{"/admin;x/secret", false},
	{"/;/admin/secret", false},
	{"/..;/admin/secret", false},
	{"/%3Badmin/secret", false},
	{"/%2561dmin/secret", false},
	{"/public/%252e%252e/admin", false},
	{"/public%252F..%252Fadmin", false},
	{"/%c1%a1dmin/secret", false}, // overlong a
	{"/public/%c0%ae%c0%ae/admin", false},
	{"/%c0%afadmin", false},
	{"/%ef%bd%81dmin/secret", false}, // fullwidth a
	{"/admin%00/secret", false},
	{"/%00admin/secret", false},
	{"/admin%20/secret", false},
	{"/%20admin/secret", false},
	{"/admin%09/secret", false},
	{"/%09admin/secret", false},
	{"/admin%FF/secret", false},
	{"/admin./secret", false},
	{"/.../admin/secret", false},
	{"/public/...//admin", false},
	{"/admin+/secret", false},
	{"/", false},
	{"//", false},
	{"/public/x", false},
	{"/?x=/admin/", false},
}

// guarded returns a stack in which the scope's middleware answers 403, and a handler answers 200 for every path.
func guarded(s *stack, scope string) *stack {
	s.use(scope, func(_ context.Context, w http.ResponseWriter, _ *http.Request) context.Context {
		w.WriteHeader(http.StatusForbidden)
		return nil
	})
	for _, route := range []string{"/", "/*all", "/:one", "/:one/:two", "/admin/secret", "/public/:file"} {
		s.get(route, func(http.ResponseWriter, *http.Request) {})
	}
	return s
}

func TestC35NoSpellingGetsAroundAScope(t *testing.T) {
	assert.GreaterOrEqual(t, len(spellings), 60)
	everywhere(t, func(t *testing.T, s *stack) {
		guarded(s, "/admin/")
		for _, test := range spellings {
			w := s.do("GET", test.target)
			assert.Equal(t, test.denied, w.Code == http.StatusForbidden, "%s: %d", test.target, w.Code)
		}
	})
}

// TestC35OverHTTP sends the spellings to a real server.
func TestC35OverHTTP(t *testing.T) {
	server := httptest.NewServer(guarded(newStack(), "/admin/"))
	defer server.Close()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, test := range spellings {
		if strings.HasPrefix(test.target, "http:") {
			continue
		}
		r, err := http.NewRequest("GET", server.URL, nil)
		require.NoError(t, err)
		p, query, _ := strings.Cut(test.target, "?")
		r.URL.Opaque, r.URL.RawQuery = "//"+r.URL.Host+p, query // sent as it stands
		response, err := client.Do(r)
		require.NoError(t, err)
		response.Body.Close()
		assert.Equal(t, test.denied, response.StatusCode == http.StatusForbidden, "%s: %d", test.target, response.StatusCode)
	}
}

func TestC35ExactScopes(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		guarded(s, "/admin/secret")
		for target, denied := range map[string]bool{
			"/admin/secret": true, "/admin/secret/": true, "/admin//secret": true, "/admin%2Fsecret": true, "/x/../admin/secret": true,
			"/admin/./secret/": true, "/admin/secret/.": true, "/admin/secret/x/..": true, "/%61dmin/secret%2F": true,
			"/admin/secret//": true, "/admin/secret/x": false, "/admin/": false, "/admin/secre": false, "/admin/Secret": false,
		} {
			w := s.do("GET", target)
			assert.Equal(t, denied, w.Code == http.StatusForbidden, "%s: %d", target, w.Code)
		}
	})
}

func TestC35WildcardScopes(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		guarded(s, "/:tenant/admin/")
		for target, denied := range map[string]bool{
			"/t/admin/x": true, "/t/admin": true, "/t//admin": true, "/t%2Fadmin/x": true, "/x/../t/admin/": true, "/t/%61dmin/x": true,
			"/t/x/%2e%2e/admin": true, "/a%2Fb/admin/x": true, "/admin/x": false, "/t/Admin/x": false, "/t/administrator": false,
		} {
			w := s.do("GET", target)
			assert.Equal(t, denied, w.Code == http.StatusForbidden, "%s: %d", target, w.Code)
		}
	})
}

// TestC35PathOfItsOwn checks when the scope /p/ covers the path /p.
func TestC35PathOfItsOwn(t *testing.T) {
	for _, test := range []struct {
		scope, route, target string
		covered              bool
	}{
		{"/p/", "/p", "/p", false},
		{"/p/", "/p", "/%70", false},
		{"/p/", "/p/", "/p", true},
		{"/p/", "/:x", "/p", true},
		{"/p/", "/p/x", "/p", true},
		{"/p/", "/p", "/p/", true},
		{"/p/", "/p", "/p/x", true},
		{"/p/", "/p", "/./p/", true},
		{"/u/:id/", "/u/:name", "/u/7", false},
		{"/u/:id/", "/u/7", "/u/7", true},
		{"/u/7/", "/u/:id", "/u/7", true},
		{"/p/*", "/p", "/p", false},
		{"/p/*", "/*all", "/p", true},
	} {
		everywhere(t, func(t *testing.T, s *stack) {
			var ran trail
			s.use(test.scope, ran.middleware("in"))
			s.after(test.scope, ran.afterware("out"))
			s.get(test.route, func(http.ResponseWriter, *http.Request) {})
			s.do("GET", test.target)
			assert.Equal(t, map[bool]string{true: "in out"}[test.covered], ran.take(), "%+v", test)
		})
	}
}

func TestC35OncePerBinding(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		s.use("/user/", ran.middleware("static"))
		s.use("/user/:id/", ran.middleware("check", "id"))
		s.use("/user/:id/", ran.middleware("second", "id"))
		s.after("/user/:id/", ran.afterware("after", "id"))
		s.get("/user/*file", ran.handler("handler", "file"))
		for _, test := range []struct{ target, want string }{
			{"/user/5/x", "static check(id=5) second(id=5) handler(file=5/x) after(id=5)"},
			{"/user/../5", "static check(id=..) second(id=..) after(id=..)"},
			{"/user/5/../6/x", "static check(id=5) second(id=5) check(id=6) second(id=6) after(id=5)"},
			{"/user/5//x", "static check(id=5) second(id=5) after(id=5)"},
			{"/user/5/./x/.", "static check(id=5) second(id=5) after(id=5)"},
			{"/user/5/x/", "static check(id=5) second(id=5) handler(file=5/x) after(id=5)"},
			{"/user/5/x%2Fy", "static check(id=5) second(id=5) handler(file=5/x/y) after(id=5)"},
			{"/user/a%2Fb", "static check(id=a/b) second(id=a/b) check(id=a) second(id=a) handler(file=a/b) after(id=a/b)"},
			{"/user/x%2F..%2F7", "static check(id=x/../7) second(id=x/../7) check(id=x) second(id=x) check(id=7) second(id=7) " +
				"after(id=x/../7)"},
			{"/user/%35/x", "static check(id=5) second(id=5) handler(file=5/x) after(id=5)"},
		} {
			s.do("GET", test.target)
			assert.Equal(t, test.want, ran.take(), test.target)
		}
	})
}

// lies reports whether a path lies under /admin/, read by the segments given or as a whole.
func lies(segments []string) bool {
	return len(segments) > 1 && segments[1] == "admin"
}

// FuzzC35 checks for any path that the handler never answers if a reading of the path lies below the denied scope.
func FuzzC35(f *testing.F) {
	for _, s := range spellings {
		f.Add(s.target)
	}
	stack := guarded(newStack(), "/admin/")
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Skip()
		}
		w := stack.serve(&http.Request{Method: "GET", URL: u})
		var routed []string
		for _, segment := range strings.Split(u.EscapedPath(), "/") {
			plain, err := url.PathUnescape(segment)
			require.NoError(t, err)
			routed = append(routed, plain)
		}
		decoded := strings.Split(u.Path, "/")
		cleaned := strings.Split(path.Clean("/"+u.Path), "/")
		if lies(routed) || lies(decoded) || lies(cleaned) {
			assert.Equal(t, http.StatusForbidden, w.Code, target)
		}
	})
}

// homes is a file server behind a catch-all, with middleware that lets only the owner pass: the client is user 1.
func homes(s *stack) *stack {
	files := fstest.MapFS{}
	for _, name := range []string{"1/mine.txt", "1/2/mine.txt", "2/secret.txt", "2/1/secret.txt"} {
		files[name] = &fstest.MapFile{Data: []byte("this is " + path.Base(name))}
	}
	s.use("/user/:id/", func(ctx context.Context, w http.ResponseWriter, _ *http.Request) context.Context {
		if kami.Param(ctx, "id") != "1" {
			w.WriteHeader(http.StatusForbidden)
			return nil
		}
		return ctx
	})
	s.get("/user/*file", http.StripPrefix("/user", http.FileServerFS(files)))
	s.get("/raw/*file", http.StripPrefix("/raw", http.FileServerFS(files)))
	return s
}

func TestC35OwnershipSeesWhatAFileServerOpens(t *testing.T) {
	s := homes(newStack())
	assert.Equal(t, "this is mine.txt", s.do("GET", "/user/1/mine.txt").Body.String())
	assert.Equal(t, "this is mine.txt", s.do("GET", "/user/1/2/mine.txt").Body.String())
	for _, target := range []string{
		"/user/2/secret.txt", "/user/1/../2/secret.txt", "/user/1%2F..%2F2/secret.txt", "/user/../2/secret.txt", "/user/./2/secret.txt",
		"/user//2/secret.txt", "/user/1/%2e%2e/2/secret.txt", "/user/1/..%2f2%2fsecret.txt", "/user/%32/secret.txt", "/user/2%2Fsecret.txt",
		"/user/1/../../2/secret.txt", "/user/1/x/../../../../2/secret.txt", "/user/%2F2/secret.txt", "/user/1/..//2/./secret.txt", "/user/2/1/secret.txt",
	} {
		w := s.do("GET", target)
		assert.NotContains(t, w.Body.String(), "this is secret.txt", target)
		assert.NotEqual(t, http.StatusOK, w.Code, target)
	}
	assert.Equal(t, "this is secret.txt", s.do("GET", "/raw/%32%2Fsecret.txt").Body.String(), "the file server would open it")
}

// TestC35WhateverCleans has handlers clean the part of a path after a prefix, as file servers do.
func TestC35WhateverCleans(t *testing.T) {
	files := http.FileServerFS(fstest.MapFS{
		"secret": {Data: []byte("secret")}, "private/key": {Data: []byte("secret")}, "8/note": {Data: []byte("secret")},
	})
	below := func(prefix string) http.Handler { return http.StripPrefix(prefix, files) }
	for _, test := range []struct {
		scope    string
		register func(s *stack)
		opened   string
		targets  []string
	}{
		{"/files/secret", func(s *stack) { s.get("/files/:name", below("/files")) }, "/files/secret",
			[]string{"/files/%2e%2e%2fsecret", "/files/..%2Fsecret", "/files/x%2F..%2Fsecret", "/files/%2Fsecret", "/files/%2F%2fsecret"}},
		{"/u/:id/", func(s *stack) { s.get("/u/:id/:file", below("/u")) }, "/u/8/note",
			[]string{"/u/7/..%2f..%2f8%2fnote", "/u/7%2F../..%2f8%2Fnote", "/u/%2e%2e/8%2Fnote", "/u/%2F8/note"}},
		{"/static/private/", func(s *stack) { s.notFound(below("/static")) }, "/static/private/key",
			[]string{"/static/../private/key", "/static/x/../../private/key", "/static/%2e%2e/private%2Fkey", "/static//private/key",
				"/static/%2Fprivate/key", "/x/../static/private/key", "/static/x%2F..%2Fprivate/key"}},
		{"/static/private/", func(s *stack) { s.get("/*path", below("/static")) }, "/static/private/key",
			[]string{"/static/../private/key", "/static%2f../private/key", "/static//private/key", "/static/%2Fprivate/key"}},
	} {
		everywhere(t, func(t *testing.T, s *stack) {
			test.register(s)
			assert.Equal(t, "secret", s.do("GET", test.opened).Body.String(), test.opened)
			s.use(test.scope, func(ctx context.Context, w http.ResponseWriter, _ *http.Request) context.Context {
				if kami.Param(ctx, "id") == "7" {
					return ctx
				}
				w.WriteHeader(http.StatusForbidden)
				return nil
			})
			assert.Equal(t, http.StatusForbidden, s.do("GET", test.opened).Code, test.opened)
			for _, target := range test.targets {
				assert.NotContains(t, s.do("GET", target).Body.String(), "secret", target)
			}
		})
	}
}

// TestC22NotFoundSeesACleanPath checks the path that handlers for 404s see, because they may serve files too.
func TestC22NotFoundSeesACleanPath(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var seen, form string
		s.notFound(func(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
			assert.Equal(t, ctx, r.Context())
			seen, form = r.URL.Path+" "+r.URL.RawPath, r.FormValue("q")
			return nil
		})
		var logged string
		*s.logHandler = func(_ context.Context, _ mutil.WriterProxy, r *http.Request) { logged = r.URL.EscapedPath() }
		for target, want := range map[string]string{
			"/a//b?q=1": "/a/b ", "/a/..": "/ ", "/a/x%2F..%2Fb": "/a/b ", "/%2e%2e/a%2Fb/": "/a/b/ ", "/a%2Fb": "/a/b /a%2Fb", "/a/b/": "/a/b/ ",
		} {
			s.do("GET", target)
			assert.Equal(t, want, seen, target)
			assert.Equal(t, strings.TrimSuffix(target, "?q=1"), logged, "the request's own")
			assert.Equal(t, target == "/a//b?q=1", form == "1")
		}
	})
}

// TestC35AnswersOfKamisOwn checks that a scope covers redirects, 404, 405 and OPTIONS, which would tell that a path exists.
func TestC35AnswersOfKamisOwn(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		s.use("/secret/", func(_ context.Context, w http.ResponseWriter, _ *http.Request) context.Context {
			w.WriteHeader(http.StatusForbidden)
			return nil
		})
		s.get("/secret/x", echo(""))
		s.get("/api/*rest", echo(""))
		s.get("/secret/:a/:b/", echo(""))
		for _, path := range []string{"/a%2Fb/../secret/x", "/a%2Fb/../secret/nope", "/a/b/../../secret/x", "/a%2F..%2Fsecret/x", "/a%2f%2e%2e/secret/x",
			"/secret/x/", "//secret/x", "/a/../secret/1/2", "/secret%2Fx", "/secret%2F", "/%2Fsecret/x", "/api/..%2Fsecret/x", "/api/%2e%2e/secret/x",
			"/secret/../a", "/secret/..%2Fa", "/a//../secret/x", "/a%2F/../secret/x", "/api/v%2Fw/../../secret/k"} {
			for _, method := range []string{"GET", "POST", "OPTIONS", "BREW"} {
				w := s.do(method, path)
				assert.Equal(t, "403", outcome(w), "%s %s", method, path)
			}
		}
	})
}

// TestC35ValuesWithAndWithoutSlashes has handlers take some params as they are and split others at slashes, such as a handler that
// opens a file in a repository "owner/name".
func TestC35ValuesWithAndWithoutSlashes(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		s.use("/repos/:repo/private/", ran.middleware("deny", "repo"))
		s.get("/repos/:repo/*file", ran.handler("handler", "repo", "file"))
		for _, test := range []struct{ target, want string }{
			{"/repos/a/private/key", "deny(repo=a) handler(repo=a,file=private/key)"},
			{"/repos/a/private%2Fkey", "deny(repo=a) handler(repo=a,file=private/key)"},
			{"/repos/a%2Fb/private/key", "deny(repo=a/b) handler(repo=a/b,file=private/key)"},
			{"/repos/a%2Fb/private%2Fkey", "deny(repo=a/b) handler(repo=a/b,file=private/key)"},
			{"/repos/a%2Fprivate/key", "deny(repo=a) handler(repo=a/private,file=key)"},
			{"/repos/a%2Fb/public%2Fkey", "handler(repo=a/b,file=public/key)"},
		} {
			s.do("GET", test.target)
			assert.Equal(t, test.want, ran.take(), test.target)
		}
	})
}

// TestC35CatchAllScopesBindWhatRoutesBind checks that a slash at the end is not a part of the value.
func TestC35CatchAllScopesBindWhatRoutesBind(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		s.use("/files/*path", ran.middleware("in", "path"))
		s.after("/files/*path", ran.afterware("out", "path"))
		s.get("/files/*path", ran.handler("handler", "path"))
		for target, value := range map[string]string{
			"/files/secret.txt": "secret.txt", "/files/secret.txt/": "secret.txt", "/files/a/b/": "a/b", "/files/%61": "a",
			"/files/http:%2F%2Fhost": "http://host", "/files/a%2F": "a/",
		} {
			s.do("GET", target)
			got := strings.Fields(ran.take())
			assert.Equal(t, "in(path="+value+")", got[0], target)
			assert.Equal(t, []string{"handler(path=" + value + ")", "out(path=" + value + ")"}, got[len(got)-2:], target)
		}
		s.do("GET", "/files/http:%2F%2Fhost")
		assert.Equal(t, "in(path=http://host) handler(path=http://host) out(path=http://host)", ran.take(), "once, for the values are the same")
	})
}

// TestC35PathOfItsOwnAnswers checks which handler answers for the path /p if it is a route for some method.
func TestC35PathOfItsOwnAnswers(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		s.use("/p/", ran.middleware("/p/"))
		s.use("/u/:id/", ran.middleware("/u/:id/"))
		s.get("/p", ran.handler("own"))
		s.get("/u/:name", ran.handler("own"))
		s.handle("DELETE", "/:x", ran.handler("other"))
		s.handle("PUT", "/:x/:y", ran.handler("other"))
		for _, test := range []struct{ method, target, want string }{
			{"GET", "/p", "own"}, {"HEAD", "/p", "own"}, {"DELETE", "/p", "/p/ other"}, {"POST", "/p", ""}, {"OPTIONS", "/p", ""},
			{"GET", "/u/7", "own"}, {"PUT", "/u/7", "/u/:id/ other"}, {"POST", "/u/7", ""},
		} {
			s.do(test.method, test.target)
			assert.Equal(t, test.want, ran.take(), "%s %s", test.method, test.target)
		}
	})
}

func TestC35PrefixBeforeExact(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		s.use("/u/:id", ran.middleware("/u/:id", "id"))
		s.use("/u/:id/", ran.middleware("/u/:id/", "id"))
		s.do("GET", "/u/a%2Fb")
		assert.Equal(t, "/u/:id/(id=a/b) /u/:id/(id=a) /u/:id(id=a/b)", ran.take())
	})
}

// TestC35NotFoundIsNoRoute checks which handler answers for /p if only other methods have that route.
func TestC35NotFoundIsNoRoute(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		s.use("/p/", ran.middleware("/p/"))
		s.handle("POST", "/p", ran.handler("own"))
		s.notFound(ran.handler("not found"))
		s.enableMethodNotAllowed(false)
		s.do("GET", "/p")
		assert.Equal(t, "/p/ not found", ran.take())
		s.do("POST", "/p")
		assert.Equal(t, "own", ran.take())
	})
}

// TestC35DeepScopes has scopes that are deeper than later ones, or than all scopes of the other kind.
func TestC35DeepScopes(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		s.use("/a/b/c/", ran.middleware("in"))
		s.use("/", ran.middleware("/"))
		s.do("GET", "/x/../a/b/c/d")
		assert.Equal(t, "/ in", ran.take())
	})
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		s.after("/a/b/", ran.afterware("out"))
		s.do("GET", "/x/../a/b/c")
		assert.Equal(t, "out", ran.take())
	})
}

func TestC35TheRoutedBindingIsWhatIsLeft(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		s.use("/:x/", ran.middleware("in", "x"))
		s.after("/:x/", ran.afterware("out", "x"))
		s.get("/*all", ran.handler("handler", "x"))
		s.do("GET", "/a%2Fb")
		assert.Equal(t, "in(x=a/b) in(x=a) handler(x=a/b) out(x=a/b)", ran.take())
	})
}

func FuzzC35Ownership(f *testing.F) {
	f.Add("1/mine.txt")
	f.Add("1/../2/secret.txt")
	f.Add("1%2F..%2F2//secret.txt")
	f.Add("%2e%2e/../2/secret.txt/")
	s := homes(newStack())
	f.Fuzz(func(t *testing.T, file string) {
		u, err := url.ParseRequestURI("/user/" + file)
		if err != nil {
			t.Skip()
		}
		w := s.serve(&http.Request{Method: "GET", URL: u})
		assert.NotContains(t, w.Body.String(), "this is secret.txt", file)
	})
}

// TestC35RandomSpellings changes the spellings at random, also when no fuzzer runs.
func TestC35RandomSpellings(t *testing.T) {
	r := random{rand.New(rand.NewPCG(35, 0))}
	s, files := guarded(newStack(), "/admin/"), homes(newStack())
	for range 20_000 {
		var b strings.Builder
		for range 1 + r.IntN(6) {
			b.WriteString(r.of("/", "/", "%2F", "%2f", "//") + r.of("admin", "%61dmin", "secret", "..", ".", "%2e%2e", ".%2E", "x", "", "public"))
		}
		target := "/" + strings.TrimPrefix(b.String(), "/")
		u, err := url.ParseRequestURI(target)
		require.NoError(t, err, target)
		w := s.serve(&http.Request{Method: "GET", URL: u})
		if lies(strings.Split(u.Path, "/")) || lies(strings.Split(path.Clean(u.Path), "/")) {
			require.Equal(t, http.StatusForbidden, w.Code, target)
		}
		home := strings.NewReplacer("admin", "2", "%61dmin", "%32", "secret", "secret.txt", "public", "1").Replace(target)
		u, err = url.ParseRequestURI("/user" + home)
		require.NoError(t, err, home)
		w = files.serve(&http.Request{Method: "GET", URL: u})
		require.NotContains(t, w.Body.String(), "this is secret.txt", home)
	}
}

// TestC35NestedMuxesAndTheirParams has encoded slashes that are text for a param of a nested Mux, and slashes for its handler.
func TestC35NestedMuxesAndTheirParams(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		inner := kami.New()
		inner.Get("/:branch/*path", echo("", "branch", "path"))
		deny := func(_ context.Context, w http.ResponseWriter, _ *http.Request) context.Context {
			w.WriteHeader(http.StatusForbidden)
			return nil
		}
		s.use("/:branch/private/", deny)
		s.use("/in/:branch/private/", deny)
		s.get("/in/*rest", http.StripPrefix("/in", inner))
		s.notFound(inner)
		for target, want := range map[string]int{
			"/feature%2Fx/private%2Fk": 403, "/feature/private%2Fk": 403, "/feature%2Fx/private/k": 403, "/feature%2Fprivate/k": 403,
			"/in/feature%2Fx/private%2Fk": 403, "/in/feature/private%2Fk": 403, "/feature%2Fx/public%2Fk": 200, "/in/feature%2Fx/public%2Fk": 200,
		} {
			assert.Equal(t, want, s.do("GET", target).Code, target)
		}
	})
}

// TestC35ARedirectIsNoPathOfItsOwn checks /p if it redirects to /p/ because of a route of another method.
func TestC35ARedirectIsNoPathOfItsOwn(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var ran trail
		s.use("/p/", ran.middleware("guard"))
		s.get("/p", ran.handler("handler"))
		s.handle("POST", "/p/", ran.handler("handler"))
		for target, want := range map[string]string{"/p": "guard", "/p/": "guard handler"} {
			s.do("GET", target)
			assert.Equal(t, want, ran.take(), target)
		}
		assert.Empty(t, s.check())
	})
}

// TestC35OpaqueTargets sends request lines whose target has no path, which a proxy would pass on unchanged.
func TestC35OpaqueTargets(t *testing.T) {
	for name, register := range map[string]func(s *stack, proxy http.Handler){
		"route":     func(s *stack, proxy http.Handler) { s.get("/", proxy) },
		"catch-all": func(s *stack, proxy http.Handler) { s.get("/*rest", proxy) },
		"not found": func(s *stack, proxy http.Handler) { s.notFound(proxy) },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, s *stack) {
				var asked atomic.Value
				upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked.Store(r.URL.Path) }))
				defer upstream.Close()
				to, _ := url.Parse(upstream.URL)
				s.use("/secret/", func(_ context.Context, w http.ResponseWriter, _ *http.Request) context.Context {
					w.WriteHeader(http.StatusForbidden)
					return nil
				})
				register(s, httputil.NewSingleHostReverseProxy(to))
				server := httptest.NewServer(s)
				defer server.Close()
				for _, target := range []string{"http:http://up/secret/x", "http:/secret/x", "x:secret/x", "mailto:nobody"} {
					conn, err := net.Dial("tcp", server.Listener.Addr().String())
					require.NoError(t, err)
					fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", target)
					answer, _ := io.ReadAll(conn)
					conn.Close()
					assert.NotContains(t, string(answer), "200 OK", target)
					assert.NotEqual(t, "/secret/x", asked.Load(), target)
				}
				w := s.serve(&http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Opaque: "//up/secret/x", Path: "/"}, Header: http.Header{}})
				assert.Equal(t, http.StatusBadRequest, w.Code, "also where code has made the URL")
				e, err := s.explain("GET", "http:http://up/secret/x")
				require.NoError(t, err)
				assert.Equal(t, http.StatusBadRequest, e.Status)
			})
		})
	}
}
