package kami_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/mutil"
	"github.com/guregu/kami/treemux"
)

// echoes registers routes that answer with their name, such as "GET /users/:id", and their params.
func (s *stack) echoes(routes ...string) *stack {
	for _, route := range routes {
		method, path, _ := strings.Cut(route, " ")
		s.handle(method, path, echo(route, paramNames(path)...))
	}
	return s
}

func TestC20Priorities(t *testing.T) {
	tests := []struct{ request, want string }{
		{"GET /", "GET /"},
		// Static before param before catch-all.
		{"GET /users/new", "GET /users/new"},
		{"GET /users/7", "GET /users/:id(id=7)"},
		{"GET /users/7/edit", "GET /users/:id/edit(id=7)"},
		{"GET /users/7/x/y", "GET /users/*rest(rest=7/x/y)"},
		// Backtracking out of static text and out of a param.
		{"GET /users/new/edit", "GET /users/:id/edit(id=new)"},
		{"GET /users/new/x", "GET /users/*rest(rest=new/x)"},
		{"GET /a/b/c", "GET /a/b/c"},
		{"GET /a/b/d", "GET /a/:x/d(x=b)"},
		{"GET /a/b/e", "GET /:x/:y/e(x=a,y=b)"},
		{"GET /a/b/f", "404"},
		// The best pattern that has the method.
		{"POST /users/new", "POST /users/:name(name=new)"},
		{"PUT /users/new", "PUT /users/*all(all=new)"},
		{"PUT /users/new/edit", "PUT /users/*all(all=new/edit)"},
		// A catch-all wants a rest, named or not.
		{"GET /static/css/a.css", "GET /static/*(=css/a.css)"},
		{"GET /static/", "404"},
		{"GET /static", "404"},
		{"GET /static//", "404"},
		{"GET /users/", "404"},
		// Escapes at the start of a segment, and nothing special within one.
		{"GET /esc/:id", `GET /esc/\:id`},
		{"GET /esc/*", `GET /esc/\*`},
		{"GET /esc/%5Cb", `GET /esc/\\b`},
		{"GET /esc/x", "404"},
		{"GET /mid/a:b", "GET /mid/a:b"},
		{"GET /mid/a*b", "GET /mid/a*b"},
		{"GET /mid/a%5C:b", `GET /mid/a\:b`},
		{"GET /mid/aXb", "404"},
	}
	everywhere(t, func(t *testing.T, s *stack) {
		s.echoes("GET /", "GET /users/new", "GET /users/:id", "GET /users/:id/edit", "GET /users/*rest",
			"POST /users/:name", "PUT /users/*all", "GET /a/b/c", "GET /a/:x/d", "GET /:x/:y/e", "GET /static/*",
			`GET /esc/\:id`, `GET /esc/\*`, `GET /esc/\\b`, "GET /mid/a:b", "GET /mid/a*b", `GET /mid/a\:b`)
		for _, test := range tests {
			method, target, _ := strings.Cut(test.request, " ")
			w := s.do(method, target)
			got := w.Body.String()
			if w.Code != http.StatusOK {
				got = fmt.Sprint(w.Code)
			}
			assert.Equal(t, test.want, got, test.request)
		}
	})
}

func TestC21HeadIsServedByGet(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		s.get("/hello", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Method", r.Method)
			_, _ = io.WriteString(w, "hello")
		})
		s.echoes("GET /:name")
		server := httptest.NewServer(s)
		defer server.Close()
		res, err := http.Head(server.URL + "/hello")
		require.NoError(t, err)
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, res.StatusCode)
		assert.Equal(t, "HEAD", res.Header.Get("X-Method"))
		assert.Equal(t, int64(len("hello")), res.ContentLength)
		assert.Empty(t, body)
	})
}

func TestC21HeadHandlerGoesFirst(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		s.echoes("GET /both", "HEAD /both", "POST /post")
		assert.Equal(t, "HEAD /both", s.do("HEAD", "/both").Body.String())
		assert.Equal(t, "GET /both", s.do("GET", "/both").Body.String())
		assert.Equal(t, http.StatusMethodNotAllowed, s.do("HEAD", "/post").Code)
	})
}

// outcome returns the status, Allow and Location, and the body of a 200, in one text.
func outcome(w *httptest.ResponseRecorder) string {
	all := fmt.Sprint(w.Code)
	for _, name := range []string{"Allow", "Location"} {
		if value, ok := w.Header()[name]; ok {
			all += " " + strings.Join(value, "|")
		}
	}
	if w.Code == http.StatusOK {
		all += " " + w.Body.String()
	}
	return all
}

