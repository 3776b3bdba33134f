package kami

import (
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unique"

	"github.com/guregu/kami/internal/incoming"
	"github.com/guregu/kami/treemux"
)

// route is one registered handler, or one of the two of a mount. Those whose paths differ in nothing but names and a trailing slash are a list, by
// method: a leaf of the tree. A mount's are alone in theirs. It is immutable.
type route struct {
	mux     *Mux
	method  string
	handler ContextHandler
	names   []paramName
	rest    bool // whether the last param is a catch-all
	either  bool // whether it takes paths with and without a slash at the end

	// The same for all of a list:
	slash bool                  // whether one of the paths ends with a slash, which then counts for all
	allow unique.Handle[string] // the Allow header: their methods, and those that come with them

	path  string // as registered, or "/p/" and "/p/*" for what is mounted at /p
	place place
	next  *route // in the list
}

// common is what the routes of a Mux have in common.
//
// optimization: in one piece of memory it stays in the processor's caches, however many routes there are (bench, Growth), and
// what is known need not be made again (BenchmarkC27Register100000).
type common struct {
	names map[string][]paramName           // by what they are joined to
	allow map[string]unique.Handle[string] // the Allow headers of lists of one, by its method
}

// namesOf returns the names of the pattern's params.
func (c *common) namesOf(pattern treemux.Pattern) []paramName {
	texts := pattern.Names()
	if len(texts) == 0 {
		return nil
	}
	joined := strings.Join(texts, "/")
	if known, ok := c.names[joined]; ok {
		return known
	}
	if c.names == nil {
		c.names = make(map[string][]paramName)
	}
	names := make([]paramName, len(texts))
	for i, text := range texts {
		names[i] = paramName{markOf(text), text}
	}
	c.names[joined] = names
	return names
}

// allowOf returns the Allow header of a list.
func (c *common) allowOf(list []*route) unique.Handle[string] {
	if len(list) > 1 {
		return unique.Make(allowed(list))
	}
	method := list[0].method
	if known, ok := c.allow[method]; ok {
		return known
	}
	if c.allow == nil {
		c.allow = make(map[string]unique.Handle[string])
	}
	c.allow[method] = unique.Make(allowed(list))
	return c.allow[method]
}

// with returns the list with one more route. It may be nil, for none so far.
func (r *route) with(added *route, c *common) (*route, error) {
	all := append(make([]*route, 0, 8), added)
	for old := r; old != nil; old = old.next {
		if old.method == added.method || old.method == anyMethod || added.method == anyMethod {
			return nil, conflict(added, old)
		}
		copied := *old
		all = append(all, &copied)
	}
	slices.SortFunc(all, func(a, b *route) int { return strings.Compare(a.method, b.method) })
	allow := c.allowOf(all)
	slash := added.slash || r != nil && r.slash
	for i, own := range all {
		own.slash, own.allow, own.next = slash, allow, nil
		if i+1 < len(all) {
			own.next = all[i+1]
		}
	}
	return all[0], nil
}

// conflict is the error of a route that matches the same paths as another.
func conflict(added, old *route) error {
	other := old.registered()
	if old.method == added.method && old.method != anyMethod {
		other = strconv.Quote(old.path)
	}
	return fmt.Errorf("kami: %s (%s) conflicts with %s (%s): both match the same paths",
		added.registered(), added.place, other, old.place)
}

// all returns the list's routes.
func (r *route) all() (all []*route) {
	for ; r != nil; r = r.next {
		all = append(all, r)
	}
	return all
}

// find returns the list's route for the method, or nil. HEAD is served by GET's.
func (r *route) find(method string) *route {
	var get *route
	for ; r != nil; r = r.next {
		if r.method == method {
			return r
		}
		switch r.method {
		case http.MethodGet:
			get = r
		case anyMethod:
			return r
		}
	}
	if method == http.MethodHead {
		return get
	}
	return nil
}

// allowed returns the Allow header for paths of the routes (RFC 9110, section 10.2.1).
func allowed(routes []*route) string {
	methods := append(make([]string, 0, 16), http.MethodOptions)
	for _, r := range routes {
		methods = append(methods, r.method)
		if r.method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	slices.Sort(methods)
	return strings.Join(slices.Compact(methods), ", ")
}

// decision is what a request's method and path alone decide: who answers it, with which params.
type decision struct {
	end    ContextHandler      // what the chain of middleware leads to
	route  *route              // whose handler end is; for any other answer the Mux's unrouted
	own    *route              // the list that matches the path or its clean spelling: the one with the method, if any has it
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
	path, slash := cutSlash(d.path)
	best, _ := p.routes.Lookup(path, &d.spans, nil)
	if r := best.find(method); r != nil && (r.slash == slash || r.either) {
		d.end, d.route, d.own = r.handler, r, r
		return
	}
	if best == nil {
		d.resolve()
	}
	d.decideBest(p, method, u, best)
}

// decideEncoded decides about a URL with escapes or without a path. One that is opaque has none that a scope could cover, but a
// proxy would send it on.
func (d *decision) decideEncoded(p *plan, method string, u *url.URL) {
	if u.Opaque != "" {
		d.path, d.route, d.end = "/", p.unrouted, badRequest
		return
	}
	d.path, d.decode = routedPath(u)
	rooted := d.path[0] == '/' // unlike that of OPTIONS *
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
		path, _ := cutSlash(d.path)
		best, _ := p.routes.Lookup(path, &d.spans, &treemux.Options[*route]{Decode: d.decode})
		d.decideBest(p, method, u, best)
	}
}

