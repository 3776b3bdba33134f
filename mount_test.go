package kami_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/guregu/kami"
	"github.com/guregu/kami/inspect"
	"github.com/guregu/kami/mutil"
)

// whole is a handler that answers with the method, the path and the pattern that it sees.
func whole(w http.ResponseWriter, r *http.Request) {
	fmt.Fprint(w, r.Method, " ", r.URL.Path, " ", r.Pattern)
}

// said returns the status, then Location, Allow and the body of a success if there are any.
func said(w *httptest.ResponseRecorder) string {
	parts := []string{fmt.Sprint(w.Code), w.Header().Get("Location"), w.Header().Get("Allow")}
	if w.Code < 300 {
		parts = append(parts, w.Body.String())
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
}

func TestMountHandsOnEveryMethodAndPathBelow(t *testing.T) {
	for _, path := range []string{"/old", "/old/"} {
		each(t, func(t *testing.T, s *stack) {
			s.mount(path, http.HandlerFunc(whole))
			s.get("/old/new", echo("new"))
			s.get("/old/:id/new", echo("new", "id"))
			for request, want := range map[string]string{
				"GET /old":              "200 GET /old /old/",
				"GET /old/":             "200 GET /old/ /old/",
				"GET /old/a":            "200 GET /old/a /old/*",
				"GET /old/a/":           "200 GET /old/a/ /old/*",
				"GET /old/a/b%2Fc":      "200 GET /old/a/b/c /old/*",
				"HEAD /old/a":           "200 HEAD /old/a /old/*",
				"POST /old/a":           "200 POST /old/a /old/*",
				"OPTIONS /old/a":        "200 OPTIONS /old/a /old/*",
				"PURGE /old":            "200 PURGE /old /old/",
				"GET /old/new":          "200 new", // routes below go first, for the methods that they have
				"HEAD /old/new":         "200 new",
				"POST /old/new":         "200 POST /old/new /old/*",
				"GET /old/7/new":        "200 new(id=7)",
				"GET /old/new/":         "301 /old/new",
				"GET /older":            "404",
				"GET /":                 "404",
				"GET /old//a":           "301 /old/a",
				"POST /old/x/../a/?q=1": "307 /old/a/?q=1",
				"GET /x/../old":         "301 /old",
				"GET /x/../old/":        "301 /old/",
				"GET /old/a%2F..%2Fb":   "404",
				"GET /old/%2e%2e/x":     "404",
			} {
				method, target, _ := strings.Cut(request, " ")
				assert.Equal(t, want, said(s.do(method, target)), "%s %s", path, request)
			}
		})
	}
}

func TestMountAtTheRoot(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		s.mount("/", http.HandlerFunc(whole))
		s.get("/mine", echo("mine"))
		for request, want := range map[string]string{
			"GET /":       "200 GET / /",
			"DELETE /":    "200 DELETE / /",
			"PUT /a/b":    "200 PUT /a/b /*",
			"GET /a/":     "200 GET /a/ /*",
			"GET /mine":   "200 mine",
			"GET //":      "301 /",
			"GET /../a":   "301 /a",
			"GET /mine/x": "200 GET /mine/x /*",
		} {
			method, target, _ := strings.Cut(request, " ")
			assert.Equal(t, want, said(s.do(method, target)), request)
		}
	})
}

// All types of handlers can be mounted. net/http's handlers find the params with PathValue.
func TestMountTypesOfHandlers(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		s.mount("/:tenant/func", echo("func", "tenant"))
		s.mount("/:tenant/error", fails(&statusError{409, nil}))
		s.mount("/:tenant/vanilla/", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.PathValue("tenant"), " ", r.Pattern)
		})
		stripped := http.NewServeMux()
		stripped.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.URL.Path, " ", r.PathValue("id"), " ", r.Pattern)
		})
		s.mount("/old/", http.StripPrefix("/old", stripped))
		for request, want := range map[string]string{
			"PUT /a/func/x/y/z":  "200 func(tenant=a)",
			"PUT /a%2Fb/func":    "200 func(tenant=a/b)",
			"PUT /a/error":       "409",
			"PUT /a/vanilla/x":   "200 a /:tenant/vanilla/*",
			"PUT /a/vanilla":     "200 a /:tenant/vanilla/",
			"GET /old/users/7":   "200 /users/7 7 GET /users/{id}",
			"POST /old/users/7":  "405 GET, HEAD", // ServeMux's own
			"GET /old/nobody":    "404",
			"GET /old/users/7/8": "404",
		} {
			method, target, _ := strings.Cut(request, " ")
			assert.Equal(t, want, said(s.do(method, target)), request)
		}
	})
}