// askAll serves each request, such as "GET /a", and compares its outcome.
func (s *stack) askAll(t *testing.T, tests [][2]string) {
	t.Helper()
	for _, test := range tests {
		method, target, _ := strings.Cut(test[0], " ")
		assert.Equal(t, test[1], outcome(s.do(method, target)), test[0])
	}
}

func TestC21MethodNotAllowed(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		s.echoes("GET /a", "DELETE /b/", "POST /:x", "PUT /*y", "GET /own", "OPTIONS /own", "HEAD /head/only",
			"purge /lower/:x", "GET /lower/:y", "POST /lower/z")
		s.askAll(t, [][2]string{
			// Complete: every pattern that matches, HEAD with GET, OPTIONS. Sorted.
			{"PATCH /a", "405 GET, HEAD, OPTIONS, POST, PUT"},
			{"DELETE /a", "405 GET, HEAD, OPTIONS, POST, PUT"},
			{"PATCH /b/", "405 DELETE, OPTIONS, POST, PUT"},
			{"PATCH /b", "405 DELETE, OPTIONS, POST, PUT"},
			{"GET /c", "405 OPTIONS, POST, PUT"},
			{"HEAD /c", "405 OPTIONS, POST, PUT"},
			{"BREW /c/d", "405 OPTIONS, PUT"},
			{"PATCH /own", "405 GET, HEAD, OPTIONS, POST, PUT"},
			{"GET /head/only", "405 HEAD, OPTIONS, PUT"},
			{"DELETE /lower/z", "405 GET, HEAD, OPTIONS, POST, PUT, purge"},
			// OPTIONS without a handler, and with one.
			{"OPTIONS /a", "204 GET, HEAD, OPTIONS, POST, PUT"},
			{"OPTIONS /c/d", "204 OPTIONS, PUT"},
			{"OPTIONS /own", "200 OPTIONS /own"},
			// Nothing matches.
			{"GET /", "404"},
			{"OPTIONS /", "404"},
		})
	})
}

func TestC21OneAllowHeader(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		s.echoes("GET /a")
		for _, method := range []string{"POST", "OPTIONS"} {
			assert.Equal(t, []string{"GET, HEAD, OPTIONS"}, s.do(method, "/a").Header()["Allow"], method)
		}
		assert.Equal(t, "Method Not Allowed\n", s.do("POST", "/a").Body.String())
		assert.Empty(t, s.do("OPTIONS", "/a").Body.String())
	})
}

func TestC21AllowIsThereBeforeOnesOwnHandler(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		s.echoes("GET /a", "PUT /:x")
		s.methodNotAllowed(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "allowed: "+w.Header().Get("Allow"))
		})
		assert.Equal(t, "allowed: GET, HEAD, OPTIONS, PUT", s.do("POST", "/a").Body.String())
		assert.Equal(t, "allowed: OPTIONS, PUT", s.do("POST", "/b").Body.String())
		assert.Equal(t, "204 OPTIONS, PUT", outcome(s.do("OPTIONS", "/b")), "automatic, not refused")
	})
}

func TestC21Disabled(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		s.echoes("GET /a", "GET /own", "OPTIONS /own")
		s.methodNotAllowed(echo("not this one"))
		s.enableMethodNotAllowed(false)
		s.askAll(t, [][2]string{{"POST /a", "404"}, {"OPTIONS /a", "404"}, {"OPTIONS /own", "200 OPTIONS /own"},
			{"HEAD /a", "200 GET /a"}})
		s.notFound(echo("nothing here"))
		s.askAll(t, [][2]string{{"POST /a", "200 nothing here"}, {"OPTIONS /a", "200 nothing here"}})
		s.enableMethodNotAllowed(true)
		s.askAll(t, [][2]string{{"POST /a", "200 GET, HEAD, OPTIONS not this one"}, {"OPTIONS /a", "204 GET, HEAD, OPTIONS"}})
	})
}

