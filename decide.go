package kami

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/guregu/kami/internal/incoming"
	"github.com/guregu/kami/internal/urlpath"
	"github.com/guregu/kami/treemux"
)

// decision is what a request's method and path alone decide: the handler, and the route and its params.
type decision struct {
	end    ContextHandler      // what the chain of middleware leads to
	route  *route              // whose handler end is; for any other answer the Mux's unrouted
	listed *route              // the list that matches the path or its clean spelling: the one with the method, if any has it
	path   string              // as it is routed
	decode func(string) string // makes the text of a segment of it, nil if it is that
	clean  string              // the clean path, if the path is not that
	spans  treemux.Spans       // of the route's params

	message bool // whether it is about a message
}

// routed reports whether a route answers.
func (d *decision) routed() bool { return d.route.path != "" }

// decide decides.
//
// optimization: a clean path without escapes that a route answers is decided here, and all else elsewhere (BenchmarkServe/Static).
func (d *decision) decide(p *plan, method string, u *url.URL) {
	if d.path = u.Path; u.RawPath != "" || u.Opaque != "" || !strings.HasPrefix(d.path, "/") {
		d.decideEncoded(p, method, u)
		return
	}
	path, slash := urlpath.CutSlash(d.path)
	best, _ := p.routes.Lookup(path, &d.spans, nil)
	if r := best.find(method); r != nil && (r.slash == slash || r.either) {
		d.end, d.route, d.listed = r.handler, r, r
		return
	}
	if best == nil {
		d.resolve()
	}
	d.decideBest(p, method, u, best)
}

// decideEncoded decides about a URL with escapes or without a path. An opaque URL gets 400: it has no path that a scope could cover, and
// a handler that is a proxy would send it on.
func (d *decision) decideEncoded(p *plan, method string, u *url.URL) {
	if u.Opaque != "" {
		d.path, d.route, d.end = "/", p.unrouted, badRequest
		return
	}
	d.path, d.decode = urlpath.Routed(u)
	rooted := d.path[0] == '/' // false for OPTIONS *
	if !rooted {
		d.path = "/" + d.path
	}
	d.resolve()
	switch {
	case !rooted:
		d.notFound(p)
	case d.clean != "":
		d.decideUnclean(p, method, u)
	default:
		path, _ := urlpath.CutSlash(d.path)
		best, _ := p.routes.Lookup(path, &d.spans, &treemux.Options[*route]{Decode: d.decode})
		d.decideBest(p, method, u, best)
	}
}

// resolve finds the clean path, if the path is not clean.
func (d *decision) resolve() {
	if encoded := d.decode != nil; !urlpath.IsClean(d.path, encoded) {
		d.clean = urlpath.Cleaned(d.path, encoded)
	}
}

// decideBest decides about any path, for which the list is the best, nil if there is none.
func (d *decision) decideBest(p *plan, method string, u *url.URL, best *route) {
	path, slash := urlpath.CutSlash(d.path)
	found := p.matchBest(best, method, path, d.decode, &d.spans)
	d.listed, d.route = found.best, p.unrouted
	switch r := found.route; {
	case found.best == nil && d.clean != "":
		d.decideUnclean(p, method, u)
	case found.best == nil:
		d.notFound(p)
	case r == nil:
		d.end = p.notAllowedEnd(method, found)
	case r.either || r.slash == slash:
		d.end, d.route = r.handler, r
	default:
		d.redirect(method, r, path, slash, u.RawQuery)
	}
}

// decideUnclean decides about a path that is not clean. The clean one may have dot segments yet, if slashes are encoded.
func (d *decision) decideUnclean(p *plan, method string, u *url.URL) {
	path, slash := urlpath.CutSlash(d.clean)
	found := p.match(method, path, d.decode, &d.spans)
	d.listed, d.route = found.best, p.unrouted
	switch {
	case found.best == nil || !urlpath.IsClean(path, d.decode != nil):
		d.notFound(p)
	case found.route == nil && method == http.MethodOptions:
		d.end = p.notAllowedEnd(method, found)
	default:
		d.redirect(method, found.best, path, slash, u.RawQuery)
	}
}

