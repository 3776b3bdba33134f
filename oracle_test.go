package kami_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/dimfeld/httptreemux/v5"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
)

// The oracle is github.com/dimfeld/httptreemux/v5, set up as kami v2 had it: paths are r.URL.Path, redirects are 301
// for GET and 307 otherwise. The test allows only these differences, which are deliberate:
//
//   - C21: Allow names the methods of all patterns that match; the oracle names the methods of the best one. 404 and 405
//     have a body. OPTIONS without a route gets 204 with Allow; the oracle answers 405 or redirects.
//   - C22: no route serves a path with empty or dot segments; the oracle's wildcards do. The test asks the oracle for the clean
//     path instead. If kami redirects there, the oracle must serve it or redirect too.
//   - C23: values are decoded once, and an encoded slash does not split a segment; the oracle sees the decoded path and decodes
//     again. The test therefore gives it the decoded segments with other characters for slash and percent sign.
//   - C26: the random routes have nothing that the oracle refuses in its own words or accepts silently: duplicates, empty
//     segments, text after a catch-all. A param has the same name for all methods, because the oracle wants that.

// answer is the part of a response that the test compares.
type answer struct {
	status   int
	location string // with slash and percent sign within a segment made opaque
	route    string // of the handler that ran
	params   string
}

// opaque stands for the slash and the percent sign within a segment.
var (
	opaque = strings.NewReplacer("/", "\ue000", "%", "\ue001")
	plain  = strings.NewReplacer("\ue000", "/", "\ue001", "%")
)

func opaquePath(escaped string) string {
	segments := strings.Split(escaped, "/")
	for i, segment := range segments {
		decoded, err := url.PathUnescape(segment)
		if err != nil {
			panic(err)
		}
		segments[i] = opaque.Replace(decoded)
	}
	return strings.Join(segments, "/")
}

// pair has the same routes on kami and the oracle.
type pair struct {
	kami   *stack
	oracle *httptreemux.TreeMux
	ran    *answer // filled by the handler that runs, of either
}

func newPair(s *stack) *pair {
	p := &pair{kami: s, oracle: httptreemux.New()}
	p.oracle.PathSource = httptreemux.URLPath
	p.oracle.RedirectBehavior = httptreemux.Redirect307
	p.oracle.RedirectMethodBehavior["GET"] = httptreemux.Redirect301
	return p
}

func (p *pair) handle(method, path string) {
	name := method + " " + path
	names := paramNames(path)
	p.kami.handle(method, path, func(ctx context.Context, _ http.ResponseWriter, r *http.Request) {
		p.ran.route = name
		for _, param := range names {
			p.ran.params += param + "=" + kami.Param(ctx, param) + ";"
		}
	})
	p.oracle.Handle(method, strings.ReplaceAll(path, "%", "\ue001"), func(_ http.ResponseWriter, _ *http.Request, params map[string]string) {
		p.ran.route = name
		for _, param := range names {
			p.ran.params += param + "=" + plain.Replace(params[param]) + ";"
		}
	})
}

func paramNames(path string) (names []string) {
	for _, segment := range strings.Split(path, "/") {
		if strings.HasPrefix(segment, ":") || strings.HasPrefix(segment, "*") {
			names = append(names, segment[1:])
		}
	}
	return names
}

// askKami returns kami's answer, and its Allow header.
func (p *pair) askKami(method, target string) (answer, string) {
	p.ran = new(answer)
	w := p.kami.do(method, target)
	p.ran.status = w.Code
	if location := w.Header().Get("Location"); location != "" {
		if location == target {
			panic("C22: a redirect to itself is a 404")
		}
		path, query, _ := strings.Cut(location, "?")
		p.ran.location = opaquePath(path) + "?" + query
	}
	return *p.ran, w.Header().Get("Allow")
}

func (p *pair) askOracle(method, target string) answer {
	p.ran = new(answer)
	r := httptest.NewRequest(method, target, nil)
	r.URL.Path, r.URL.RawPath = opaquePath(r.URL.EscapedPath()), ""
	w := httptest.NewRecorder()
	p.oracle.ServeHTTP(w, r)
	p.ran.status = w.Code
	if location := w.Header().Get("Location"); location != "" {
		path, query, _ := strings.Cut(location, "?")
		decoded, _ := url.PathUnescape(path)
		p.ran.location = decoded + "?" + query
	}
	return *p.ran
}

