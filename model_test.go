package kami_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/guregu/kami"
)

var modelRequests = flag.Int("model.requests", 100_000, "how many random requests TestC35Model makes")

// model is a naive reading of the contract: which scopes must have run, with which params, before a handler acts on a path. It
// knows nothing of routing, and takes the path from what the handler does with its request.
type model struct {
	*stack
	routes []string
	scopes []string
	ran    map[string]bool // the scopes that ran, with the values of their params
	acted  [][]string      // the paths that a handler has acted on, each by segment
	by     string          // the handler
	bad    string          // what a handler must not have seen
}

// acting is a handler that uses the path of its request in some way, and returns the path that it used.
type acting struct {
	name string
	does func(prefix string, r *http.Request) []string
}

// splitPath returns the segments of a path without empty segments and dot segments.
func splitPath(p string) []string {
	return strings.FieldsFunc(path.Clean("/"+p), func(r rune) bool { return r == '/' })
}

// bySegment resolves an escaped path segment by segment, and decodes each.
func bySegment(escaped string) (all []string) {
	for _, segment := range strings.Split(escaped, "/") {
		switch plain := unescape(segment); plain {
		case "", ".":
		case "..":
			all = all[:max(0, len(all)-1)]
		default:
			all = append(all, plain)
		}
	}
	return all
}

func unescape(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}

// opened serves the request by a file server, and returns the path that the file server opens.
func opened(prefix string, r *http.Request) (segments []string) {
	files := opener(func(name string) { segments = splitPath(prefix + "/" + name) })
	handler := http.FileServer(files)
	http.StripPrefix(prefix, handler).ServeHTTP(&blank{http.Header{}}, r)
	return segments
}

// opener is an empty file system that records the first path that is opened.
type opener func(name string)

func (o opener) Open(name string) (http.File, error) {
	o(name)
	return http.FS(fstest.MapFS{}).Open("nothing")
}

var actors = []acting{
	{"a file server", func(_ string, r *http.Request) []string { return opened("", r) }},
	{"a file server below a prefix", opened},
	{"by segment", func(_ string, r *http.Request) []string { return bySegment(r.URL.EscapedPath()) }},
	{"by decoding", func(_ string, r *http.Request) []string { return splitPath(r.URL.Path) }},
	{"chi's CleanPath", func(_ string, r *http.Request) []string {
		p := r.URL.Path
		if r.URL.RawPath != "" {
			p = r.URL.RawPath
		}
		return bySegment(path.Clean(p))
	}},
	{"JoinPath and decoding", func(_ string, r *http.Request) []string {
		return splitPath((&url.URL{Scheme: "http", Host: "up"}).JoinPath(r.URL.EscapedPath()).Path)
	}},
	{"JoinPath of the rest", func(prefix string, r *http.Request) []string {
		rest, ok := strings.CutPrefix(r.URL.EscapedPath(), prefix)
		if !ok { // it is spelled otherwise, and such handlers give up
			return nil
		}
		return bySegment(prefix + (&url.URL{Path: "/"}).JoinPath(rest).EscapedPath())
	}},
	{"a proxy whose upstream resolves", func(_ string, r *http.Request) []string {
		u := (&url.URL{Scheme: "http", Host: "up", Path: "/"}).ResolveReference(&url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath})
		return bySegment(u.EscapedPath())
	}},
	{"a proxy whose upstream decodes", func(_ string, r *http.Request) []string {
		u := (&url.URL{Scheme: "http", Host: "up", Path: "/"}).ResolveReference(&url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath})
		return splitPath(u.Path)
	}},
	{"a nested Mux", func(_ string, r *http.Request) (segments []string) {
		inner := kami.New()
		inner.Get("/*all", func(_ http.ResponseWriter, r *http.Request) { segments = bySegment(r.URL.EscapedPath()) })
		inner.Get("/", func(http.ResponseWriter, *http.Request) { segments = []string{} })
		seen := r.Clone(r.Context())
		seen.Method = "GET"
		inner.ServeHTTP(&blank{http.Header{}}, seen)
		return segments
	}},
	{"a ServeMux", func(_ string, r *http.Request) (segments []string) {
		var inner http.ServeMux
		inner.HandleFunc("/", func(_ http.ResponseWriter, r *http.Request) { segments = bySegment(r.URL.EscapedPath()) })
		inner.ServeHTTP(&blank{http.Header{}}, r)
		return segments
	}},
}