func TestMountManyParams(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		s.mount("/:a/:b/:c/:d/:e/:f", echo("", "a", "e", "f"))
		assert.Equal(t, "(a=1,e=5,f=6)", s.do("GET", "/1/2/3/4/5/6").Body.String())
		assert.Equal(t, "(a=1,e=5,f=6)", s.do("GET", "/1/2/3/4/5/6/7/8").Body.String())
		assert.Equal(t, "(a=1,e=5%,f=6/7)", s.do("GET", "/1/2/3/4/5%25/6%2F7/8").Body.String())
	})
}

// admins returns a Mux to mount at /t/:tenant/. It has a scope and hooks.
func admins(ran *trail) *kami.Mux {
	inner := kami.New()
	inner.Use("/", ran.middleware("inner"))
	inner.After("/t/:own/users/", ran.afterware("inner after", "own", "tenant"))
	inner.Get("/t/:own/users/:id", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		ran.add("handler")
		fmt.Fprint(w, r.Pattern, values(ctx, []string{"tenant", "own", "id"}))
	})
	inner.Post("/t/:own", echo("post"))
	inner.Get("/elsewhere", echo("elsewhere"))
	return inner
}

// r.Pattern is the inner route's pattern for all middleware and handlers, outer ones too.
func TestMountedMux(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var ran trail
		pattern := func(name string) func(context.Context, *http.Request) context.Context {
			return func(ctx context.Context, r *http.Request) context.Context {
				ran.add("%s:%s", name, r.Pattern)
				return ctx
			}
		}
		s.use("/t/:tenant/", pattern("use"))
		s.use("/t/", func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), ctxKey{}, 1)))
			})
		})
		s.after("/t/:tenant/", pattern("after"))
		s.mount("/t/:tenant/", admins(&ran))
		s.get("/t/:tenant/mine", echo("mine"))
		for _, test := range []struct{ request, want, ran, pattern string }{
			{"GET /t/a/users/7", "200 /t/:own/users/:id(tenant=a,own=a,id=7)",
				"use:/t/:own/users/:id inner handler inner after(own=a,tenant=a) after:/t/:own/users/:id", "/t/:own/users/:id"},
			{"HEAD /t/a/users/7", "200 /t/:own/users/:id(tenant=a,own=a,id=7)",
				"use:/t/:own/users/:id inner handler inner after(own=a,tenant=a) after:/t/:own/users/:id", "/t/:own/users/:id"},
			{"POST /t/a", "200 post", "use:/t/:own inner after:/t/:own", "/t/:own"},
			{"POST /t/a/", "307 /t/a", "use: inner after:", "outer"}, // the inner one's redirect
			{"GET /t/a", "405 OPTIONS, POST", "use: inner after:", "outer"},
			{"OPTIONS /t/a", "204 OPTIONS, POST", "use: inner after:", "outer"},
			{"OPTIONS /t/a/users/7", "204 GET, HEAD, OPTIONS", "use: inner inner after(own=a,tenant=a) after:", "outer"},
			{"GET /t/a/none", "404", "use: inner after:", "outer"},
			{"GET /t/a/mine", "200 mine", "use:/t/:tenant/mine after:/t/:tenant/mine", "/t/:tenant/mine"},
			{"GET /elsewhere", "404", "", "outer"},
		} {
			method, target, _ := strings.Cut(test.request, " ")
			r := httptest.NewRequest(method, target, nil)
			r.Pattern = "outer"
			assert.Equal(t, test.want, said(s.serve(r)), test.request)
			assert.Equal(t, test.ran, ran.take(), test.request)
			assert.Equal(t, test.pattern, r.Pattern, test.request)
		}
	})
}