func TestC22Redirects(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		s.echoes("GET /bare/:p", "POST /bare/:p", "GET /slash/:p/", "GET /all/*rest", "GET /sticky/", "POST /sticky",
			"GET /options/", "OPTIONS /options/", "GET /put/:a/:b/:c", "GET /")
		s.askAll(t, [][2]string{
			// 301 for GET, 307 otherwise.
			{"GET /bare/x/", "301 /bare/x"},
			{"HEAD /bare/x/", "307 /bare/x"},
			{"POST /bare/x/", "307 /bare/x"},
			{"GET /slash/x", "301 /slash/x/"},
			{"HEAD /slash/x", "307 /slash/x/"},
			// Unclean paths, whatever the spelling; http.Redirect's own cleaning.
			{"GET //bare/x", "301 /bare/x"},
			{"POST /bare//x", "307 /bare/x"},
			{"GET /bare/./x", "301 /bare/x"},
			{"GET /no/../bare/x", "301 /bare/x"},
			{"GET /../bare/x", "301 /bare/x"},
			{"GET /bare/%2e/x", "301 /bare/x"},
			{"GET /no/%2E%2e/bare/x", "301 /bare/x"},
			{"GET /put/x/./y/z", "301 /put/x/y/z"},
			{"GET /put/x/%2e/y/", "404"},
			{"GET /bare/x/..//../", "301 /"},
			// To the registered spelling at once.
			{"GET /bare/x//", "301 /bare/x"},
			{"GET /bare/x/.", "301 /bare/x"},
			{"GET /bare/x/y/..", "301 /bare/x"},
			{"GET //bare/x/", "301 /bare/x"},
			{"GET /slash/x//", "301 /slash/x/"},
			{"GET /slash/x/.", "301 /slash/x/"},
			{"HEAD /slash/x/%2E", "307 /slash/x/"},
			{"GET //slash/x", "301 /slash/x/"},
			{"GET //slash/x/", "301 /slash/x/"},
			{"GET /slash/x/y/%2e%2e", "301 /slash/x/"},
			{"GET //", "301 /"},
			{"GET /.", "301 /"},
			{"GET /x/..", "301 /"},
			{"GET /%2e%2e", "301 /"},
			// The query and the escapes stay.
			{"GET /bare/x/?q=a%20b&r=/", "301 /bare/x?q=a%20b&r=/"},
			{"POST //bare/x?q=%2F..%2F", "307 /bare/x?q=%2F..%2F"},
			{"GET /bare/a%20b/", "301 /bare/a%20b"},
			{"GET /bare/a%2Fb/", "301 /bare/a%2Fb"},
			{"GET /bare/a%2fb/", "301 /bare/a%2fb"},
			{"GET /slash/a%2Fb", "301 /slash/a%2Fb/"},
			{"GET //bare/a%2Fb", "301 /bare/a%2Fb"},
			{"GET /bare/%E3%81%82/", "301 /bare/%E3%81%82"},
			{"GET /bare/%e3%81%82/", "301 /bare/%e3%81%82"},
			{"GET /bare/%41+/", "301 /bare/%41+"},
			{"GET /bare/100%2525/", "301 /bare/100%2525"},
			{"GET /bare/a;b=c/", "301 /bare/a;b=c"},
			{"GET /bare/a%3Fb/", "301 /bare/a%3Fb"},
			{"GET /bare/%FF/", "301 /bare/%FF"},
			// A slash of one method's path counts for all.
			{"GET /sticky", "301 /sticky/"},
			{"POST /sticky", "307 /sticky/"},
			{"POST /sticky/", "200 POST /sticky"},
			// A catch-all takes slashes as they come.
			{"GET /all/x/", "200 GET /all/*rest(rest=x)"},
			{"GET /all//x", "301 /all/x"},
			{"GET /all/x//", "301 /all/x/"},
			{"GET /all/x/.", "301 /all/x/"},
			{"GET /all/x/..", "404"},
			// Automatic OPTIONS answers where the redirect would lead; one's own handler has its path.
			{"OPTIONS /bare/x/", "204 GET, HEAD, OPTIONS, POST"},
			{"OPTIONS //bare/x", "204 GET, HEAD, OPTIONS, POST"},
			{"OPTIONS /slash/x", "204 GET, HEAD, OPTIONS"},
			{"OPTIONS /options", "307 /options/"},
			// Other spellings of paths that have no route.
			{"GET /nothing/", "404"},
			{"GET //nothing", "404"},
		})
	})
}