// handler returns a handler that acts in one of the ways. A route's handler also acts on its params. It takes the params before index
// split as they are, and splits the others at their slashes.
func (m *model) handler(by acting, pattern string) kami.HandlerFunc {
	prefix, _, _ := strings.Cut(strings.NewReplacer(":", "*").Replace(pattern), "/*")
	return func(ctx context.Context, _ http.ResponseWriter, r *http.Request) {
		m.by = by.name
		if !slices.Equal(bySegment(r.URL.EscapedPath()), rawSegments(r.URL.EscapedPath())) || slices.ContainsFunc(
			strings.Split(r.URL.Path, "/"), func(s string) bool { return s == "." || s == ".." }) {
			m.bad = r.URL.EscapedPath()
		}
		if segments := by.does(prefix, r); segments != nil {
			m.acted = append(m.acted, segments)
		}
		units := rawSegments(r.URL.EscapedPath())
		for i := range units { // as a nested Mux, some of whose params are split at their slashes and some are not
			m.acted = append(m.acted, append(slices.Clone(units[:i]), splitPath(strings.Join(units[i:], "/"))...))
		}
		names := paramNames(pattern)
		for split := range names {
			var segments []string
			for _, segment := range strings.FieldsFunc(pattern, func(r rune) bool { return r == '/' }) {
				i := slices.Index(names, segment[1:])
				switch {
				case segment[0] != ':' && segment[0] != '*':
					segments = append(segments, segment)
				case i >= split || segment[0] == '*':
					segments = append(segments, splitPath(kami.Param(ctx, segment[1:]))...)
				default:
					segments = append(segments, kami.Param(ctx, segment[1:]))
				}
			}
			m.acted = append(m.acted, segments)
		}
	}
}

// rawSegments returns the segments of an escaped path, decoded, with empty and dot segments. One slash at the end is ignored.
func rawSegments(escaped string) (all []string) {
	if escaped == "/" {
		return nil
	}
	for _, segment := range strings.Split(strings.TrimSuffix(escaped, "/")[1:], "/") {
		all = append(all, unescape(segment))
	}
	return all
}

// covers reports whether a scope covers a path, and returns its params in one text.
func covers(scope string, segments []string) (binding string, ok bool) {
	exact := !strings.HasSuffix(scope, "/")
	own := strings.FieldsFunc(scope, func(r rune) bool { return r == '/' })
	binding = scope
	for i, segment := range own {
		if segment[0] == '*' {
			return binding + " " + strings.Join(splitPath(strings.Join(segments[i:], "/")), "/"), true
		}
		switch {
		case i == len(segments):
			return "", false
		case segment[0] == ':':
			binding += " " + segments[i]
		case segment != segments[i]:
			return "", false
		}
		if segment[0] != '*' && i+1 < len(own) && own[i+1][0] == '*' && i+1 == len(segments) {
			return binding + " ", true
		}
	}
	return binding, !exact || len(segments) == len(own)
}

// missing returns a scope that covers the path and has not run, or "".
func (m *model) missing(segments []string) string {
	for _, scope := range m.scopes {
		binding, ok := covers(scope, segments)
		if ok && !m.ran[binding] && !m.ownPath(scope, segments) {
			return binding
		}
	}
	return ""
}

// ownPath reports whether a route for the scope's path without the slash may keep the path out of the scope.
func (m *model) ownPath(scope string, segments []string) bool {
	shape := func(p string) string {
		own := strings.FieldsFunc(p, func(r rune) bool { return r == '/' })
		for i, segment := range own {
			if segment[0] == ':' {
				own[i] = ":"
			}
		}
		return strings.Join(own, "/")
	}
	scope = strings.TrimSuffix(strings.TrimSuffix(scope, "*c"), "/")
	return len(segments) == strings.Count(scope, "/") &&
		slices.ContainsFunc(m.routes, func(route string) bool { return !strings.HasSuffix(route, "/") && shape(route) == shape(scope) })
}