// The hooks and error handlers of both Muxes see the pattern too.
func TestMountedMuxHooks(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		log := func(name string) func(context.Context, mutil.WriterProxy, *http.Request) {
			return func(ctx context.Context, w mutil.WriterProxy, r *http.Request) {
				ran.add("%s:%s:%d", name, r.Pattern, w.Status())
			}
		}
		inner := kami.New()
		inner.LogHandler = log("inner")
		inner.Get("/in/:id", echo("in"))
		inner.Get("/in/panic", func(http.ResponseWriter, *http.Request) { panic("in") })
		inner.NotFound(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusGone) })
		*s.logHandler = log("outer")
		*s.panicHandler = func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) }
		s.notFound(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusLocked) })
		s.mount("/in/", inner)
		for target, want := range map[string]string{
			"/in/7":     "inner:/in/:id:200 outer:/in/:id:200",
			"/in/panic": "inner:/in/panic:0 outer:/in/panic:418",
			"/in/a/b":   "inner::410 outer::410",
			"/out":      "outer::423",
		} {
			s.do("GET", target)
			assert.Equal(t, want, ran.take(), target)
		}
	})
}

// No spelling of a path gets past a guard to a mounted Mux, with or without a slash at the end of the mount's path.
func TestMountIsGuardedByScopes(t *testing.T) {
	for _, path := range []string{"/admin", "/admin/"} {
		for _, scope := range []string{"/admin/", "/admin/*", "/:any/", "/"} {
			everywhere(t, func(t *testing.T, s *stack) {
				inner := kami.New()
				inner.NotFound(echo("reached"))
				s.use(scope, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
				s.mount(path, inner)
				for _, target := range []string{"/admin", "/admin/", "/admin/x", "/admin/x/", "/admin//x", "/admin/x/../y",
					"/%61dmin", "/admin%2Fx", "/admin/%2e%2e/admin/x", "//admin"} {
					for _, method := range []string{"GET", "POST", "OPTIONS", "HEAD"} {
						w := s.do(method, target)
						assert.NotContains(t, w.Body.String(), "reached", "%s %s %s", scope, method, target)
					}
				}
				assert.Equal(t, 403, s.do("POST", "/admin").Code, scope)
				assert.Equal(t, 403, s.do("POST", "/admin/").Code, scope)
				assert.Empty(t, s.check(), "%s %s", path, scope)
			})
		}
	}
}

// The incoming request's context wins over the outer Mux's Context, and the inner middleware's values win over both.
func TestMountedMuxContexts(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		type outerKey struct{}
		type bothKey struct{}
		type innerKey struct{}
		inner := kami.New()
		inner.Context = context.WithValue(context.WithValue(context.Background(), bothKey{}, "inner"), innerKey{}, "inner")
		*s.context = context.WithValue(context.WithValue(context.Background(), bothKey{}, "outer"), outerKey{}, "outer")
		show := func(ctx context.Context, w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, ctx.Value(outerKey{}), " ", ctx.Value(bothKey{}), " ", ctx.Value(innerKey{}))
		}
		inner.Use("/in/own/", func(ctx context.Context) context.Context {
			return context.WithValue(ctx, bothKey{}, inner.Context.Value(bothKey{}))
		})
		inner.Get("/in/a", show)
		inner.Get("/in/own/a", show)
		s.mount("/in/", inner)
		assert.Equal(t, "outer outer inner", s.do("GET", "/in/a").Body.String())
		assert.Equal(t, "outer inner inner", s.do("GET", "/in/own/a").Body.String())
	})
}

func TestMountInAMountedMux(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		innermost, inner := kami.New(), kami.New()
		innermost.Get("/a/b/c", http.HandlerFunc(whole))
		inner.Mount("/a/b/", innermost)
		inner.Mount("/a/old/", http.HandlerFunc(whole))
		s.mount("/a/", inner)
		for target, want := range map[string]string{
			"/a/b/c":     "200 GET /a/b/c /a/b/c",
			"/a/old/x/y": "200 GET /a/old/x/y /a/old/*",
		} {
			r := httptest.NewRequest("GET", target, nil)
			assert.Equal(t, want, said(s.serve(r)))
			assert.True(t, strings.HasSuffix(want, " "+r.Pattern), r.Pattern)
		}
		assert.Equal(t, []string{"GET /a/b/c", "* /a/old/", "* /a/old/*"}, s.patterns())
		e, err := s.explain("GET", "/a/b/c")
		assert.NoError(t, err)
		assert.Equal(t, "/a/b/c", e.Route.Pattern)
	})
}

// patterns returns the methods and patterns of all routes.
func (s *stack) patterns() (all []string) {
	for r := range s.routes() {
		all = append(all, r.Method+" "+r.Pattern)
	}
	return all
}