// resolve finds the clean path, if the path is not clean.
func (d *decision) resolve() {
	if encoded := d.decode != nil; !isClean(d.path, encoded) {
		d.clean = cleaned(d.path, encoded)
	}
}

// decideBest decides about any path, for which the list is the best, nil if there is none.
func (d *decision) decideBest(p *plan, method string, u *url.URL, best *route) {
	path, slash := cutSlash(d.path)
	found := p.matchBest(best, method, path, d.decode, &d.spans)
	d.own, d.route = found.best, p.unrouted
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
	path, slash := cutSlash(d.clean)
	found := p.match(method, path, d.decode, &d.spans)
	d.own, d.route = found.best, p.unrouted
	switch {
	case found.best == nil || !isClean(path, d.decode != nil):
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
	target := location(path, d.decode != nil)
	if query != "" {
		target += "?" + escape(query, "#")
	}
	code := http.StatusTemporaryRedirect
	if method == http.MethodGet {
		code = http.StatusMovedPermanently
	}
	d.end = &redirect{target, code, r}
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

// stay keeps a message from being redirected: the route that lacks nothing but a slash, or has one too many, takes it as it is.
func (d *decision) stay() {
	if end, ok := d.end.(*redirect); ok && d.message && d.clean == "" {
		d.end, d.route = end.route.handler, end.route
	}
}

// Fail answers an error as one of a handler of the route is answered.
func (r *route) Fail(ctx context.Context, w http.ResponseWriter, request *http.Request, err error) {
	r.mux.fail(ctx, telling(w), request, err)
}

// notFound decides on a 404.
func (d *decision) notFound(p *plan) {
	d.route, d.own = p.unrouted, nil
	d.end = p.unrouted.mux.withoutRoute(p.notFound, ErrNotFound, defaultNotFound)
	if d.clean != "" && !isBuiltin(d.end) {
		d.end = &cleaning{d.end, cleaned(d.plain(d.path), false)}
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

// notAllowed answers a method that the routes of a path do not have.
type notAllowed struct {
	allow  string // the header
	answer ContextHandler
}

func (n *notAllowed) ServeHTTPContext(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Allow", n.allow)
	n.answer.ServeHTTPContext(ctx, w, r)
}

// cleaning shows a handler for 404s the clean path, on which it may act as a file server does.
type cleaning struct {
	answer ContextHandler
	path   string
}

func (c *cleaning) ServeHTTPContext(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	u := *r.URL
	u.Path, u.RawPath = c.path, ""
	shown := r.WithContext(ctx)
	shown.URL = &u
	defer keepForm(r, shown)
	c.answer.ServeHTTPContext(ctx, w, shown)
}

// answerOf returns the handler that an answer without a route leads to.
func answerOf(end ContextHandler) ContextHandler {
	switch h := end.(type) {
	case *notAllowed:
		return h.answer
	case *cleaning:
		return h.answer
	}
	return end
}

// builtin is an answer of this package, as opposed to one that was registered.
type builtin struct {
	status int
	answer http.HandlerFunc
}

func (b *builtin) ServeHTTPContext(_ context.Context, w http.ResponseWriter, r *http.Request) {
	b.answer(w, r)
}

// isBuiltin reports whether an answer is this package's alone, so that nobody else sees the context and the request that it is
// given. It reads no more of them than the request's method and, to no effect, its path.
func isBuiltin(end ContextHandler) bool {
	switch h := end.(type) {
	case *builtin, *redirect:
		return true
	case *notAllowed:
		return isBuiltin(h.answer)
	}
	return false
}

var (
	defaultNotFound   = &builtin{http.StatusNotFound, http.NotFound}
	defaultNotAllowed = &builtin{http.StatusMethodNotAllowed, methodNotAllowed}
	defaultOptions    = &builtin{http.StatusNoContent, noContent}
	badRequest        = &builtin{http.StatusBadRequest, opaque}
)

func opaque(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "the request's target has no path", http.StatusBadRequest)
}

func noContent(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

func methodNotAllowed(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
}

// redirect answers with the place of the route that was meant.
type redirect struct {
	target string
	code   int
	route  *route // that was meant
}

// ServeHTTPContext answers as http.Redirect does, which would parse and clean the target again.
func (d *redirect) ServeHTTPContext(_ context.Context, w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Location", d.target)
	_, typed := header["Content-Type"]
	if !typed && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		header.Set("Content-Type", "text/html; charset=utf-8")
	}
	w.WriteHeader(d.code)
	if !typed && r.Method == http.MethodGet {
		for _, text := range []string{`<a href="`, html.EscapeString(d.target), `">`, http.StatusText(d.code), "</a>.\n\n"} {
			if _, err := io.WriteString(w, text); err != nil {
				return
			}
		}
	}
}
