package kami_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/guregu/kami"
)

// secretPage is a page that a scope protects.
type secretPage struct{}

func (secretPage) ServeHTTP(http.ResponseWriter, *http.Request) {}
func (secretPage) NeedsGuard() string                           { return "tells secrets" }

func guard(ctx context.Context) context.Context { return ctx }

// Check finds each planted mistake, and reports no correct registration next to it.
func TestCheck(t *testing.T) {
	for _, test := range []struct {
		name  string
		plant func(s *stack)
		want  []string // with "use " and "route " in the place of middleware and the places
	}{
		{"nothing", func(*stack) {}, nil},
		{"all is well", func(s *stack) {
			s.use("/", guard)
			s.use("/users/", guard)
			s.use("/users/:id/", guard)
			s.after("/users/:id/edit", guard)
			s.handle("GET", "/", nothing)
			s.handle("GET", "/users/:id/edit", nothing)
			s.handle("POST", "/users/:id", nothing)
			s.handle("GET", "/files/*path", nothing)
			s.handle("GET", "/files/:name", nothing)
			s.handle("PURGE", "/files/:name", nothing)
			s.handle("GET", "/debug/page", secretPage{})
			s.use("/debug/", guard)
			s.use("/about/", guard)
			s.handle("GET", "/about/", nothing)
			s.use("/:/:/", guard)
			s.handle("GET", "/x/:/:y", nothing)
		}, nil},
		{"unused scopes", func(s *stack) {
			s.use("/user/", guard)
			s.after("/users/:id/edit", guard)
			s.use("/users/7", guard)
			s.use("/users", guard)
			s.use("/files/", guard)
			s.use("/about/", guard)
			s.handle("GET", "/users/:id", nothing)
			s.handle("GET", "/files/*path", nothing)
			s.handle("GET", "/about", nothing)
		}, []string{
			`uncovered route: middleware kami_test.guard for "/about/" does not cover GET "/about", a route of its own: register the middleware for "/about" too`,
			`unused scope: middleware kami_test.guard for "/user/" covers no route`,
			`exact scope: middleware kami_test.guard for "/users" covers that path alone, and not GET "/users/:id": "/users/" covers what is below`,
			`unused scope: afterware kami_test.guard for "/users/:id/edit" covers no route`,
		}},
		{"one for 404s", func(s *stack) {
			s.use("/amdin/", guard)
			s.handle("GET", "/admin/x", nothing)
			s.notFound(nothing)
		}, []string{
			`unused scope: middleware kami_test.guard for "/amdin/" covers no route`,
		}},
		{"scopes that no path lies in", func(s *stack) {
			s.use("/users/{id}/", guard)
			s.use("/users/{rest...}", guard)
			s.after("/a?b", guard)
			s.handle("GET", "/users/:id/x", nothing)
			s.handle("GET", "/:a", nothing)
		}, []string{
			`unused scope: middleware kami_test.guard for "/users/{id}/": "{id}" is no param here, but ":id" is`,
			`unused scope: middleware kami_test.guard for "/users/{rest...}": "{rest...}" is no catch-all here, but "*rest" is`,
			`unused scope: afterware kami_test.guard for "/a?b": the segment "a?b" has a question mark or a number sign, which end a path`,
		}},
		{"scopes of ordinary apps", func(s *stack) {
			s.use("/users/new", guard)
			s.handle("GET", "/users/new", nothing)
			s.handle("GET", "/users/:id", nothing)
			s.handle("GET", "/users/:id/edit", nothing)
			s.use("/login", guard)
			s.use("/login/", guard)
			s.handle("GET", "/login", nothing)
			s.handle("GET", "/:owner/:repo", nothing)
			s.use("/api/login", guard)
			s.handle("GET", "/api/login", nothing)
			s.handle("GET", "/api/:version/users", nothing)
			s.use("/files/", guard)
			s.use("/files/sub/", guard)
			s.handle("GET", "/files/*path", nothing)
			s.use("/all/*", guard)
			s.handle("GET", "/all/", nothing)
		}, nil},
		{"an exact scope", func(s *stack) {
			s.use("/private", guard)
			s.handle("GET", "/private", nothing)
			s.handle("GET", "/private/x", nothing)
		}, []string{
			`exact scope: middleware kami_test.guard for "/private" covers that path alone, and not GET "/private/x": "/private/" covers what is below`,
		}},
		{"an exact scope of afterware, with a param", func(s *stack) {
			s.after("/a/:b", guard)
			s.handle("GET", "/a/:x", nothing)
			s.handle("GET", "/a/b/c", nothing)
		}, []string{
			`exact scope: afterware kami_test.guard for "/a/:b" covers that path alone, and not GET "/a/b/c": "/a/:b/" covers what is below`,
		}},
		{"an exact scope beside one of something else", func(s *stack) {
			s.use("/private", guard)
			s.use("/private/", login)
			s.handle("GET", "/private/x", nothing)
		}, []string{
			`exact scope: middleware kami_test.guard for "/private" covers that path alone, and not GET "/private/x": "/private/" covers what is below`,
		}},
		{"an exact scope beside a catch-all for the rest", func(s *stack) {
			s.use("/private", guard)
			s.use("/private/*", guard)
			s.handle("GET", "/private", nothing)
			s.handle("GET", "/private/x", nothing)
		}, nil},
		{"an exact scope beside the one for all", func(s *stack) {
			s.use("/private", guard)
			s.use("/private/", guard)
			s.handle("GET", "/private", nothing)
			s.handle("GET", "/private/x", nothing)
		}, nil},
		{"routes that scopes called alike leave out", func(s *stack) {
			s.use("/admin/", guard)
			s.handle("GET", "/admin", nothing)
			s.handle("POST", "/admin", nothing)
			s.handle("GET", "/admin/x", nothing)
			s.use("/posts/:id/*", guard)
			s.handle("GET", "/posts/:post", nothing)
			s.after("/posts/:id/", guard)
			s.handle("GET", "/posts/:post/edit", nothing)
		}, []string{
			`uncovered route: middleware kami_test.guard for "/admin/" does not cover GET "/admin", a route of its own: register the middleware for "/admin" too`,
			`uncovered route: middleware kami_test.guard for "/posts/:id/*" does not cover GET "/posts/:post", a route of its own: register the middleware for "/posts/:post" too`,
			`uncovered route: afterware kami_test.guard for "/posts/:id/" does not cover GET "/posts/:post", a route of its own: register the afterware for "/posts/:post" too`,
		}},
		{"routes that scopes called alike leave out, and others cover", func(s *stack) {
			s.use("/a/", guard)
			s.use("/a", guard)
			s.handle("GET", "/a", nothing)
			s.handle("GET", "/a/x", nothing)
			s.use("/b/", login)
			s.use("/", login)
			s.handle("GET", "/b", nothing)
			s.handle("GET", "/b/x", nothing)
			s.use("/c/", guard)
			s.use("/:any/", guard)
			s.handle("GET", "/c", nothing)
			s.handle("GET", "/c/x", nothing)
		}, nil},
		{"routes that scopes called alike cover", func(s *stack) {
			s.use("/a/", guard)
			s.handle("GET", "/a/", nothing)
			s.use("/b/", guard)
			s.handle("GET", "/:page", nothing)
			s.use("/:c/d/", guard)
			s.handle("GET", "/c/d", nothing)
		}, nil},
		{"patterns that are read otherwise elsewhere", func(s *stack) {
			s.handle("GET", "/a/v:x", nothing)
			s.handle("GET", "/b*", nothing)
			s.handle("GET", "/c/:id.json", nothing)
			s.handle("GET", "/d/:id?", nothing)
			s.handle("GET", "/e/:from:to", nothing)
			s.handle("GET", "/f/*path.gz", nothing)
			s.use("/g/x:y/", guard)
			s.handle("GET", "/g/x:y/z", nothing)
			s.after("/h/:(id)/", guard)
			s.handle("GET", "/h/i/j", nothing)
		}, []string{
			`unusual pattern: GET "/a/v:x": params and catch-alls are whole segments, so "v:x" is ordinary text`,
			`unusual pattern: GET "/b*": params and catch-alls are whole segments, so "b*" is ordinary text`,
			`unusual pattern: GET "/c/:id.json": params are whole segments, so the name of this one is "id.json"`,
			`unusual pattern: GET "/d/:id?": params are whole segments, so the name of this one is "id?"`,
			`unusual pattern: GET "/e/:from:to": params are whole segments, so the name of this one is "from:to"`,
			`unusual pattern: GET "/f/*path.gz": params are whole segments, so the name of this one is "path.gz"`,
			`unusual pattern: GET "/g/x:y/z": params and catch-alls are whole segments, so "x:y" is ordinary text`,
			`unusual pattern: middleware kami_test.guard for "/g/x:y/": params and catch-alls are whole segments, so "x:y" is ordinary text`,
			`unusual pattern: afterware kami_test.guard for "/h/:(id)/": params are whole segments, so the name of this one is "(id)"`,
		}},
		{"colons and asterisks that are well known", func(s *stack) {
			s.handle("GET", `/\:a/\*b`, nothing)
			s.handle("GET", "/c/:user_id/:user-id/:番号/:e\u0301/:/*", nothing)
			s.handle("GET", "/.well-known/x.json", nothing)
		}, nil},
		{"a catch-all that is never reached", func(s *stack) {
			s.handle("GET", "/files/:name", nothing)
			s.handle("GET", "/files/:name/*rest", nothing)
			s.handle("GET", "/files/*all", nothing)
			s.handle("PUT", "/files/*all", nothing)
		}, []string{
			`unreachable route: GET "/files/*all" is never reached: others go before it, such as "/files/:name/*rest"`,
		}},
		{"one that is reached by a longer path alone", func(s *stack) {
			s.handle("GET", "/:a", nothing)
			s.handle("GET", "/:a/:b", nothing)
			s.handle("GET", "/*all", nothing)
		}, nil},
		{"routes that nobody asks for", func(s *stack) {
			s.handle("get", "/a", nothing)
			s.handle("GET", "/d/{id}", nothing)
			s.handle("GET", "/e?f=:g", nothing)
			s.handle("GET", "/caf%C3%A9", nothing)
			s.handle("GET", "/100%", nothing)
			s.handle("M-SEARCH", "/d/{", nothing)
			s.handle("GET", "/f/{$}", nothing)
			s.handle("GET", "/g/{rest...}", nothing)
			s.handle("GET", "/h%3Fi", nothing)
			s.handle("*", "/i", nothing)
		}, []string{
			`unreachable route: get "/a": methods are case-sensitive (RFC 9110, section 9.1), is GET meant?`,
			`unreachable route: * "/i": no client sends the method "*": register the route for each method`,
			`unreachable route: GET "/caf%C3%A9": segments are compared decoded, and no client means "caf%C3%A9" by "café"`,
			`unreachable route: GET "/f/{$}": "{$}" is for net/http: here a path is matched to its end`,
			`unreachable route: GET "/g/{rest...}": "{rest...}" is no catch-all here, but "*rest" is`,
			`unreachable route: GET "/h%3Fi": segments are compared decoded, and no client means "h%3Fi" by "h?i"`,
			`unreachable route: GET "/d/{id}": "{id}" is no param here, but ":id" is`,
			`unreachable route: GET "/e?f=:g": the segment "e?f=:g" has a question mark or a number sign, which end a path`,
		}},
		{"a name for two segments", func(s *stack) {
			s.use("/orgs/:id/", guard)
			s.after("/:id/:org/users/", guard)
			s.use("/:x/:y/users/:org/", guard)
			s.handle("GET", "/orgs/:org/users/:id", nothing)
			s.handle("GET", "/orgs/:id/teams/:team", nothing)
		}, []string{
			`ambiguous param: middleware kami_test.guard for "/:x/:y/users/:org/": its "org" is another segment than that of GET "/orgs/:org/users/:id"`,
			`ambiguous param: middleware kami_test.guard for "/orgs/:id/": its "id" is another segment than that of GET "/orgs/:org/users/:id"`,
			`ambiguous param: afterware kami_test.guard for "/:id/:org/users/": its "id" is another segment than that of GET "/orgs/:org/users/:id"`,
		}},
		{"a name of two scopes", func(s *stack) {
			s.use("/:id/", guard)
			s.use("/a/:id/", guard)
			s.use("/b/:id/", guard)
			s.handle("GET", "/a/:x/y", nothing)
			s.handle("GET", "/b/c", nothing)
		}, []string{
			`ambiguous param: middleware kami_test.guard for "/a/:id/": its "id" is another segment than that of "/:id/"`,
			`ambiguous param: middleware kami_test.guard for "/b/:id/": its "id" is another segment than that of "/:id/"`,
		}},
		{"a page that nothing guards", func(s *stack) {
			s.use("/", guard)
			s.use("/*", guard)
			s.use("/*all", guard)
			s.use("/:any/", guard)
			s.use("/debug", guard)
			s.handle("GET", "/debug/page", secretPage{})
			s.handle("GET", "/debug", secretPage{})
			s.handle("POST", "/:any/page", kami.ContextHandler(contextPage{}))
		}, []string{
			`unguarded page: GET "/debug/page" tells secrets, and only what runs for all paths may guard it`,
			`unguarded page: POST "/:any/page" tells secrets, and only what runs for all paths may guard it`,
			`exact scope: middleware kami_test.guard for "/debug" covers that path alone, and not GET "/debug/page": "/debug/" covers what is below`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			each(t, func(t *testing.T, s *stack) {
				test.plant(s)
				var got []string
				for _, f := range s.check() {
					assert.Equal(t, f.Place+": "+f.Text, f.String())
					assert.Contains(t, f.Place, "_test.go:")
					got = append(got, f.Problem+": "+placeless(f.Text))
				}
				assert.ElementsMatch(t, test.want, got)
			})
		})
	}
}