// clean returns the clean spelling of a target, and whether it is another one. It is "" if a decoded slash leaves dot segments.
func clean(target string) (cleaned string, unclean bool) {
	escaped, query, asks := strings.Cut(target, "?")
	path, all := opaquePath(escaped), []string{}
	for _, segment := range strings.Split(path, "/") {
		switch segment {
		case "", ".":
			unclean = true
		case "..":
			all, unclean = all[:max(0, len(all)-1)], true
		default:
			all = append(all, segment)
		}
	}
	for _, segment := range strings.Split(strings.Join(all, "/"), "\ue000") {
		if strings.Contains("/"+segment+"/", "/../") || strings.Contains("/"+segment+"/", "/./") {
			return "", true
		}
	}
	cleaned = "/" + strings.Join(all, "/")
	if last := path[strings.LastIndexByte(path, '/')+1:]; len(all) > 0 && (last == "" || last == "." || last == "..") {
		cleaned += "/"
	}
	if unclean = cleaned != path; !unclean {
		return target, false
	}
	segments := strings.Split(cleaned, "/")
	for i, segment := range segments {
		segments[i] = url.PathEscape(plain.Replace(segment))
	}
	cleaned = strings.Join(segments, "/")
	if asks {
		cleaned += "?" + query
	}
	return cleaned, true
}

func noSlash(location string) string {
	path, query, _ := strings.Cut(location, "?")
	return strings.TrimSuffix(path, "/") + "?" + query
}

// wantUnclean returns the answer wanted for an unclean path: a redirect to the clean path, or to where the oracle redirects it.
func (p *pair) wantUnclean(method, target string) answer {
	if target == "" {
		return answer{status: http.StatusNotFound}
	}
	want := p.askOracle(method, target)
	if want.status == http.StatusNotFound {
		return answer{status: want.status}
	}
	path, query, _ := strings.Cut(target, "?")
	redirect := answer{status: http.StatusTemporaryRedirect, location: opaquePath(path) + "?" + query}
	if method == http.MethodGet {
		redirect.status = http.StatusMovedPermanently
	}
	if want.location != "" {
		redirect.location = want.location
	}
	return redirect
}

var methods = []string{"GET", "POST", "HEAD", "OPTIONS", "PURGE"}

// compare compares the answers to one request and returns their status.
func (p *pair) compare(t testing.TB, method, target string, routes []string) int {
	got, allow := p.askKami(method, target)
	asked, unclean := clean(target)
	want := p.askOracle(method, target)
	if unclean {
		want = p.wantUnclean(method, asked)
		if got.location != "" && asked != "" && p.askOracle(method, asked).status == http.StatusMethodNotAllowed && noSlash(got.location) == noSlash(want.location) {
			want.location = got.location // the oracle does not say which methods' spelling that is
		}
	}
	automatic := method == "OPTIONS" && got.status == http.StatusNoContent && want.route == ""
	if automatic && (want.status == http.StatusMethodNotAllowed || want.location != "") {
		want = answer{status: http.StatusNoContent} // C21
	}
	if got != want {
		t.Fatalf("%s %s\nroutes %q\ngot    %+v\nwant   %+v", method, target, routes, got, want)
	}
	if got.status == http.StatusMethodNotAllowed || automatic {
		if want := p.wantAllow(t, asked); allow != want {
			t.Fatalf("%s %s\nroutes %q\ngot    Allow: %s\nwant   Allow: %s", method, target, routes, allow, want)
		}
	}
	return got.status
}

// wantAllow asks the oracle for each method, and returns the methods that the path has.
func (p *pair) wantAllow(t testing.TB, target string) string {
	if path, _, _ := strings.Cut(target, "?"); p.askOracle("NONE", target).location != "" {
		clean := httptreemux.Clean(strings.TrimSuffix(opaquePath(path), "/")) // the path asked about in its place
		target = (&url.URL{Path: clean}).EscapedPath()
	}
	allow := []string{"OPTIONS"}
	for _, method := range methods {
		a := p.askOracle(method, target)
		require.NotEqual(t, http.StatusNotFound, a.status, "%s %s", method, target)
		if a.status != http.StatusMethodNotAllowed && method != "OPTIONS" {
			allow = append(allow, method)
		}
	}
	slices.Sort(allow)
	return strings.Join(allow, ", ")
}