// TestC22NoRouteServesAnUncleanPath has routes of each kind, with and without a clean path to redirect to.
func TestC22NoRouteServesAnUncleanPath(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		s.echoes("GET /static/*path", "GET /:a", "GET /:a/:b", "POST /:a", "GET /x/fixed", "GET /proxy/*url")
		s.askAll(t, [][2]string{
			{"GET /static/../.env", "301 /.env"},
			{"GET /static/%2e%2e/.env", "301 /.env"},
			{"GET /static/.%2E/.env", "301 /.env"},
			{"GET /static/..%2f.env", "404"},
			{"GET /static/x%2F..%2f..%2F.env", "404"},
			{"GET /static/x/./y%2F%2e%2e", "404"},
			{"GET /static/a/b/../c?q=1", "301 /static/a/c?q=1"},
			{"GET /static/a//b", "301 /static/a/b"},
			{"GET /static/a%2F..", "404"},
			{"GET /static/.", "301 /static"},
			{"GET /a/..", "404"},
			{"GET /a/%2e%2e", "404"},
			{"GET /a/..%2f", "404"},
			{"GET /..", "404"},
			{"GET /%2e", "404"},
			{"GET /b/../a", "301 /a"},
			{"POST /b/../a", "307 /a"},
			{"POST /b/%2E./a", "307 /a"},
			{"GET /x/./fixed", "301 /x/fixed"},
			{"GET /x//fixed", "301 /x/fixed"},
			{"GET /x/fixed/y/..%2f", "404"},
			// Dots and slashes that are part of a name.
			{"GET /static/...", "200 GET /static/*path(path=...)"},
			{"GET /static/.env/..x", "200 GET /static/*path(path=.env/..x)"},
			{"GET /a/.b", "200 GET /:a/:b(a=a,b=.b)"},
			{"GET /a/%252e%252e", "200 GET /:a/:b(a=a,b=%2e%2e)"},
			{"GET /proxy/http:%2F%2Fhost", "200 GET /proxy/*url(url=http://host)"},
			{"GET /a%2F/b", "200 GET /:a/:b(a=a/,b=b)"},
		})
	})
}

// TestC22RegistrationWithDotSegments registers paths that could never be served.
func TestC22RegistrationWithDotSegments(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		for path, segment := range map[string]string{"/.": ".", "/a/..": "..", "/a/../b": "..", "/:x/./": "."} {
			want := fmt.Sprintf("a path must have no dot segment (%q): it is resolved before anything matches", segment)
			assert.Contains(t, panicOf(func() { s.handle("GET", path, echo("")) }), want, path)
			assert.Contains(t, panicOf(func() { s.use(path, pass) }), want, path)
			assert.Contains(t, panicOf(func() { s.after(path, pass) }), want, path)
		}
	})
}

// A client may send a "#", which url.ParseRequestURI leaves in the query. In a Location it would end the query.
func TestC22QueryWithANumberSign(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		s.echoes("GET /a")
		location, err := s.do("GET", "/a/?q=1%232#3&r=4").Result().Location()
		require.NoError(t, err)
		assert.Equal(t, url.Values{"q": {"1#2#3"}, "r": {"4"}}, location.Query())
	})
}

func TestC22StickySlashOfALaterRoute(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		s.echoes("GET /p")
		s.askAll(t, [][2]string{{"GET /p", "200 GET /p"}, {"GET /p/", "301 /p"}})
		s.echoes("PUT /p/")
		s.askAll(t, [][2]string{{"GET /p", "301 /p/"}, {"GET /p/", "200 GET /p"}, {"PUT /p", "307 /p/"}})
	})
}

// programmatic returns a request whose URL was made by a program, not by a parser.
func programmatic(method, path, rawPath, query string) *http.Request {
	return &http.Request{Method: method, Host: "host", Header: http.Header{}, Proto: "HTTP/1.1", ProtoMajor: 1,
		ProtoMinor: 1, URL: &url.URL{Path: path, RawPath: rawPath, RawQuery: query}}
}

