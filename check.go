package kami

import (
	"fmt"
	"net/url"
	"slices"

	"github.com/guregu/kami/internal/check"
	"github.com/guregu/kami/internal/patterns"
	"github.com/guregu/kami/treemux"
)

// Finding is a probable mistake in the registrations. See [Mux.Check].
type Finding struct {
	Problem string `json:"problem"` // its kind, as "unused scope"
	Place   string `json:"place"`   // where it was registered, as app/routes.go:31
	Text    string `json:"text"`    // what, why, and what to do
}

// String prints the finding for people, as the go command prints an error: the place, then the text.
func (f Finding) String() string { return f.Place + ": " + f.Text }

// Check returns probable mistakes, of these kinds:
//
//	unguarded page      a page for operators, such as package inspect's, that only scopes for all paths cover: middleware for
//	                    all paths is seldom a guard; if it is one, register it for the page too
//	uncovered route     a route "/admin" that the scope "/admin/" leaves out, because it is a route of its own
//	unreachable route   a route that no request can reach, or no request that clients send
//	unusual pattern     such as "/v:x", in which the colon is ordinary text, or "/:id.json", whose param is called "id.json"
//	unused scope        a scope that covers no route, and so runs for 404s at most
//	exact scope         a scope such as "/private", which does not cover the route "/private/x"
//	ambiguous param     a name that a scope and a route, or two scopes, have for different segments of one path
//
// It is for tests and for operators: it compares each scope with each route. It does not look into handlers and mounted Muxes:
// call the Check of those Muxes.
func (m *Mux) Check() []Finding {
	p := m.plan()
	t := check.Table{
		Middleware: checked(registered(&p.middleware)),
		Afterware:  checked(registered(&p.afterware)),
		Answer: func(method, path string) (pattern, place string) {
			if r := p.match(method, path, nil, new(treemux.Spans)).route; r != nil {
				return r.path, r.place.String()
			}
			return "", ""
		},
		Guards: func(method, path string, is func(string) bool) bool {
			e := p.explain(method, path, &url.URL{Path: path})
			return slices.ContainsFunc(e.Middleware, func(s Step) bool { return is(s.Path) })
		},
	}
	for _, r := range p.allRoutes() {
		t.Routes = append(t.Routes, r.checked())
	}
	var findings []Finding
	for _, f := range check.Findings(t) {
		findings = append(findings, Finding(f))
	}
	return findings
}

// guarded is a handler that not every client may reach. NeedsGuard says why.
type guarded interface{ NeedsGuard() string }

func (r *route) checked() check.Route {
	c := check.Route{Method: r.method, Path: r.path, Place: r.place.String(), What: r.registered()}
	c.Pattern, _ = treemux.Parse(r.path)         // the registration has parsed it, so there is no error
	c.Pattern.Slash = c.Pattern.Slash || r.slash // another method's path may have the slash for all
	if page, ok := unwrapped(r.handler).(guarded); ok {
		c.NeedsGuard = page.NeedsGuard()
	}
	if inner := r.mounted(); inner != nil {
		p := inner.plan()
		if all := p.describe(); len(all) > 0 && len(p.below(r.mountPath())) == 0 {
			c.Astray = fmt.Sprintf("%s %q (%s)", all[0].Method, all[0].Pattern, all[0].Place)
		}
	}
	return c
}

func checked(all []registration) []check.Scope {
	scopes := make([]check.Scope, len(all))
	for i, s := range all {
		scopes[i] = check.Scope{Kind: s.Kind, Path: s.Path, Name: s.Name, Place: s.Place, Pattern: s.pattern}
	}
	return scopes
}

// Covers reports whether a path of the route can lie in the scope, by the rules of [Mux.Use], encoded slashes aside. For example, the
// scopes "/", "/users" and "/:any/" cover the route "/users", and "/users/" does not.
func (s Scope) Covers(r Route) bool {
	scope, err := treemux.Parse(s.Path)
	if err != nil {
		return false
	}
	route, err := treemux.Parse(r.Pattern)
	return err == nil && patterns.Covers(scope, route)
}
