// Package check finds probable mistakes among routes and scopes. Package kami's Check documents them.
package check

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/guregu/kami/internal/patterns"
	"github.com/guregu/kami/treemux"
)

// Finding is a probable mistake.
type Finding struct{ Problem, Place, Text string }

// Route is a registered route.
type Route struct {
	Method, Path, Place string
	What                string // was registered, as GET "/users/:id"
	Pattern             treemux.Pattern
	NeedsGuard          string // why, if it is a page that is not for everybody
	Astray              string // a route of the Mux that it mounts, if none of them lies below the mount
}

// Scope is registered middleware or afterware.
type Scope struct {
	Kind, Path, Name, Place string
	Pattern                 treemux.Pattern
}

// Table has all registrations, and functions that decide as the Mux does.
type Table struct {
	Routes                []Route
	Middleware, Afterware []Scope

	Answer func(method, path string) (pattern, place string)          // of the route that answers
	Guards func(method, path string, is func(scope string) bool) bool // whether the scope of any middleware that runs is one
}

// Findings returns the findings about routes, then those about scopes.
func Findings(t Table) []Finding {
	c := checker{Table: t}
	for _, r := range c.Routes {
		c.depth = max(c.depth, len(r.Pattern.Segments))
	}
	for _, r := range c.Routes {
		c.unguarded(r)
		c.unreachable(r)
	}
	c.scopes(c.Middleware)
	c.scopes(c.Afterware)
	return c.findings
}

type checker struct {
	Table
	depth    int // segments of the longest pattern
	findings []Finding
}

// found adds a finding. The two routes of a mount have the same ones.
func (c *checker) found(problem, place, format string, args ...any) {
	if f := (Finding{problem, place, fmt.Sprintf(format, args...)}); !slices.Contains(c.findings, f) {
		c.findings = append(c.findings, f)
	}
}

func (c *checker) unguarded(r Route) {
	if r.NeedsGuard != "" && !c.Guards(r.Method, c.sample(r, 1), guards) {
		c.found("unguarded page", r.Place, "%s %s, and only what runs for all paths may guard it", r.What, r.NeedsGuard)
	}
}

// guards reports whether a scope is about some paths, and not about all.
func guards(scope string) bool {
	pattern, _ := treemux.Parse(scope) // the registration has parsed it, so there is no error
	return slices.ContainsFunc(pattern.Segments, func(s treemux.Segment) bool { return s.Kind == treemux.Static })
}

// fresh is a text that is no segment of any pattern.
const fresh = "\x00"

// sample returns a path that the route matches and, as far as that can be, no other: with texts that are in no other
// pattern as its params, and with so many segments for a catch-all.
func (c *checker) sample(r Route, rest int) string {
	var path strings.Builder
	for _, s := range r.Pattern.Segments {
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

func (c *checker) unreachable(r Route) {
	what, place := r.What, r.Place
	if upper := strings.ToUpper(r.Method); upper != r.Method {
		c.found("unreachable route", place, "%s: methods are case-sensitive (RFC 9110, section 9.1), is %s meant?", what, upper)
		return
	}
	if r.Method == "*" {
		c.found("unreachable route", place, "%s: no client sends the method %q: register the route for each method", what, r.Method)
		return
	}
	if why := patterns.Oddity(r.Pattern); why != "" {
		c.found("unreachable route", place, "%s: %s", what, why)
		return
	}
	c.unusual(what, place, r.Pattern)
	if r.Astray != "" {
		c.found("unreachable route", place, "%s reaches no route of that Mux, such as %s: they are registered with their whole paths",
			what, r.Astray)
	}
	var better, there string
	for rest := range c.depth + 1 {
		if better, there = c.Answer(r.Method, c.sample(r, rest+1)); better == r.Path {
			return
		}
	}
	c.found("unreachable route", place, "%s is never reached: others go before it, such as %q (%s)", what, better, there)
}

// unusual finds segments that many other routers read in another way.
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

func (c *checker) scopes(all []Scope) {
	for i, s := range all {
		what := fmt.Sprintf("%s %s for %q", s.Kind, s.Name, s.Path)
		if why := patterns.Oddity(s.Pattern); why != "" {
			c.found("unused scope", s.Place, "%s: %s", what, why)
			continue
		}
		c.unusual(what, s.Place, s.Pattern)
		covered := slices.DeleteFunc(slices.Clone(c.Routes), func(r Route) bool { return !c.covers(s, r) })
		below := slices.IndexFunc(c.Routes, func(r Route) bool { return patterns.IsBelow(r.Pattern, s.Pattern) })
		twin := slices.IndexFunc(c.Routes, func(r Route) bool { return c.leavesOut(s, r, all) })
		sibling := slices.ContainsFunc(all, func(o Scope) bool {
			return patterns.KindOf(o.Pattern) == patterns.Below && o.Name == s.Name && patterns.WithoutCatchAll(o.Pattern).Alike(s.Pattern)
		})
		switch {
		case patterns.KindOf(s.Pattern) == patterns.Exact && below >= 0 && !sibling:
			r := c.Routes[below]
			c.found("exact scope", s.Place, "%s covers that path alone, and not %s (%s): %q covers what is below",
				what, r.What, r.Place, s.Path+"/")
		case twin >= 0:
			r := c.Routes[twin]
			c.found("uncovered route", s.Place, "%s does not cover %s (%s), a route of its own: register the %s for %q too",
				what, r.What, r.Place, s.Kind, r.Path)
		case len(covered) == 0:
			c.found("unused scope", s.Place, "%s covers no route", what)
		}
		for _, r := range covered {
			if name, ok := patterns.Clash(s.Pattern, r.Pattern); ok {
				c.found("ambiguous param", s.Place, "%s: its %q is another segment than that of %s (%s)",
					what, name, r.What, r.Place)
				break
			}
		}
		c.ambiguous(what, s, all[:i])
	}
}

// leavesOut reports whether the route, as "/admin", is called as the scope "/admin/" is without its slash, and is covered
// neither by this nor by another scope for the same.
func (c *checker) leavesOut(s Scope, r Route, all []Scope) bool {
	covered := func(o Scope) bool { return o.Name == s.Name && c.covers(o, r) }
	return patterns.KindOf(s.Pattern) == patterns.Below && patterns.WithoutCatchAll(s.Pattern).Alike(r.Pattern) && !slices.ContainsFunc(all, covered)
}

// ambiguous looks for a name that one of the other scopes has for another segment of the paths that both cover.
func (c *checker) ambiguous(what string, s Scope, others []Scope) {
	for _, o := range others {
		name, ok := patterns.Clash(s.Pattern, o.Pattern)
		if ok && slices.ContainsFunc(c.Routes, func(r Route) bool { return c.covers(s, r) && c.covers(o, r) }) {
			c.found("ambiguous param", s.Place, "%s: its %q is another segment than that of %q (%s)", what, name, o.Path, o.Place)
		}
	}
}

func (c *checker) covers(s Scope, r Route) bool { return patterns.Covers(s.Pattern, r.Pattern) }