func TestC22LocationOfHostileSpellings(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		s.echoes("GET /", "GET /:a", "GET /:a/:b", "GET /s/:a/:b/")
		s.askAll(t, [][2]string{
			{"GET //evil.com/", "301 /evil.com"},
			{"GET //evil.com", "301 /evil.com"},
			{"GET ///evil.com/..", "301 /"},
			{"GET //evil.com/%2e%2e", "301 /"},
			{`GET /\evil.com/`, "301 /%5Cevil.com"},
			{`GET //\evil.com`, "301 /%5Cevil.com"},
			{`GET /x/../\evil.com`, "301 /%5Cevil.com"},
			{"GET /%5Cevil.com/", "301 /%5Cevil.com"},
			{"GET /%5C%5Cevil.com/", "301 /%5C%5Cevil.com"},
			{`GET /\evil.com%2F/`, "301 /%5Cevil.com%2F"},
			{`GET //\%2Fevil.com`, "301 /%5C%2Fevil.com"},
			{`GET /"%2F#/`, "301 /%22%2F%23"},
			{"GET /a#b/", "301 /a%23b"},
			{"GET //[x/", "301 /[x"},
			{"GET //[x/y", "301 /[x/y"},
			{"GET /%2F/evil.com/", "301 /%2F/evil.com"},
			{"GET /%2Fevil.com/", "301 /%2Fevil.com"},
			{"GET //%2Fevil.com", "301 /%2Fevil.com"},
			{"GET /%0d%0aSet-Cookie:x/", "301 /%0d%0aSet-Cookie:x"},
			{"GET /%0D%0ASet-Cookie:x/", "301 /%0D%0ASet-Cookie:x"},
			{"GET /https:/evil.com/", "301 /https:/evil.com"},
			{"GET //https://evil.com", "301 /https:/evil.com"},
			{"GET /javascript:alert(1)/", "301 /javascript:alert(1)"},
			{"GET /s/./evil.com", "301 /s/evil.com"},
			{"GET /s/../evil.com", "301 /evil.com"},
			{"GET http://evil.com//x", "301 /x"},
		})
		for _, test := range []struct{ path, rawPath, query, want string }{
			{"/a\r\nSet-Cookie: x/", "", "", "301 /a%0D%0ASet-Cookie:%20x"},
			{"/a\x00\t\x7f/", "", "", "301 /a%00%09%7F"},
			{"/a/", "/a\r\n/", "", "301 /a"},
			{"/a/", "/%61%0a", "", "301 /a"},
			{"/a\n/", "/a%0A/", "", "301 /a%0A"},
			{"/a/", "//evil.com/", "", "301 /a"},
			{"/a/", "https://evil.com/", "", "301 /a"},
			{"/a/", "/%zz/", "", "301 /a"},
			{"/a/", "", "q=\r\nSet-Cookie: x\x00\x7f", "301 /a?q=%0D%0ASet-Cookie:%20x%00%7F"},
			{"/a/", "", "é=\xff", "301 /a?%C3%A9=%FF"},
			{"//\t/evil.com", "", "", "301 /%09/evil.com"},
			{`/\/`, "", "", "301 /%5C"},
		} {
			got := outcome(s.serve(programmatic("GET", test.path, test.rawPath, test.query)))
			assert.Equal(t, test.want, got, "%q", test)
		}
	})
}

// provocations are sets of routes that redirect most paths.
var provocations = [][]string{{"/:a"}, {"/:a/"}, {"/:a/:b"}, {"/:a/:b/"}, {"/", "/:a/", "/:a/:b", "/:a/:b/:c/"},
	{"/", "/:a", "/:a/:b/", "/:a/:b/:c"}, {"/*x"}, {"/x/*y", "/:a/"}}

