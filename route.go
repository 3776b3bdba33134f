package kami

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/guregu/kami/treemux"
)

// route is one registered handler.
type route struct {
	method  string
	path    string   // as registered
	names   []string // of its params
	handler ContextHandler
	vanilla bool // whether the handler is without context, and so looks for r.PathValue
	place   place
}

// leaf holds the routes whose paths differ in nothing but names and a trailing slash. It is immutable.
type leaf struct {
	pattern treemux.Pattern
	routes  []*route // one for each method, by method
	allow   string   // the Allow header: their methods, and those that come with them
	slash   bool     // whether one of the paths ends with a slash, which then counts for all
	bare    bool     // whether one of the paths does not
}

// with returns the leaf with one more route. The leaf may be nil, for none so far.
func (l *leaf) with(added *route, pattern treemux.Pattern) (*leaf, error) {
	next := &leaf{pattern: pattern}
	if l != nil {
		*next = *l
	}
	i, taken := slices.BinarySearchFunc(next.routes, added.method, func(r *route, method string) int {
		return strings.Compare(r.method, method)
	})
	if taken {
		old := next.routes[i]
		return nil, fmt.Errorf("kami: %s %q (%s) conflicts with %q (%s): both match the same paths",
			added.method, added.path, added.place, old.path, old.place)
	}
	next.routes = slices.Insert(slices.Clone(next.routes), i, added)
	next.allow = allowed([]*leaf{next})
	next.slash = next.slash || pattern.Slash && len(pattern.Segments) > 0
	next.bare = next.bare || !pattern.Slash
	return next, nil
}

// find returns the route for the method, or nil. HEAD is served by GET's.
func (l *leaf) find(method string) *route {
	var get *route
	for _, r := range l.routes {
		if r.method == method {
			return r
		}
		if r.method == http.MethodGet {
			get = r
		}
	}
	if method == http.MethodHead {
		return get
	}
	return nil
}

// allowed returns the Allow header for paths that the leaves match (RFC 9110, section 10.2.1).
func allowed(leaves []*leaf) string {
	methods := []string{http.MethodOptions}
	for _, l := range leaves {
		for _, r := range l.routes {
			methods = append(methods, r.method)
			if r.method == http.MethodGet {
				methods = append(methods, http.MethodHead)
			}
		}
	}
	slices.Sort(methods)
	return strings.Join(slices.Compact(methods), ", ")
}

// decision is what a request's method and path alone decide: who answers it, with which params.
type decision struct {
	end    ContextHandler // what the chain of middleware leads to
	leaf   *leaf          // the best that matches the path, or its clean spelling, for the method if it can be
	params                // of the route that end belongs to, if it does
}

// decide decides.
func (p *plan) decide(method string, u *url.URL) decision {
	d := decision{}
	d.path, d.decode = routedPath(u)
	if d.path[0] != '/' { // such as OPTIONS *
		d.path = "/" + d.path
		d.end = p.notFoundEnd()
		return d
	}
	path, slash := cutSlash(d.path)
	found := p.match(method, path, d.decode)
	d.leaf = found.leaf
	switch {
	case found.leaf == nil:
		d.end = p.decideClean(method, path, &d, u.RawQuery)
	case found.route == nil && p.noMethodNotAllowed:
		d.end, d.leaf = p.notFoundEnd(), nil
	case found.route == nil:
		d.end = p.notAllowedEnd(method, path, d.decode, found)
	case found.leaf.pattern.CatchAll() || found.leaf.slash == slash || path == "/":
		d.route, d.spans, d.end = found.route, found.spans, found.route.handler
	case found.leaf.slash:
		d.end = redirectEnd(method, path+"/", &d, u.RawQuery)
	default:
		d.end = redirectEnd(method, path, &d, u.RawQuery)
	}
	return d
}

// decideClean decides about a path that no pattern matches: it may be another spelling of one that some pattern does.
func (p *plan) decideClean(method, path string, d *decision, query string) ContextHandler {
	clean := cleanPath(literalDots(path, d.decode))
	found := p.match(method, clean, d.decode)
	d.leaf = found.leaf
	switch {
	case found.leaf == nil:
		return p.notFoundEnd()
	case found.route == nil && method == http.MethodOptions && !p.noMethodNotAllowed:
		return p.notAllowedEnd(method, clean, d.decode, found)
	default:
		return redirectEnd(method, clean, d, query)
	}
}

// match is what the routes have for a path.
type match struct {
	route *route // the best that has the method, nil if none has
	leaf  *leaf  // the route's or, without one, the best
	count int    // how many leaves were tried
	spans spans
}

func (p *plan) match(method, path string, decode func(string) string) match {
	var m match
	var room [manyParams]treemux.Span
	_, found, _ := p.routes.Lookup(path, decode, func(l *leaf) bool {
		m.count++
		m.route = l.find(method)
		if m.route != nil || m.leaf == nil {
			m.leaf = l
		}
		return m.route != nil
	}, room[:0])
	m.spans = compact(found)
	return m
}

func (p *plan) notFoundEnd() ContextHandler {
	if p.notFound != nil {
		return p.notFound
	}
	return defaultNotFound
}

// notAllowedEnd answers a method that none of the leaves has which match the path.
func (p *plan) notAllowedEnd(method, path string, decode func(string) string, found match) ContextHandler {
	allow := found.leaf.allow
	if found.count > 1 {
		var leaves []*leaf
		p.routes.Lookup(path, decode, func(l *leaf) bool { leaves = append(leaves, l); return false }, nil)
		allow = allowed(leaves)
	}
	answer := p.methodNotAllowed
	if method == http.MethodOptions {
		answer = defaultOptions
	} else if answer == nil {
		answer = defaultNotAllowed
	}
	return &notAllowed{allow, answer}
}

// notAllowed answers a method that the routes of a path do not have.
type notAllowed struct {
	allow  string // the header
	answer ContextHandler
}

func (n *notAllowed) ServeHTTPContext(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Allow", n.allow)
	n.answer.ServeHTTPContext(ctx, w, r)
}

// builtin is an answer of this package, as opposed to one that was registered.
type builtin struct{ answer http.HandlerFunc }

func (b *builtin) ServeHTTPContext(_ context.Context, w http.ResponseWriter, r *http.Request) {
	b.answer(w, r)
}

var (
	defaultNotFound   = &builtin{http.NotFound}
	defaultNotAllowed = &builtin{methodNotAllowed}
	defaultOptions    = &builtin{noContent}
)

func noContent(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

func methodNotAllowed(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
}

// redirectEnd redirects to a path. That is never the one decided about: a clean path matches nothing in its clean
// spelling that it has not matched before, and a slash is added or removed for those that match without regard to it.
func redirectEnd(method, path string, d *decision, query string) ContextHandler {
	target := location(path, d.decode)
	if query != "" {
		target += "?" + visible(query)
	}
	code := http.StatusTemporaryRedirect
	if method == http.MethodGet {
		code = http.StatusMovedPermanently
	}
	return &redirect{target, code}
}

// redirect answers with the place of the route that was meant.
type redirect struct {
	target string
	code   int
}

func (d *redirect) ServeHTTPContext(_ context.Context, w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, d.target, d.code)
}