// redirect decides on a redirect to a clean path as r is registered, with or without a slash. A catch-all takes it either way.
// That is never the path decided about, which is not clean, or has a slash too many or lacks one.
func (d *decision) redirect(method string, r *route, path string, slash bool, query string) {
	if r.slash || r.either && slash {
		path += "/"
	}
	target := urlpath.Location(path, d.decode != nil)
	if query != "" {
		target += "?" + urlpath.Escape(query, "#")
	}
	code := http.StatusTemporaryRedirect
	if method == http.MethodGet {
		code = http.StatusMovedPermanently
	}
	d.end = &redirect{target, code, r}
}

// notFound decides on a 404.
func (d *decision) notFound(p *plan) {
	d.route, d.listed = p.unrouted, nil
	d.end = p.unrouted.mux.withoutRoute(p.notFound, ErrNotFound, defaultNotFound)
	if d.clean != "" && !isBuiltin(d.end) {
		d.end = &cleaning{d.end, urlpath.Cleaned(urlpath.Plain(d.path, d.decode != nil), false)}
	}
}

// tell tells a message which route it hits, if the request with the context in is one.
func (d *decision) tell(in context.Context, method string, u *url.URL) {
	m := incoming.MessageOf(in)
	if m == nil {
		return
	}
	d.message = true
	d.stay()
	m.Hit(d.route.innermost(true, method, u).path, d.route)
}

// stay keeps a message from being redirected: the route that lacks only a slash, or has one too many, takes it as it is.
func (d *decision) stay() {
	if end, ok := d.end.(*redirect); ok && d.message && d.clean == "" {
		d.end, d.route = end.route.handler, end.route
	}
}

// match is what the routes have for a path.
type match struct {
	route  *route   // the best that has the method, nil if none has
	best   *route   // the first of its list or, without one, of the best list; nil if that is not to be known
	others []*route // without one, the first of all other lists that match
}

func (p *plan) match(method, path string, decode func(string) string, spans *treemux.Spans) match {
	best, _ := p.routes.Lookup(path, spans, &treemux.Options[*route]{Decode: decode})
	return p.matchBest(best, method, path, decode, spans)
}

// matchBest is match for a path whose best list is known, nil if there is none.
func (p *plan) matchBest(
	best *route, method, path string, decode func(string) string, spans *treemux.Spans,
) (m match) {
	if best == nil {
		return m
	}
	if m.best, m.route = best, best.find(method); m.route == nil {
		p.matchOthers(&m, method, path, decode, spans)
	}
	if m.route == nil && p.noMethodNotAllowed {
		return match{}
	}
	return m
}

// matchOthers looks for the method in the lists that are not as good as the best.
func (p *plan) matchOthers(m *match, method, path string, decode func(string) string, spans *treemux.Spans) {
	has := func(r *route) bool {
		if r == m.best {
			return false
		}
		if m.route = r.find(method); m.route == nil {
			m.others = append(m.others, r)
		}
		return m.route != nil
	}
	better, ok := p.routes.Lookup(path, spans, &treemux.Options[*route]{Decode: decode, Accept: has})
	if ok {
		m.best = better
	}
}

// notAllowedEnd answers a method that none of the routes has which match the path.
func (p *plan) notAllowedEnd(method string, found match) ContextHandler {
	allow := found.best.allow.Value()
	if len(found.others) > 0 {
		all := found.best.all()
		for _, other := range found.others {
			all = append(all, other.all()...)
		}
		allow = allowed(all)
	}
	if method == http.MethodOptions {
		return &notAllowed{allow, defaultOptions}
	}
	return &notAllowed{allow, p.unrouted.mux.withoutRoute(p.methodNotAllowed, ErrMethodNotAllowed, defaultNotAllowed)}
}