// newModel returns a model of random routes, scopes and handlers.
func newModel(r random) *model {
	m := &model{stack: newStack(), ran: make(map[string]bool)}
	pick := func(depth int, kinds ...string) string {
		var b strings.Builder
		for i := range 1 + r.IntN(depth) {
			switch kind := r.of(kinds...); kind {
			case ":":
				fmt.Fprintf(&b, "/:p%d", i)
			case "*":
				return b.String() + "/*c"
			default:
				b.WriteString("/" + kind)
			}
		}
		return b.String() + r.of("", "/")
	}
	for range 1 + r.IntN(5) {
		scope := pick(3, "a", "b", "c", "a", ":", "*")
		if slices.Contains(m.scopes, scope) {
			continue
		}
		names := paramNames(scope)
		m.scopes = append(m.scopes, scope)
		m.use(scope, func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) context.Context {
			binding := scope
			for i, name := range names {
				value := kami.Param(ctx, name)
				if i == len(names)-1 && strings.HasSuffix(scope, "*c") {
					value = strings.Join(splitPath(value), "/")
				}
				binding += " " + value
			}
			m.ran[binding] = true
			return ctx
		})
	}
	for range 1 + r.IntN(5) {
		route := pick(4, "a", "b", "c", ":", "*")
		if panicOf(func() { m.handle(r.of("GET", "GET", "POST"), route, m.handler(actors[r.IntN(len(actors))], route)) }) == "" {
			m.routes = append(m.routes, route)
		}
	}
	if r.IntN(3) == 0 { // a mount is no route of its own that keeps out of a scope
		path := pick(3, "a", "b", "c", ":")
		prefix, _, _ := strings.Cut(strings.TrimSuffix(path, "/"), "/:")
		_ = panicOf(func() { m.mount(path, m.handler(actors[r.IntN(len(actors))], prefix)) })
	}
	if r.IntN(3) == 0 {
		m.notFound(m.handler(actors[r.IntN(len(actors))], ""))
	}
	return m
}

// ask serves a request, and returns the difference from the model, or "".
func (m *model) ask(method, target string) string {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		panic(err)
	}
	clear(m.ran)
	m.acted, m.by, m.bad = nil, "", ""
	w := &answerWriter{header: http.Header{}}
	m.ServeHTTP(w, &http.Request{Method: method, URL: u, Header: http.Header{}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1})
	if m.bad != "" {
		return fmt.Sprintf("%s has seen %s", m.by, m.bad)
	}
	location, told := w.header.Get("Location"), w.header.Get("Allow") != ""
	if m.by != "" { // a handler's own
		location, told = "", false
	}
	if location != "" {
		m.acted = append(m.acted, bySegment(location), splitPath(unescape(location)))
	}
	if told {
		m.acted = append(m.acted, bySegment(target), splitPath(u.Path), bySegment(u.EscapedPath()))
	}
	for _, segments := range m.acted {
		if scope := m.missing(segments); scope != "" {
			return fmt.Sprintf("%d %s by %q acts on %q, and %q has not run, but %v", w.status, location, m.by, segments, scope, m.ran)
		}
	}
	if location != "" {
		return m.follow(method, location)
	}
	return ""
}

// follow asks for the Location of a redirect, which must not redirect again.
func (m *model) follow(method, location string) string {
	u, err := url.ParseRequestURI(location)
	if err != nil {
		return err.Error()
	}
	again := &answerWriter{header: http.Header{}}
	m.by = ""
	m.ServeHTTP(again, &http.Request{Method: method, URL: u, Header: http.Header{}})
	if next := again.header.Get("Location"); next != "" && m.by == "" {
		return fmt.Sprintf("redirects to %s, and that to %s", location, next)
	}
	return ""
}

// answerWriter keeps the status and the header.
type answerWriter struct {
	header http.Header
	status int
}

func (w *answerWriter) Header() http.Header         { return w.header }
func (w *answerWriter) Write(b []byte) (int, error) { return len(b), nil }
func (w *answerWriter) WriteHeader(code int)        { w.status = code }

func TestC35Model(t *testing.T) {
	const each = 250 // requests to one stack
	reached := map[string]int{}
	for seed := range uint64(*modelRequests / each) {
		r := random{rand.New(rand.NewPCG(seed, 35))}
		m := newModel(r)
		for range each {
			var b strings.Builder
			for range 1 + r.IntN(5) {
				b.WriteString(r.of("/", "/", "/", "%2F", "%2f", "//") + r.of("a", "b", "c", "a", "%61", "d", "..", ".", "%2e%2E", ".%2e", "", "a%2Fb", "..."))
			}
			method, target := r.of("GET", "GET", "POST", "OPTIONS", "HEAD"), "/"+strings.TrimPrefix(b.String(), "/")
			if wrong := m.ask(method, target); wrong != "" {
				t.Fatalf("seed %d: %s %s: %s\nroutes %q\nscopes %q", seed, method, target, wrong, m.routes, m.scopes)
			}
			reached[m.by]++
		}
	}
	for _, by := range actors {
		if reached[by.name] == 0 {
			t.Errorf("no request has reached %s", by.name)
		}
	}
	t.Log(reached)
}
