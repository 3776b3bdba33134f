package kami

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/guregu/kami/internal/patterns"
	"github.com/guregu/kami/treemux"
)

// Finding is what is probably a mistake in what was registered. See [Mux.Check].
type Finding struct {
	Problem string `json:"problem"` // its kind, as "unused scope"
	Place   string `json:"place"`   // where it was registered, as app/routes.go:31
	Text    string `json:"text"`    // what, why, and what to do
}

// String prints the finding for people, as the go command prints its own: the place, then what is there.
func (f Finding) String() string { return f.Place + ": " + f.Text }

// Check returns what is probably a mistake, of these kinds:
//
//	unguarded page      a page for operators, as that of package inspect, that no scope but "/" and those of params
//	                    guards: what runs for all paths is seldom a guard; where it is, register it for the page too
//	uncovered route     one such as "/admin", which is a route of its own, beside a scope "/admin/", which then leaves it out
//	unreachable route   one that no request can reach, or none that clients send
//	unusual pattern     one such as "/v:x", in which the colon is ordinary text, or "/:id.json", whose param is called "id.json"
//	unused scope        one that covers no route, and so runs for 404s at most
//	exact scope         one such as "/private", which does not cover the route "/private/x"
//	ambiguous param     a name that a scope and a route, or two scopes, have for different segments of one path
//
// It is for tests and for looking: it compares each scope with each route. It does not look into handlers, nor for mistakes
// within mounted Muxes: ask those.
func (m *Mux) Check() []Finding {
	p := m.plan()
	c := checker{plan: p, routes: p.allRoutes(), patterns: make(map[*route]treemux.Pattern)}
	for _, r := range c.routes {
		pattern, _ := treemux.Parse(r.path)      // which it was registered with, so there is no error
		pattern.Slash = pattern.Slash || r.slash // another method's path may have the slash for all
		c.patterns[r], c.depth = pattern, max(c.depth, len(pattern.Segments))
	}
	for _, r := range c.routes {
		c.unguarded(r)
		c.unreachable(r)
	}
	c.scopes(registered(&p.middleware))
	c.scopes(registered(&p.afterware))
	return c.findings
}

// checker looks for findings.
type checker struct {
	*plan
	routes   []*route
	patterns map[*route]treemux.Pattern
	depth    int // segments of the longest pattern
	findings []Finding
}

// found adds a finding. The two routes of a mount have the same ones.
func (c *checker) found(problem, place, format string, args ...any) {
	if f := (Finding{problem, place, fmt.Sprintf(format, args...)}); !slices.Contains(c.findings, f) {
		c.findings = append(c.findings, f)
	}
}

// guarded is a handler that is not for everybody. NeedsGuard says why.
type guarded interface{ NeedsGuard() string }

func (c *checker) unguarded(r *route) {
	handler := any(r.handler)
	if v, ok := handler.(*vanilla); ok {
		handler = v.Handler
	}
	page, ok := handler.(guarded)
	if !ok {
		return
	}
	sample := &url.URL{Path: c.sample(r, 1)}
	if e := c.plan.explain(r.method, sample.Path, sample); slices.ContainsFunc(e.Middleware, guards) {
		return
	}
	c.found("unguarded page", r.place.String(), "%s %s, and only what runs for all paths may guard it",
		r.registered(), page.NeedsGuard())
}

// guards reports whether a scope is about some paths, and not about all.
func guards(s Step) bool {
	pattern, _ := treemux.Parse(s.Path)
	return slices.ContainsFunc(pattern.Segments, func(s treemux.Segment) bool { return s.Kind == treemux.Static })
}

// fresh is a text that is no segment of any pattern.
const fresh = "\x00"

// sample returns a path that the route matches and, as far as that can be, no other: with texts that are in no other
// pattern as its params, and with so many segments for a catch-all.
func (c *checker) sample(r *route, rest int) string {
	var path strings.Builder
	for _, s := range c.patterns[r].Segments {
		switch s.Kind {
		case treemux.Static:
			path.WriteString("/" + s.Text)
		case treemux.Param:
			path.WriteString("/" + fresh)
		case treemux.CatchAll:
			path.WriteString(strings.Repeat("/"+fresh, rest))
		}
	}
	if path.Len() == 0 {
		return "/"
	}
	return path.String()
}

func (c *checker) unreachable(r *route) {
	what, place := r.registered(), r.place.String()
	if upper := strings.ToUpper(r.method); upper != r.method {
		c.found("unreachable route", place, "%s: methods are case-sensitive (RFC 9110, section 9.1), is %s meant?", what, upper)
		return
	}
	if r.method == "*" {
		c.found("unreachable route", place, "%s: no client sends the method %q: register the route for each method", what, r.method)
		return
	}
	if why := patterns.Oddity(c.patterns[r]); why != "" {
		c.found("unreachable route", place, "%s: %s", what, why)
		return
	}
	c.unusual(what, place, c.patterns[r])
	if inner := r.mounted(); inner != nil {
		c.unmounted(what, place, inner, r)
	}
	var better *route
	for rest := range c.depth + 1 {
		if better = c.match(r.method, c.sample(r, rest+1), nil, new(treemux.Spans)).route; better == r {
			return
		}
	}
	c.found("unreachable route", place, "%s is never reached: others go before it, such as %q (%s)",
		what, better.path, better.place)
}