func FuzzC22Location(f *testing.F) {
	seeds := []string{"/", "//", "/a/", "//evil.com/", "///evil.com/..", `/\evil.com/`, "/%5Cevil.com/", "//[x/",
		"/%2F/evil.com/", "/%0d%0aSet-Cookie:x/", "/https:/evil.com/", "/a\r\nb/", "/\t/evil.com", "/./\\x/../", "/%2e%2e//",
		"/a b/", "/é%2Fb/", "/a/.", "/a/..", "/a/%2e/", "/*/", "", "*", "evil.com/"}
	for _, seed := range seeds {
		decoded, err := url.PathUnescape(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add("GET", decoded, seed, "")
		f.Add("POST", seed, "", "q=\r\n")
	}
	var stacks []*stack
	for _, routes := range provocations {
		s := newStack()
		for _, path := range routes {
			s.echoes("GET "+path, "POST "+path)
		}
		stacks = append(stacks, s)
	}
	f.Fuzz(func(t *testing.T, method, path, rawPath, query string) {
		for i, s := range stacks {
			follow(t, s, provocations[i], programmatic(method, path, rawPath, query))
		}
	})
}

// follow follows redirects, at most a few, and checks each.
func follow(t *testing.T, s *stack, routes []string, r *http.Request) {
	for range 4 {
		w := s.serve(r)
		location, redirected := w.Header()["Location"]
		if !redirected {
			return
		}
		what := fmt.Sprintf("%q %q %q -> %q, routes %q", r.Method, r.URL.Path, r.URL.RawPath, location, routes)
		require.Len(t, location, 1, what)
		checkLocation(t, location[0], what)
		path, _, _ := strings.Cut(location[0], "?")
		require.NotEqual(t, r.URL.EscapedPath(), path, "to itself: %s", what)
		want := http.StatusTemporaryRedirect
		if r.Method == http.MethodGet {
			want = http.StatusMovedPermanently
		}
		require.Equal(t, want, w.Code, what)
		next, err := url.ParseRequestURI(location[0])
		require.NoError(t, err, what)
		r = programmatic(r.Method, next.Path, next.RawPath, "")
	}
	t.Fatalf("redirects without an end: %q, routes %q", r.URL, routes)
}

// checkLocation fails unless the Location is a path on the host that it comes from.
func checkLocation(t *testing.T, location, what string) {
	require.True(t, strings.HasPrefix(location, "/"), what)
	require.False(t, len(location) > 1 && (location[1] == '/' || location[1] == '\\'), what)
	for i := range len(location) {
		require.False(t, location[i] <= ' ' || location[i] == 0x7f, "byte %#x: %s", location[i], what)
	}
	base := url.URL{Scheme: "http", Host: "host", Path: "/"}
	resolved, err := base.Parse(location)
	require.NoError(t, err, what)
	require.Equal(t, "http://host", resolved.Scheme+"://"+resolved.Host, what)
}

func TestC23DecodedOnce(t *testing.T) {
	tests := [][2]string{
		{"/one/100%2525", "200 GET /one/:p(p=100%25)"},
		{"/one/a%2Fb", "200 GET /one/:p(p=a/b)"},
		{"/one/a%2fb%252F", "200 GET /one/:p(p=a/b%2F)"},
		{"/one/a+b", "200 GET /one/:p(p=a+b)"},
		{"/one/a+b%2F%2B%20", "200 GET /one/:p(p=a+b/+ )"},
		{"/one/%2F", "200 GET /one/:p(p=/)"},
		{"/one/%E3%81%82", "200 GET /one/:p(p=あ)"},
		{"/one/%3Ap%2F", "200 GET /one/:p(p=:p/)"},
		{"/all/a%2Fb/100%2525/c", "200 GET /all/*rest(rest=a/b/100%25/c)"},
		{"/one/a%2Fb/two/c%2Fd", "200 GET /one/:p/two/:q(p=a/b,q=c/d)"},
		{"/%61%62%63/x%2F", "200 GET /abc/:p(p=x/)"},
		{"/a%20b/%E3%81%82", "200 GET /a b/あ"},
		// No segment ends at an encoded slash.
		{"/one%2Fx", "404"},
		{"/one/x%2Ftwo/y", "404"},
		{"/%2Fone/x", "404"},
	}
	routes := []string{"GET /one/:p", "GET /all/*rest", "GET /one/:p/two/:q", "GET /abc/:p", "GET /a b/あ"}
	everywhere(t, func(t *testing.T, s *stack) {
		s.echoes(routes...)
		stripped := &stack{Handler: http.StripPrefix("/api", s)}
		for _, test := range tests {
			assert.Equal(t, test[1], outcome(s.do("GET", test[0])), test[0])
			assert.Equal(t, test[1], outcome(stripped.do("GET", "/api"+test[0])), "stripped %s", test[0])
		}
	})
}

// A client may send bytes unescaped that url.URL.EscapedPath would escape, such as bytes above 0x7f.
func TestC23EncodedSlashBesideUnescapedBytes(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		s.echoes("GET /:p", "GET /:p/:q")
		s.askAll(t, [][2]string{
			{"GET /é%2Fb", "200 GET /:p(p=é/b)"},
			{"GET /a|b%2Fc", "200 GET /:p(p=a|b/c)"},
			{`GET /"%2F%2525`, `200 GET /:p(p="/%25)`},
		})
	})
}

func TestC23RawPathOfAnotherPath(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		s.echoes("GET /:p", "GET /:p/:q")
		for _, test := range []struct{ path, rawPath, want string }{
			{"/a/b", "/x%2Fy", "200 GET /:p/:q(p=a,q=b)"},
			{"/a%2Fb", "/x", "200 GET /:p(p=a%2Fb)"},
			{"/a", "/%zz", "200 GET /:p(p=a)"},
			{"/a/b", "/a%2Fb", "200 GET /:p(p=a/b)"},
		} {
			assert.Equal(t, test.want, outcome(s.serve(programmatic("GET", test.path, test.rawPath, ""))), "%q", test)
		}
	})
}

// deep returns a stack with routes and scopes that many paths almost match.
func deep() *stack {
	s := newStack().echoes("GET /", "GET /a/b/c/", "POST /:a/b/:c", "GET /:a/:b/:c/:d/x", "PUT /a/*rest", "GET /*rest",
		"GET /"+strings.Repeat("a/", 300)+"x", "GET "+params(300)+"/x", "POST "+params(30)+"/*rest")
	var ran trail
	for _, scope := range []string{"/", "/a", "/a/b/", "/:a/b", "/:a/:b/", "/*rest", "/a/*rest", params(30) + "/*rest"} {
		s.use(scope, ran.middleware(scope))
		s.after(scope, ran.afterware(scope))
	}
	return s
}