// contextPage is a secretPage as a ContextHandler.
type contextPage struct{ secretPage }

func (contextPage) ServeHTTPContext(context.Context, http.ResponseWriter, *http.Request) {}

// placeless cuts off the places.
func placeless(text string) string {
	for {
		start := strings.Index(text, " ("+folder())
		if start < 0 {
			return text
		}
		end := start + strings.Index(text[start:], ")")
		text = text[:start] + text[end+1:]
	}
}

// folder is the last part of the path of this checkout, which places begin with.
func folder() string {
	folder, _, _ := strings.Cut(here(), "/")
	return folder + "/"
}

// TestCovers compares Covers with the middleware that runs, for all short paths of routes.
func TestCovers(t *testing.T) {
	var patterns, paths []string
	for _, p := range []string{"", "/a", "/:x", "/*r", "/a/a", "/a/:y", "/a/*r", "/:x/a", "/:x/:y", "/:x/*r"} {
		if p != "" {
			patterns = append(patterns, p)
		}
		if !strings.Contains(p, "*") {
			patterns = append(patterns, p+"/")
		}
	}
	for _, first := range []string{"", "/a", "/z"} {
		for _, second := range []string{"", "/a", "/z"} {
			for _, third := range []string{"", "/a", "/z"} {
				paths = append(paths, first+second+third+"/")
				if path := first + second + third; path != "" {
					paths = append(paths, path)
				}
			}
		}
	}
	for _, routed := range patterns {
		for _, scoped := range patterns {
			mux := kami.New()
			mux.Use(scoped, guard)
			mux.Get(routed, nothing)
			runs := false
			for _, path := range paths {
				e, err := mux.Explain("GET", path)
				assert.NoError(t, err)
				runs = runs || e.Route != nil && len(e.Middleware) > 0
			}
			for scope := range mux.Scopes() {
				for route := range mux.Routes() {
					assert.Equal(t, runs, scope.Covers(route), "%s of %s", routed, scoped)
				}
			}
		}
	}
	for _, path := range []string{"", "a", "/a//b", "/*a/b"} {
		assert.False(t, kami.Scope{Path: path}.Covers(kami.Route{Pattern: "/a"}), path)
		assert.False(t, kami.Scope{Path: "/"}.Covers(kami.Route{Pattern: path}), path)
	}
}
