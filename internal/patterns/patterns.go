// Package patterns compares the patterns of routes and scopes.
package patterns

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/guregu/kami/treemux"
)

// Oddity says why no client would ask for a path of such a pattern, or "".
func Oddity(pattern treemux.Pattern) string {
	for _, s := range pattern.Segments {
		if s.Kind != treemux.Static {
			continue
		}
		plain, err := url.PathUnescape(s.Text)
		inner := strings.TrimPrefix(strings.TrimSuffix(s.Text, "}"), "{")
		switch {
		case s.Text == "{$}":
			return `"{$}" is for net/http: here a path is matched to its end`
		case len(inner) == len(s.Text)-2 && strings.HasSuffix(inner, "..."):
			return fmt.Sprintf("%q is no catch-all here, but %q is", s.Text, "*"+strings.TrimSuffix(inner, "..."))
		case len(inner) == len(s.Text)-2:
			return fmt.Sprintf("%q is no param here, but %q is", s.Text, ":"+inner)
		case strings.ContainsAny(s.Text, "?#"):
			return fmt.Sprintf("the segment %q has a question mark or a number sign, which end a path", s.Text)
		case err == nil && plain != s.Text:
			return fmt.Sprintf("segments are compared decoded, and no client means %q by %q", s.Text, plain)
		}
	}
	return ""
}

// IsBelow reports whether the pattern of a route is below the pattern of a scope. A static segment of the scope must be the same segment
// in the route: a param, which could have that value, does not count.
func IsBelow(route, scope treemux.Pattern) bool {
	if len(route.Segments) <= len(scope.Segments) {
		return false
	}
	for i, s := range scope.Segments {
		own := route.Segments[i]
		if s.Kind == treemux.Static && own != s || own.Kind == treemux.CatchAll {
			return false
		}
	}
	return true
}

// Kind is what a scope covers.
type Kind int

const (
	Below Kind = iota // its path and all paths below it: "/p/" or "/p/*"
	Exact             // its path alone: "/p"
	Kinds             // how many kinds there are
)

// KindOf returns the kind of the scope with the pattern.
func KindOf(scope treemux.Pattern) Kind {
	if scope.Slash || scope.CatchAll() {
		return Below
	}
	return Exact
}

// WithoutCatchAll returns the pattern that covers the same as a scope.
func WithoutCatchAll(scope treemux.Pattern) treemux.Pattern {
	if scope.CatchAll() {
		scope.Segments = scope.Segments[:len(scope.Segments)-1]
	}
	return scope
}

// Clash returns a name that the patterns have for different segments.
func Clash(a, b treemux.Pattern) (name string, ok bool) {
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

// Covers reports whether a path of the route can lie in the scope, encoded slashes aside.
func Covers(scope, route treemux.Pattern) bool {
	kind := KindOf(scope)
	scope = WithoutCatchAll(scope)
	if !Reaches(scope, route) {
		return false
	}
	same := len(route.Segments) == len(scope.Segments)
	if kind == Exact {
		return same || route.CatchAll() && len(route.Segments) < len(scope.Segments)
	}
	return !same || route.Slash || !scope.Alike(route)
}

// Reaches reports whether a path of the route can be one of the prefix, or below it.
func Reaches(prefix, route treemux.Pattern) bool {
	for i, segment := range prefix.Segments {
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
	return true
}