// params returns a path of n params.
func params(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "/:p%d", i)
	}
	return b.String()
}

func TestC24OddRequests(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		s.echoes("GET /a", "GET /:p", "GET /b/", "GET /all/*rest", "GET /"+strings.Repeat("a/", 4999)+"x",
			"GET /deep"+params(500), "POST /deep/*rest")
		long := strings.Repeat("/a", 5000)
		s.askAll(t, [][2]string{
			{"CONNECT host:443", "404"},
			{"CONNECT /a", "405 GET, HEAD, OPTIONS"},
			{"OPTIONS *", "404"},
			{"GET *", "404"},
			{"GET http://host", "404"},
			{"GET mailto:nobody", "400"},
			{"GET /%FF", "200 GET /:p(p=\xff)"},
			{"GET /%00", "200 GET /:p(p=\x00)"},
			{"GET /%C0%AF", "200 GET /:p(p=\xc0\xaf)"},
			{"BREW /a", "405 GET, HEAD, OPTIONS"},
			{"BREW /none/at/all", "404"},
			{"GET " + long, "404"},
			{"GET " + strings.Repeat("/a", 4999) + "/x", "200 GET /" + strings.Repeat("a/", 4999) + "x"},
			{"GET " + strings.Repeat("/a", 4999) + "/x/", "301 " + strings.Repeat("/a", 4999) + "/x"},
			{"GET " + strings.Repeat("/", 5000), "404"},
			{"GET " + strings.Repeat("/..", 5000) + "/b/", "301 /b/"},
			{"GET /deep" + long, "405 OPTIONS, POST"},
			{"GET /all" + long, "200 GET /all/*rest(rest=" + long[1:] + ")"},
			{"GET /" + strings.Repeat("%2F", 5000), "200 GET /:p(p=" + strings.Repeat("/", 5000) + ")"},
		})
		s.echoes("GET /")
		assert.Equal(t, "200 GET /", outcome(s.serve(programmatic("GET", "", "", ""))), "empty path")
		for _, r := range []*http.Request{programmatic("", "", "", ""), programmatic("GE T", "/\x00", "\x00", "\x00"),
			programmatic("GET", "no/slash", "", ""), programmatic("GET", "no/slash", "no%2Fslash", "")} {
			assert.GreaterOrEqual(t, s.serve(r).Code, 200, "%q", r.URL)
		}
	})
}

func TestC24ManySegmentsUnderManyScopes(t *testing.T) {
	s := deep()
	for _, path := range []string{strings.Repeat("/a", 5000), strings.Repeat("/a", 300) + strings.Repeat("/b", 4700),
		strings.Repeat("/a%2F", 5000), strings.Repeat("//..", 5000), strings.Repeat("/a", 301)} {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "OPTIONS"} {
			assert.NotZero(t, outcome(s.do(method, path)), "%s %.20s", method, path)
		}
	}
	assert.Equal(t, http.StatusOK, s.do("GET", strings.Repeat("/b", 300)+"/x").Code)
}

func FuzzC24NeverPanics(f *testing.F) {
	for _, seed := range []string{"/", "", "*", "/a/b/c", "/a//b/../c/", "/x\x00\xff", "host:443", "/a%2Fb", "/%zz", "/%",
		"//", "/./..", "/a/b/c/d/x", "\\", "/é", strings.Repeat("/a", 301)} {
		f.Add("GET", seed, "")
		f.Add("OPTIONS", seed, seed)
		f.Add("B R\x00EW", "/a/b", seed)
	}
	s := deep()
	var status int
	*s.logHandler = func(_ context.Context, w mutil.WriterProxy, _ *http.Request) { status = w.Status() }
	f.Fuzz(func(t *testing.T, method, path, rawPath string) {
		w := s.serve(programmatic(method, path, rawPath, "")) // without a PanicHandler a panic comes through
		require.Equal(t, w.Code, max(status, 200))
		switch w.Code {
		case 200, 204, 301, 307, 404, 405:
		default:
			t.Fatalf("answered %d", w.Code)
		}
	})
}