func TestC26Mount(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		s.echoes("GET /a")
		before := s.answers()
		for _, test := range refused {
			at, got := here(), panicOf(func() { s.mount(test[0], nothing) })
			assert.Equal(t, refusal(fmt.Sprintf("Mount %q", test[0]), at, test[1]), got)
		}
		for name, handler := range nils {
			at, got := here(), panicOf(func() { s.mount("/new", handler) })
			assert.Equal(t, refusal(`Mount "/new"`, at, "the handler must not be nil"), got, name)
		}
		at, got := here(), panicOf(func() { s.mount("/new", 7) })
		assert.Equal(t, refusal(`Mount "/new"`, at, "int is no type of handler; "+acceptedHandlers), got)
		at, got = here(), panicOf(func() { s.mount("/new/*rest", nothing) })
		assert.Equal(t, refusal(`Mount "/new/*rest"`, at, "what is mounted gets all paths below it anyway: leave the catch-all out"), got)
		at, got = here(), panicOf(func() { s.mount("/new", s.Handler) })
		itself := "a Mux must not be mounted in itself, nor in one that is mounted in it"
		assert.Equal(t, refusal(`Mount "/new"`, at, itself), got)
		inner, innermost := kami.New(), kami.New()
		inner.Mount("/a", innermost)
		innermost.Mount("/b", s.Handler)
		at, got = here(), panicOf(func() { s.mount("/new", inner) })
		assert.Equal(t, refusal(`Mount "/new"`, at, itself), got)
		assert.Equal(t, before, s.answers())
	})
}

func TestC26MountConflicts(t *testing.T) {
	for _, test := range []struct{ first, then, firstSaid, thenSaid string }{
		{"MOUNT /a", "MOUNT /a", `Mount "/a/"`, `Mount "/a/"`},
		{"MOUNT /a/", "MOUNT /a", `Mount "/a/"`, `Mount "/a/"`},
		{"MOUNT /a/:x", "MOUNT /a/:y/", `Mount "/a/:x/"`, `Mount "/a/:y/"`},
		{"MOUNT /", "MOUNT /", `Mount "/"`, `Mount "/"`},
		{"GET /a", "MOUNT /a", `GET "/a"`, `Mount "/a/"`},
		{"GET /a/", "MOUNT /a", `GET "/a/"`, `Mount "/a/"`},
		{"PUT /a/*rest", "MOUNT /a", `PUT "/a/*rest"`, `Mount "/a/"`},
		{"GET /", "MOUNT /", `GET "/"`, `Mount "/"`},
		{"MOUNT /a", "GET /a", `Mount "/a/"`, `GET "/a"`},
		{"MOUNT /a", "PUT /a/*rest", `Mount "/a/"`, `PUT "/a/*rest"`},
		{"MOUNT /", "PUT /*rest", `Mount "/"`, `PUT "/*rest"`},
	} {
		each(t, func(t *testing.T, s *stack) {
			register := func(what string) {
				if method, path, _ := strings.Cut(what, " "); method == "MOUNT" {
					s.mount(path, nothing)
				} else {
					s.handle(method, path, nothing)
				}
			}
			register(test.first)
			before, all := s.answers(), s.patterns()
			place := slices.Collect(s.routes())[0].Place
			got := panicOf(func() { register(test.then) })
			at := strings.TrimPrefix(strings.TrimSuffix(got, fmt.Sprintf(") conflicts with %s (%s): both match the same paths", test.firstSaid, place)),
				fmt.Sprintf("kami: %s (", test.thenSaid))
			assert.Regexp(t, `^[^/]+/mount_test.go:\d+$`, at, "%s, %s: %s", test.first, test.then, got)
			assert.Equal(t, before, s.answers(), "nothing has changed")
			assert.Equal(t, all, s.patterns())
		})
	}
}