// unmounted finds a Mux whose routes are all elsewhere than it is mounted.
func (c *checker) unmounted(what, place string, inner *Mux, r *route) {
	p := inner.plan()
	if all := p.describe(); len(all) > 0 && len(p.below(r.mountPath())) == 0 {
		c.found("unreachable route", place, "%s reaches no route of that Mux, such as %s %q (%s): they are registered with their whole paths",
			what, all[0].Method, all[0].Pattern, all[0].Place)
	}
}

// unusual finds what is read here otherwise than by many other routers.
func (c *checker) unusual(what, place string, pattern treemux.Pattern) {
	special := func(r rune) bool {
		return r != '_' && r != '-' && !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r)
	}
	for _, s := range pattern.Segments {
		switch {
		case s.Kind != treemux.Static && strings.ContainsFunc(s.Text, special):
			c.found("unusual pattern", place, "%s: params are whole segments, so the name of this one is %q", what, s.Text)
		case s.Kind == treemux.Static && len(s.Text) > 1 && strings.ContainsAny(s.Text[1:], ":*"):
			c.found("unusual pattern", place, "%s: params and catch-alls are whole segments, so %q is ordinary text", what, s.Text)
		}
	}
}

func (c *checker) scopes(all []registration) {
	for i, s := range all {
		what := fmt.Sprintf("%s %s for %q", s.Kind, s.Name, s.Path)
		if why := patterns.Oddity(s.pattern); why != "" {
			c.found("unused scope", s.Place, "%s: %s", what, why)
			continue
		}
		c.unusual(what, s.Place, s.pattern)
		covered := slices.DeleteFunc(slices.Clone(c.routes), func(r *route) bool { return !c.covers(s, r) })
		below := slices.IndexFunc(c.routes, func(r *route) bool { return patterns.IsBelow(c.patterns[r], s.pattern) })
		twin := slices.IndexFunc(c.routes, func(r *route) bool { return c.leavesOut(s, r, all) })
		sibling := slices.ContainsFunc(all, func(o registration) bool {
			return !patterns.IsExact(o.pattern) && o.Name == s.Name && patterns.WithoutCatchAll(o.pattern).Alike(s.pattern)
		})
		switch {
		case patterns.IsExact(s.pattern) && below >= 0 && !sibling:
			r := c.routes[below]
			c.found("exact scope", s.Place, "%s covers that path alone, and not %s (%s): %q covers what is below",
				what, r.registered(), r.place, s.Path+"/")
		case twin >= 0:
			r := c.routes[twin]
			c.found("uncovered route", s.Place, "%s does not cover %s (%s), a route of its own: register the %s for %q too",
				what, r.registered(), r.place, s.Kind, r.path)
		case len(covered) == 0:
			c.found("unused scope", s.Place, "%s covers no route", what)
		}
		for _, r := range covered {
			if name, ok := patterns.Clash(s.pattern, c.patterns[r]); ok {
				c.found("ambiguous param", s.Place, "%s: its %q is another segment than that of %s (%s)",
					what, name, r.registered(), r.place)
				break
			}
		}
		c.ambiguous(what, s, all[:i])
	}
}

// leavesOut reports whether the route, as "/admin", is called as the scope "/admin/" is without its slash, and is covered
// neither by this nor by another scope for the same.
func (c *checker) leavesOut(s registration, r *route, all []registration) bool {
	covered := func(o registration) bool { return o.Name == s.Name && c.covers(o, r) }
	return !patterns.IsExact(s.pattern) && patterns.WithoutCatchAll(s.pattern).Alike(c.patterns[r]) && !slices.ContainsFunc(all, covered)
}

// ambiguous looks for a name that one of the other scopes has for another segment of the paths that both cover.
func (c *checker) ambiguous(what string, s registration, others []registration) {
	for _, o := range others {
		name, ok := patterns.Clash(s.pattern, o.pattern)
		if ok && slices.ContainsFunc(c.routes, func(r *route) bool { return c.covers(s, r) && c.covers(o, r) }) {
			c.found("ambiguous param", s.Place, "%s: its %q is another segment than that of %q (%s)", what, name, o.Path, o.Place)
		}
	}
}

// Covers reports whether a path of the route can lie in the scope, by the rules of [Mux.Use], encoded slashes aside. The route
// "/users", for one, is covered by the scopes "/", "/users" and "/:any/", and not by "/users/".
func (s Scope) Covers(r Route) bool {
	scope, err := treemux.Parse(s.Path)
	if err != nil {
		return false
	}
	route, err := treemux.Parse(r.Pattern)
	return err == nil && patterns.Covers(scope, route)
}

func (c *checker) covers(s registration, r *route) bool {
	return patterns.Covers(s.pattern, c.patterns[r])
}
