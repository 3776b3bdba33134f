package kami

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/guregu/kami/treemux"
)

// Finding is what is probably a mistake in what was registered. See [Mux.Check].
type Finding struct {
	Problem string `json:"problem"` // its kind, as "unused scope"
	Place   string `json:"place"`   // where it was registered, as app/routes.go:31
	Text    string `json:"text"`    // what, why, and what to do
}

func (f Finding) String() string { return f.Place + ": " + f.Text }

// Check returns what is probably a mistake, of these kinds:
//
//	unguarded page      a page for operators, as that of package inspect, that no scope but "/" guards
//	unreachable route   one that no request can reach, or none that clients send
//	unused scope        one that covers no route (unless there is a NotFound handler, for which it may be)
//	exact scope         one such as "/private", which does not cover the route "/private/x"
//	ambiguous param     a name that a scope and a route, or two scopes, have for different segments of one path
//
// It is for tests and for looking: it compares each scope with each route.
func (m *Mux) Check() []Finding {
	p := m.plan()
	c := checker{plan: p, routes: p.allRoutes(), patterns: make(map[*route]treemux.Pattern)}
	for _, r := range c.routes {
		c.patterns[r], _ = treemux.Parse(r.path) // which it was registered with, so there is no error
		c.depth = max(c.depth, len(c.patterns[r].Segments))
	}
	for _, r := range c.routes {
		c.unguarded(m, r)
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

func (c *checker) found(problem, place, format string, args ...any) {
	c.findings = append(c.findings, Finding{problem, place, fmt.Sprintf(format, args...)})
}

// guarded is a handler that is not for everybody. NeedsGuard says why.
type guarded interface{ NeedsGuard() string }

func (c *checker) unguarded(m *Mux, r *route) {
	handler := any(r.handler)
	if v, ok := handler.(vanilla); ok {
		handler = v.Handler
	}
	page, ok := handler.(guarded)
	if !ok {
		return
	}
	e, err := m.Explain(r.method, (&url.URL{Path: c.sample(r, 1)}).EscapedPath())
	if err == nil && slices.ContainsFunc(e.Middleware, func(s Step) bool { return s.Path != "/" && s.Path != "/*" }) {
		return
	}
	c.found("unguarded page", r.place.String(), "%s %q %s, and no scope but \"/\" guards it", r.method, r.path, page.NeedsGuard())
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
	what, place := fmt.Sprintf("%s %q", r.method, r.path), r.place.String()
	if why := oddity(r.method, c.patterns[r]); why != "" {
		c.found("unreachable route", place, "%s: %s", what, why)
		return
	}
	var better *route
	for rest := range c.depth + 1 {
		if better = c.match(r.method, c.sample(r, rest+1), nil, nil).route; better == r {
			return
		}
	}
	c.found("unreachable route", place, "%s is never reached: others go before it, such as %q (%s)", what, better.path, better.place)
}

// oddity says what keeps clients from asking for such a route, if anything does.
func oddity(method string, pattern treemux.Pattern) string {
	if upper := strings.ToUpper(method); upper != method {
		return fmt.Sprintf("methods are case-sensitive (RFC 9110, section 9.1), is %s meant?", upper)
	}
	for _, s := range pattern.Segments {
		if s.Kind != treemux.Static {
			continue
		}
		plain, err := url.PathUnescape(s.Text)
		switch {
		case s.Text == "." || s.Text == "..":
			return fmt.Sprintf("clients resolve the segment %q before they ask", s.Text)
		case strings.HasPrefix(s.Text, "{") && strings.HasSuffix(s.Text, "}"):
			return fmt.Sprintf("%q is no param here, but %q is", s.Text, ":"+strings.Trim(s.Text, "{}"))
		case strings.ContainsAny(s.Text, "?#"):
			return fmt.Sprintf("the segment %q has a question mark or a number sign, which end a path", s.Text)
		case err == nil && plain != s.Text:
			return fmt.Sprintf("segments are compared decoded, so instead of %q write %q", s.Text, plain)
		}
	}
	return ""
}

func (c *checker) scopes(all []registration) {
	for i, s := range all {
		what := fmt.Sprintf("%s %s for %q", s.Kind, s.Name, s.Path)
		covered := slices.DeleteFunc(slices.Clone(c.routes), func(r *route) bool { return !c.covers(s, r) })
		below := registration{pattern: s.pattern}
		uncovered := slices.IndexFunc(c.routes, func(r *route) bool {
			return len(c.patterns[r].Segments) > len(s.pattern.Segments) && c.covers(below, r)
		})
		sibling := slices.ContainsFunc(all, func(o registration) bool { return !o.exact && o.pattern.Alike(s.pattern) })
		switch {
		case s.exact && uncovered >= 0 && !sibling:
			r := c.routes[uncovered]
			c.found("exact scope", s.Place, "%s covers that path alone, and not %s %q (%s): %q covers what is below",
				what, r.method, r.path, r.place, s.Path+"/")
		case len(covered) == 0 && c.notFound == nil:
			c.found("unused scope", s.Place, "%s covers no route%s", what, c.whyNot(s))
		}
		for _, r := range covered {
			if name, ok := clash(s.pattern, c.patterns[r]); ok {
				c.found("ambiguous param", s.Place, "%s: its %q is another segment than that of %s %q (%s)",
					what, name, r.method, r.path, r.place)
				break
			}
		}
		c.ambiguous(what, s, all[:i])
	}
}

// whyNot says why a scope covers no route, if a route seems to be covered.
func (c *checker) whyNot(s registration) string {
	for _, r := range c.routes {
		if !s.exact && c.patterns[r].Alike(s.pattern) {
			return fmt.Sprintf(": %s %q (%s) is a route of its own, which is covered by %q", r.method, r.path, r.place, r.path)
		}
	}
	return ""
}

// ambiguous looks for a name that one of the other scopes has for another segment of the paths that both cover.
func (c *checker) ambiguous(what string, s registration, others []registration) {
	for _, o := range others {
		name, ok := clash(s.pattern, o.pattern)
		if ok && slices.ContainsFunc(c.routes, func(r *route) bool { return c.covers(s, r) && c.covers(o, r) }) {
			c.found("ambiguous param", s.Place, "%s: its %q is another segment than that of %q (%s)", what, name, o.Path, o.Place)
		}
	}
}

// clash returns a name that the patterns have for different segments.
func clash(a, b treemux.Pattern) (name string, ok bool) {
	at := make(map[string]int)
	for i, s := range b.Segments {
		if s.Kind != treemux.Static {
			at[s.Text] = i
		}
	}
	for i, s := range a.Segments {
		if j, known := at[s.Text]; known && s.Kind != treemux.Static && s.Text != "" && i != j {
			return s.Text, true
		}
	}
	return "", false
}

// covers reports whether a path of the route can lie in the scope.
func (c *checker) covers(s registration, r *route) bool {
	route, scope := c.patterns[r], s.pattern
	if scope.CatchAll() {
		scope.Segments = scope.Segments[:len(scope.Segments)-1]
	}
	for i, segment := range scope.Segments {
		if i == len(route.Segments) {
			return false
		}
		own := route.Segments[i]
		if own.Kind == treemux.CatchAll {
			return true
		}
		if own.Kind == treemux.Static && segment.Kind == treemux.Static && own.Text != segment.Text {
			return false
		}
	}
	same := len(route.Segments) == len(scope.Segments)
	if s.exact {
		return same
	}
	return !same || strings.HasSuffix(r.path, "/") || !scope.Alike(route)
}