// random has its own source of random numbers, so that a failure can be repeated.
type random struct{ *rand.Rand }

func (r random) of(choices ...string) string { return choices[r.IntN(len(choices))] }

// pattern returns a random path for a route. Params are named by their place, so that all methods agree.
func (r random) pattern() string {
	var b strings.Builder
	depth := r.IntN(5)
	for i := range depth {
		segment := r.of("a", "b", "ab", "a.b", ":", ":", `\:a`, `\*`, `\\b`, "é", "%41", "*")
		switch {
		case segment == ":":
			fmt.Fprintf(&b, "/:p%d", i)
		case segment == "*":
			fmt.Fprintf(&b, "/*c%d%s", i, r.of("", "/"))
			return b.String()
		default:
			b.WriteString("/" + segment)
		}
	}
	if depth == 0 || r.IntN(4) == 0 {
		b.WriteString("/")
	}
	return b.String()
}

// target returns a random path as a client may send it, with or without a query.
func (r random) target() string {
	var b strings.Builder
	for range 1 + r.IntN(5) {
		b.WriteString("/" + r.of("a", "a", "b", "b", "ab", "a.b", ":a", "*", `%5Cb`, "%C3%A9", "%2541", "A", "c",
			"", ".", "..", "%2e", "%2E%2e", "%61", "a%2Fb", "a%2fb", "%2F", "..%2Fa", "b%2f%2e", ".a", "x%2525y", "a+b", "a;b", "%FF", ":", "@"))
	}
	if r.IntN(4) == 0 {
		b.WriteString("/")
	}
	if r.IntN(8) == 0 {
		b.WriteString("?q=a%20b&r=/")
	}
	return b.String()
}

// routes registers random routes and returns them.
func (p *pair) routes(r random) (routes []string) {
	taken := map[string]bool{}
	for range 1 + r.IntN(10) {
		method, path := r.of("GET", "GET", "POST", "HEAD", "OPTIONS", "PURGE"), r.pattern()
		key := method + strings.TrimSuffix(path, "/")
		if taken[key] {
			continue
		}
		taken[key] = true
		p.handle(method, path)
		routes = append(routes, method+" "+path)
	}
	return routes
}

func TestC20RoutesLikeTheOracle(t *testing.T) {
	const sets, requests = 2000, 60 // 120,000 comparisons
	global := globalStack(t)
	statuses := map[int]int{}
	for seed := range uint64(sets) {
		r := random{rand.New(rand.NewPCG(seed, 1))}
		s := newStack()
		if seed%2 == 1 {
			kami.Reset()
			s = global
		}
		p := newPair(s)
		routes := p.routes(r)
		for range requests {
			method := r.of("GET", "GET", "POST", "HEAD", "OPTIONS", "PURGE", "PUT")
			statuses[p.compare(t, method, r.target(), routes)]++
		}
	}
	for _, status := range []int{200, 204, 301, 307, 404, 405} {
		require.NotZero(t, statuses[status], "no answer with %d: %v", status, statuses)
	}
}

func FuzzRoutesLikeTheOracle(f *testing.F) {
	f.Add(uint64(1), "GET", "/a/b/")
	f.Add(uint64(2), "POST", "/a/../%2e/b//")
	f.Add(uint64(3), "OPTIONS", "//")
	f.Fuzz(func(t *testing.T, seed uint64, method, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || !strings.HasPrefix(target, "/") || u.Host != "" || !slices.Contains(methods, method) ||
			strings.ContainsAny(u.Path, "\ue000\ue001[") || strings.Contains(target, "#") || u.RawQuery != "" || u.ForceQuery {
			t.Skip()
		}
		p := newPair(newStack())
		p.compare(t, method, u.EscapedPath(), p.routes(random{rand.New(rand.NewPCG(seed, 1))}))
	})
}