func TestMountExplained(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var ran trail
		s.use("/t/:tenant/", pass)
		s.after("/", pass)
		s.mount("/t/:tenant/", admins(&ran))
		s.mount("/old", http.HandlerFunc(whole))
		s.get("/t/:tenant/mine", echo("mine"))
		assert.Equal(t, []string{"* /old/", "* /old/*", "POST /t/:own", "GET /t/:own/users/:id", "GET /t/:tenant/mine"}, s.patterns())

		e, err := s.explain("GET", "/t/a/users/7?x=1")
		assert.NoError(t, err)
		assert.Equal(t, "/t/:own/users/:id", e.Route.Pattern)
		assert.Equal(t, []kami.PathParam{{Name: "own", Value: "a"}, {Name: "id", Value: "7"}, {Name: "tenant", Value: "a"}}, e.Params)
		steps := func(all []kami.Step) (texts []string) {
			for _, step := range all {
				texts = append(texts, step.Path+" "+step.Mount)
			}
			return texts
		}
		assert.Equal(t, []string{"/t/:tenant/ ", "/ /t/:tenant/"}, steps(e.Middleware))
		assert.Equal(t, []string{"/t/:own/users/ /t/:tenant/", "/ "}, steps(e.Afterware))
		assert.Contains(t, e.String(), "of the Mux at /t/:tenant/")
		assert.Equal(t, "GET /t/a/users/7?x=1", e.Method+" "+e.Path)

		e, err = s.explain("DELETE", "/t/a")
		assert.NoError(t, err)
		assert.Nil(t, e.Route)
		assert.Equal(t, "405 Method Not Allowed, Allow: OPTIONS, POST", e.Answer())

		e, err = s.explain("DELETE", "/old/x")
		assert.NoError(t, err)
		assert.Regexp(t, `^\* /old/\*  kami_test.whole \([^/]+/mount_test.go:\d+\)$`, e.Answer())
	})
}

func TestMountChecked(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		inner := kami.New()
		inner.Get("/stats", echo(""))
		s.mount("/admin/", inner)
		s.mount("/debug/kami", inspect.Handler(kami.New()))
		s.mount("/v:x/", http.HandlerFunc(whole))
		s.use("/old/x/y/", pass) // it may well be there
		s.after("/old/", pass)
		s.use("/old", pass)
		s.mount("/old", http.HandlerFunc(whole))
		s.use("/none/", pass)
		var got []string
		for _, f := range s.check() {
			got = append(got, f.Problem+" "+strings.SplitN(f.Text, " (", 2)[0])
		}
		assert.ElementsMatch(t, []string{
			`unreachable route Mount "/admin/" reaches no route of that Mux, such as GET "/stats"`,
			`unguarded page Mount "/debug/kami/" shows all routes and scopes, and only what runs for all paths may guard it`,
			`unusual pattern Mount "/v:x/": params and catch-alls are whole segments, so "v:x" is ordinary text`,
			`exact scope middleware kami_test.pass for "/old" covers that path alone, and not Mount "/old/"`,
			`unused scope middleware kami_test.pass for "/none/" covers no route`,
		}, got)
		inner.Get("/admin/stats", echo(""))
		s.use("/debug/", pass)
		for _, f := range s.check() {
			assert.NotContains(t, f.Text, "/admin/")
			assert.NotContains(t, f.Text, "/debug/")
		}
	})
}

// The page lists the inner routes and explains them. It explains the mount's route for all methods as GET.
func TestMountInspected(t *testing.T) {
	outer, inner := kami.New(), kami.New()
	inner.Use("/admin/", pass)
	inner.Get("/admin/users/:id", echo(""))
	outer.Mount("/admin/", inner)
	outer.Mount("/old/", http.HandlerFunc(whole))
	page := func(query string) string {
		r := httptest.NewRequest("GET", "http://localhost/?"+query, nil)
		w := httptest.NewRecorder()
		inspect.Handler(outer).ServeHTTP(w, r)
		body, _ := io.ReadAll(w.Body)
		return string(body)
	}
	list := page("")
	assert.Contains(t, list, `href="?method=GET&amp;fill=%2fadmin%2fusers%2f%3aid"`)
	assert.Contains(t, list, `href="?method=GET&amp;fill=%2fold%2f%2a"`)
	explained := page("path=/admin/users/7")
	assert.Contains(t, explained, "<code>GET /admin/users/:id</code>")
	assert.Contains(t, explained, "of the Mux at <code>/admin/</code>")
	assert.Contains(t, page("method=PUT&path=/old/x"), "<code>* /old/*</code>")
}

// A Mux can be changed while it is mounted.
func TestMountedMuxChangesLater(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		inner := kami.New()
		s.mount("/in", inner)
		assert.Equal(t, 404, s.do("GET", "/in/a").Code)
		inner.Get("/in/a", http.HandlerFunc(whole))
		r := httptest.NewRequest("GET", "/in/a", nil)
		assert.Equal(t, "200 GET /in/a /in/a", said(s.serve(r)))
		assert.Equal(t, "/in/a", r.Pattern)
		assert.Equal(t, []string{"GET /in/a"}, s.patterns())
	})
}