// TestC24OneVisitForEachNode makes lookups with many alternatives that all fail, and counts the segments that are decoded
// and the patterns that are offered.
func TestC24OneVisitForEachNode(t *testing.T) {
	const depth = 12
	all := func(end string) (patterns []string) { // each segment static or a param
		for bits := range 1 << depth {
			var b strings.Builder
			for i := range depth {
				b.WriteString([]string{"/a", fmt.Sprintf("/:p%d", i)}[bits>>i&1])
			}
			patterns = append(patterns, b.String()+end)
		}
		return patterns
	}
	tests := []struct {
		name     string
		patterns []string
		path     string
		visits   int // nodes whose prefix matches, without the last
		offers   int
	}{
		{"chain", []string{params(depth) + "/x", strings.Repeat("/a", depth) + "/y"},
			strings.Repeat("/a", depth) + "/z", 2*depth + 1, 0},
		{"ladder", all("/x"), strings.Repeat("/a", depth) + "/z", 1<<(depth+1) - 1, 0},
		{"offers", all(""), strings.Repeat("/a", depth), 1<<depth - 1, 1 << depth},
		{"catch-all", append(all("/x"), "/*a", "/a/*b", "/a/:b/*c"), strings.Repeat("/a", depth+1),
			1<<(depth+1) - 1, 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var tree treemux.Tree[string]
			for _, text := range test.patterns {
				pattern, err := treemux.Parse(text)
				require.NoError(t, err)
				tree, _ = tree.With(pattern, func(string) (string, error) { return text, nil })
			}
			visits, offers := 0, map[string]int{}
			_, found := tree.Lookup(test.path, new(treemux.Spans), &treemux.Options[string]{
				Decode: func(segment string) string { visits++; return segment },
				Accept: func(v string) bool { offers[v]++; return false },
			})
			assert.False(t, found)
			assert.LessOrEqual(t, visits, test.visits)
			assert.Len(t, offers, test.offers)
			for pattern, times := range offers {
				assert.Equal(t, 1, times, pattern)
			}
		})
	}
}

func TestC25EveryEndHasItsScopes(t *testing.T) {
	tests := [][2]string{
		{"GET /a", "200 GET /a"},
		{"GET /a/", "301 /a"},
		{"POST //a", "307 /a"},
		{"GET //a", "301 /a"},
		{"GET /none", "404"},
		{"POST /a", "405 GET, HEAD, OPTIONS"},
		{"OPTIONS /a", "204 GET, HEAD, OPTIONS"},
		{"OPTIONS *", "404"},
		{"CONNECT host:443", "404"},
	}
	each(t, func(t *testing.T, s *stack) {
		var ran trail
		s.use("/", ran.middleware("middleware"))
		s.after("/", ran.afterware("afterware"))
		s.use("/", func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ran.add("wrap(")
				next.ServeHTTP(w, r)
				ran.add(")")
			})
		})
		*s.logHandler = func(_ context.Context, w mutil.WriterProxy, _ *http.Request) { ran.add("log %d", w.Status()) }
		s.echoes("GET /a")
		for _, test := range tests {
			method, target, _ := strings.Cut(test[0], " ")
			w := s.do(method, target)
			assert.Equal(t, test[1], outcome(w), test[0])
			assert.Equal(t, fmt.Sprintf("middleware wrap( ) afterware log %d", w.Code), ran.take(), test[0])
		}
	})
}

func TestC25ScopesOfEveryEnd(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		s.use("/in/", ran.middleware("static"))
		s.use("/in/:id", ran.middleware("wild", "id"))
		s.after("/in/:id", ran.afterware("after", "id"))
		s.echoes("GET /in/:x")
		s.notFound(ran.handler("not found"))
		s.methodNotAllowed(ran.handler("not allowed"))
		for _, test := range [][2]string{
			{"GET /in/7/", "static wild(id=7) after(id=7)"},
			{"POST /in/7", "static wild(id=7) not allowed after(id=7)"},
			{"OPTIONS /in/7", "static wild(id=7) after(id=7)"},
			{"GET /in/7/8", "static not found"},
			{"GET /out", "not found"},
		} {
			method, target, _ := strings.Cut(test[0], " ")
			s.do(method, target)
			assert.Equal(t, test[1], ran.take(), test[0])
		}
	})
}

func TestC25MiddlewareHaltsEveryEnd(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		s.use("/", func(_ context.Context, w http.ResponseWriter, _ *http.Request) context.Context {
			w.WriteHeader(http.StatusForbidden)
			return nil
		})
		s.echoes("GET /a")
		s.askAll(t, [][2]string{{"GET /a", "403"}, {"GET /a/", "403"}, {"GET /none", "403"}, {"POST /a", "403"},
			{"OPTIONS /a", "403"}})
	})
}
