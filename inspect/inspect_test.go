package inspect_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/guregu/kami"
	"github.com/guregu/kami/inspect"
	"github.com/guregu/kami/mutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is registered fails if it runs, for nothing runs for a page but what covers it.
func greet(http.ResponseWriter, *http.Request)      { panic("greet has run") }
func missing(http.ResponseWriter, *http.Request)    { panic("missing has run") }
func guess(context.Context) context.Context         { panic("guess has run") }
func count(mutil.WriterProxy, *http.Request)        { panic("count has run") }
func operators(ctx context.Context) context.Context { return ctx }

// recovered returns what f panics with, or nil.
func recovered(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

// ask asks the page in the Mux.
func ask(mux *kami.Mux, query string, headers ...string) *httptest.ResponseRecorder {
	return do(mux, http.MethodGet, "/debug/kami"+query, headers...)
}

// do serves a request with headers, each as "Name: value". It is for localhost if the target names no host.
func do(h http.Handler, method, target string, headers ...string) *httptest.ResponseRecorder {
	r, w := httptest.NewRequest(method, target, nil), httptest.NewRecorder()
	if strings.HasPrefix(target, "/") {
		r.Host = "localhost:8000"
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Add(name, value)
	}
	h.ServeHTTP(w, r)
	return w
}

// each runs a test over a Mux of kami.New and over the default one.
func each(t *testing.T, test func(t *testing.T, mux *kami.Mux)) {
	t.Run("New", func(t *testing.T) { test(t, kami.New()) })
	t.Run("global", func(t *testing.T) {
		kami.Reset()
		t.Cleanup(kami.Reset)
		test(t, kami.Handler().(*kami.Mux))
	})
}

// greeting registers an application and its page.
func greeting(mux *kami.Mux) {
	mux.Use("/hello/", guess)
	mux.Use("/:any/greg/", guess)
	mux.After("/hello/", count)
	mux.Get("/hello/:name/", greet)
	mux.Post("/hello", greet)
	mux.Get("/static/file", greet)
	mux.Use("/debug/", operators)
	mux.Get("/debug/kami", inspect.Handler(mux))
}

var (
	tags  = regexp.MustCompile(`<[^>]*>`)
	place = regexp.MustCompile(`inspect/inspect_test\.go:\d+`)
)

// text returns what is to be read in a part of a page, with PLACE for places in this file.
func text(part string) string {
	plain := html.UnescapeString(tags.ReplaceAllString(part, ""))
	return place.ReplaceAllString(strings.Join(strings.Fields(plain), " "), "PLACE")
}

// section returns the section of the page with the heading that has the id, or "".
func section(page, id string) string {
	for part := range strings.SplitSeq(page, "<section") {
		if strings.Contains(part, `<h2 id="`+id+`"`) {
			part, _, _ = strings.Cut(part, "</section>")
			return "<section" + part
		}
	}
	return ""
}

func TestExplanation(t *testing.T) {
	each(t, func(t *testing.T, mux *kami.Mux) {
		greeting(mux)
		mux.Use("/:any/greg/", guess)
		mux.NotFound(missing)
		for query, want := range map[string]string{
			"": "",
			"?path=/hello/greg/": "GET /hello/greg/ " +
				"middleware inspect_test.guess PLACE its scope /hello/ covers the path " +
				"middleware inspect_test.guess PLACE its scope /:any/greg/ covers the path, any = hello " +
				"middleware inspect_test.guess PLACE its scope /:any/greg/ covers the path, any = hello " +
				"answer inspect_test.greet PLACE route GET /hello/:name/, name = greg " +
				"afterware inspect_test.count PLACE its scope /hello/ covers the path",
			"?method=HEAD&path=/static/file": "HEAD /static/file " +
				"answer inspect_test.greet PLACE route GET /static/file which answers HEAD too " +
				"No scope covers this request: neither middleware nor afterware runs.",
			"?method=GET&path=/hello": "GET /hello " +
				"answer 405 Method Not Allowed there is no such method here, Allow: OPTIONS, POST " +
				"No scope covers this request: neither middleware nor afterware runs.",
			"?method=OPTIONS&path=/hello": "OPTIONS /hello " +
				"answer 204 No Content the methods that there are, Allow: OPTIONS, POST " +
				"No scope covers this request: neither middleware nor afterware runs.",
			"?method=%20PUT%20&path=%20/nothing%09": "PUT /nothing " +
				"answer 404 Not Found no route matches answered by inspect_test.missing " +
				"No scope covers this request: neither middleware nor afterware runs.",
			"?path=/static/./file?a=b": "GET /static/./file?a=b " +
				"answer 301 Moved Permanently redirects to /static/file?a=b " +
				"No scope covers this request: neither middleware nor afterware runs.",
			"?path=/x/..//hello%252F": "GET /x/..//hello%2F " +
				"middleware inspect_test.guess PLACE its scope /hello/ covers /hello/, the path decoded and cleaned " +
				"answer 404 Not Found no route matches answered by inspect_test.missing " +
				"afterware inspect_test.count PLACE its scope /hello/ covers /hello/, the path decoded and cleaned",
		} {
			w := ask(mux, query)
			assert.Equal(t, http.StatusOK, w.Code, query)
			assert.Equal(t, want, text(section(w.Body.String(), "explanation")), query)
		}
	})
}

func TestTables(t *testing.T) {
	each(t, func(t *testing.T, mux *kami.Mux) {
		greeting(mux)
		mux.Use("/unused", guess)
		page := ask(mux, "").Body.String()
		assert.Equal(t, "Routes "+
			"A pattern explains its request; one with params fills the box for you to give them values. "+
			"MethodPatternHandlerRegistered at "+
			"GET/debug/kamiinspect.handlerPLACE POST/helloinspect_test.greetPLACE "+
			"GET/hello/:name/inspect_test.greetPLACE GET/static/fileinspect_test.greetPLACE",
			text(section(page, "routes")))
		assert.Equal(t, "Middleware Runs before the handler, for the requests in its scope. ScopeNameRegistered at "+
			"/debug/inspect_test.operatorsPLACE /hello/inspect_test.guessPLACE "+
			"/unusedinspect_test.guessPLACE /:any/greg/inspect_test.guessPLACE", text(section(page, "middleware")))
		assert.Equal(t, "Afterware Runs after the handler, for the requests in its scope. ScopeNameRegistered at "+
			"/hello/inspect_test.countPLACE", text(section(page, "afterware")))
		assert.Contains(t, text(section(page, "findings")),
			`unused scope PLACE middleware inspect_test.guess for "/unused" covers no route`)
	})
}

func TestNothingRegistered(t *testing.T) {
	each(t, func(t *testing.T, mux *kami.Mux) {
		w := do(inspect.Handler(mux), "GET", "/?path=/x")
		assert.Equal(t, 200, w.Code)
		page := w.Body.String()
		assert.Equal(t, "GET /x answer 404 Not Found no route matches "+
			"No scope covers this request: neither middleware nor afterware runs.", text(section(page, "explanation")))
		assert.Equal(t, "Findings Nothing that is registered looks like a mistake.", text(section(page, "findings")))
		assert.Equal(t, "Routes There are no routes yet.", text(section(page, "routes")))
		assert.Equal(t, "Middleware There is no middleware yet.", text(section(page, "middleware")))
		assert.Equal(t, "Afterware There is no afterware yet.", text(section(page, "afterware")))
		assert.JSONEq(t, `{"routes": [], "scopes": [], "findings": []}`,
			do(inspect.Handler(mux), "GET", "/", "Accept: application/json").Body.String())
	})
}

func TestThousandRoutes(t *testing.T) {
	mux := kami.New()
	for i := range 1000 {
		mux.Get(fmt.Sprintf("/route/%d/:id", i), greet)
	}
	page := do(inspect.Handler(mux), "GET", "/?path=/route/999/7").Body.String()
	assert.Equal(t, 1000, strings.Count(section(page, "routes"), "inspect_test.greet"))
	assert.Contains(t, text(section(page, "explanation")), "route GET /route/999/:id, id = 7")
	assert.Contains(t, text(page), "Routes 1000")
}

// TestLive registers after the page has been made.
func TestLive(t *testing.T) {
	each(t, func(t *testing.T, mux *kami.Mux) {
		page := inspect.Handler(mux)
		assert.NotContains(t, do(page, "GET", "/").Body.String(), "/new")
		mux.Get("/new", greet)
		assert.Contains(t, do(page, "GET", "/").Body.String(), "/new")
	})
}

func TestProblem(t *testing.T) {
	mux := kami.New()
	greeting(mux)
	for query, want := range map[string]struct{ problem, field string }{
		"?path=hello":             {`"hello" is no path of a request`, "path"},
		"?path=":                  {`"" is no path of a request`, "path"},
		"?path=/%25zz":            {`"/%zz" is no path of a request`, "path"},
		"?path=/%00":              {`is no path of a request`, "path"},
		"?method=G+T&path=/hello": {`"G T": a method must be a token`, "method"},
		"?method=G+T&path=hello":  {`"G T": a method must be a token`, "method"},
	} {
		w := ask(mux, query)
		page := w.Body.String()
		assert.Equal(t, http.StatusBadRequest, w.Code, query)
		alert := regexp.MustCompile(`<p class="problem" id="problem" role="alert">(.*)</p>`).FindStringSubmatch(page)
		require.NotNil(t, alert, query)
		assert.Regexp(t, "^No such request can be made. ", text(alert[1]), query)
		assert.Contains(t, text(alert[1]), want.problem, query)
		field := `<input id="` + want.field + `"[^>]* aria-invalid="true" aria-describedby="problem" autofocus>`
		assert.Regexp(t, field, page, query)
		assert.Equal(t, 1, strings.Count(page, "aria-invalid="), query)
		assert.Contains(t, page, "<title>Error: ", query)
		assert.Empty(t, section(page, "explanation"), query)
		assert.NotEmpty(t, section(page, "routes"), query)

		w = ask(mux, query, "Accept: application/json")
		assert.Equal(t, http.StatusBadRequest, w.Code, query)
		var answer struct{ Error string }
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer), query)
		assert.Contains(t, answer.Error, want.problem, query)
	}
}

// TestLinks follows the links of routes: they explain the route, or fill the box.
func TestLinks(t *testing.T) {
	mux := kami.New()
	page := inspect.Handler(mux)
	direct := map[string]string{ // the pattern, and the path that it explains
		"/": "/", "/a": "/a", "/b/": "/b/", "/a b+c&d=e": "/a%20b+c&d=e", "/é": "/%C3%A9", "/%41": "/%2541",
		"/<b>":            "/%3Cb%3E",
		`/\:a/\*b/\\c/\d`: `/:a/*b/%5Cc/%5Cd`, "/\u202e": "/%E2%80%AE", "/\xff": "/%FF", `/"'`: "/%22%27",
	}
	filled := map[string]string{
		"/x/:id": "/x/:id", "/x/a b/:id": "/x/a%20b/:id", "/y/*rest": "/y/*rest", "/z/:": "/z/:", "/z/:id/*": "/z/:id/*",
	}
	for _, patterns := range []map[string]string{direct, filled} {
		for pattern := range patterns {
			mux.Post(pattern, greet)
		}
	}
	links, a := make(map[string]string), regexp.MustCompile(`<a href="([^"]*)"><code>(.*)</code></a>`)
	for _, link := range a.FindAllStringSubmatch(do(page, "GET", "/").Body.String(), -1) {
		links[html.UnescapeString(link[2])] = html.UnescapeString(link[1])
	}
	explained, filling := make(map[string]string), make(map[string]string)
	for route := range mux.Routes() {
		text := route.Pattern
		if text == "/\u202e" || text == "/\xff" {
			text = strconv.Quote(text)
		}
		require.Contains(t, links, text)
		u, err := url.Parse("/" + links[text])
		require.NoError(t, err)
		assert.Equal(t, "POST", u.Query().Get("method"))
		if fill := u.Query().Get("fill"); fill != "" {
			filling[route.Pattern] = fill
			page := do(page, "GET", u.String()).Body.String()
			assert.Contains(t, page, `aria-describedby="fill" autofocus>`)
			assert.Empty(t, section(page, "explanation"))
			continue
		}
		path := u.Query().Get("path")
		explained[route.Pattern] = path
		e, err := mux.Explain("POST", path)
		require.NoError(t, err)
		assert.Equal(t, &route, e.Route)
	}
	assert.Equal(t, direct, explained)
	assert.Equal(t, filled, filling)
}

func TestJSON(t *testing.T) {
	each(t, func(t *testing.T, mux *kami.Mux) {
		greeting(mux)
		for _, accept := range []string{
			"application/json", "text/html;q=0.5, Application/JSON;q=0.9", ";, application/json",
		} {
			w := ask(mux, "?path=/hello/greg/", "Accept: text/plain", "Accept: "+accept)
			assert.Equal(t, "application/json", w.Header().Get("Content-Type"), accept)
			e, err := mux.Explain("GET", "/hello/greg/")
			require.NoError(t, err)
			want, err := json.Marshal(e)
			require.NoError(t, err)
			assert.JSONEq(t, string(want), w.Body.String(), accept)
		}
		var all struct {
			Routes   []kami.Route
			Scopes   []kami.Scope
			Findings []kami.Finding
		}
		mux.Use("/unused", guess)
		require.NoError(t, json.Unmarshal(ask(mux, "?fill=/x", "Accept: application/json").Body.Bytes(), &all))
		assert.Len(t, all.Routes, 4)
		assert.Len(t, all.Scopes, 5)
		assert.Equal(t, mux.Check(), all.Findings)
		for _, accept := range []string{
			"", "*/*", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/jsonp",
		} {
			w := ask(mux, "", "Accept: "+accept)
			assert.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"), accept)
		}
	})
}

func TestHeaders(t *testing.T) {
	mux := kami.New()
	page := inspect.Handler(mux)
	for name, w := range map[string]*httptest.ResponseRecorder{
		"page": do(page, "GET", "/"), "problem": do(page, "GET", "/?path=x"), "HEAD": do(page, "HEAD", "/"),
		"JSON": do(page, "GET", "/", "Accept: application/json"), "405": do(page, "POST", "/"),
		"403": do(page, "GET", "/", "Sec-Fetch-Site: cross-site"), "421": do(inspect.Handler(mux), "GET", "http://evil.example/"),
	} {
		csp := w.Header().Get("Content-Security-Policy")
		assert.Regexp(t, `^default-src 'none'; style-src 'sha256-[^']+'; img-src data:; `+
			`form-action 'self'; base-uri 'none'; frame-ancestors 'none'$`, csp, name)
		assert.Equal(t, "no-store", w.Header().Get("Cache-Control"), name)
		assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"), name)
		assert.Equal(t, "no-referrer", w.Header().Get("Referrer-Policy"), name)
		assert.Equal(t, "same-origin", w.Header().Get("Cross-Origin-Resource-Policy"), name)
		assert.Equal(t, "Accept", w.Header().Get("Vary"), name)
	}
	w := do(page, "GET", "/")
	assert.True(t, strings.HasPrefix(w.Body.String(), "<!doctype html>\n"), "no quirks")
	_, style, _ := strings.Cut(w.Body.String(), "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	assert.Contains(t, w.Header().Get("Content-Security-Policy"), base64.StdEncoding.EncodeToString(sum[:]))
}

// TestMethods mounts the page in ways that let other methods through.
func TestMethods(t *testing.T) {
	page := inspect.Handler(kami.New())
	plain, post := http.NewServeMux(), kami.New()
	plain.Handle("/debug/kami", page)
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "BREW"} {
		post.Handle(method, "/debug/kami", page)
		for name, h := range map[string]http.Handler{"alone": page, "in net/http": plain, "in kami": post} {
			w := do(h, method, "/debug/kami")
			switch method {
			case "GET":
				assert.Equal(t, 200, w.Code, name)
				assert.Equal(t, fmt.Sprint(w.Body.Len()), w.Header().Get("Content-Length"), name)
			case "HEAD":
				assert.Equal(t, 200, w.Code, name)
				assert.Zero(t, w.Body.Len(), name)
				assert.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"), name)
			default:
				assert.Equal(t, 405, w.Code, "%s %s", method, name)
				assert.Equal(t, "GET, HEAD", w.Header().Get("Allow"), "%s %s", method, name)
				assert.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"), "%s %s", method, name)
			}
		}
	}
}

// TestHosts asks under many names.
func TestHosts(t *testing.T) {
	mux := kami.New()
	page := inspect.Handler(mux, inspect.Hosts("Admin.Example.com.", "192.0.2.7"), inspect.Hosts("2001:DB8::7", "[2001:db8::8]", "intra_net"))
	for host, want := range map[string]bool{
		"localhost": true, "localhost:8000": true, "LocalHost:8000": true, "localhost.": true, "localhost.:8000": true,
		"localhost:": true, "[localhost]": true, "::1:8000": true, // as no browser sends them
		"kami.localhost:80": true,
		"127.0.0.1":         true, "127.0.0.1:8000": true, "127.255.255.254": true, "127.0.0.1.": true,
		"[::1]": true, "[::1]:8000": true, "[0:0::1]": true, "[::ffff:127.0.0.1]": true, "[::ffff:7f00:1]:80": true,
		"admin.example.com": true, "ADMIN.example.COM:443": true, "admin.example.com.": true,
		"192.0.2.7:80": true, "[::ffff:192.0.2.7]": true, "[2001:db8:0::7]:80": true, "[2001:DB8::8]": true, "intra_net": true,

		"": false, ":8000": false, ".": false, "evil.example": false, "evil.example:8000": false, "example.com": false,
		"localhost.evil.example": false, "127.0.0.1.evil.example": false, "admin.example.com.evil.example": false,
		"evil.example:localhost": false, "evillocalhost": false, "xadmin.example.com": false, "x.admin.example.com": false,
		"localhost..": false, "localhost:8000:": false, "localhost:x": false, "user@localhost": false, "localhost/": false,
		"localhost@evil.example": false, "localhost#evil.example": false, "localhost, evil.example": false,
		"::1": false, "[::1": false, "[::1]x": false, "[::2]": false,
		"0.0.0.0": false, "[::]": false, "0": false, "128.0.0.1": false, "192.0.2.8": false, "10.0.0.5:8000": false,
		"127.1": false, "2130706433": false, "0x7f000001": false, "0177.0.0.1": false, "l\u00f6calhost": false, "\u217cocalhost": false,
	} {
		for _, accept := range []string{"text/html", "application/json"} {
			r, w := httptest.NewRequest("GET", "/debug/kami", nil), httptest.NewRecorder()
			r.Host = host
			r.Header.Set("X-Forwarded-Host", "localhost")
			r.Header.Set("Forwarded", "host=localhost")
			r.Header.Set("Host", "localhost")
			r.Header.Set("Accept", accept)
			page.ServeHTTP(w, r)
			if want {
				assert.Equal(t, http.StatusOK, w.Code, "%q", host)
				continue
			}
			assert.Equal(t, http.StatusMisdirectedRequest, w.Code, "%q", host)
			why := refusal(t, w, accept)
			assert.Equal(t, fmt.Sprintf("inspect: the page is not answered for the host %q. "+
				"Ask for it at localhost or, if the host is this server's own, name it in inspect.Hosts.", host), why)
		}
	}
}

// refusal returns the text of an answer that is not the page.
func refusal(t *testing.T, w *httptest.ResponseRecorder, accept string) string {
	t.Helper()
	assert.NotContains(t, w.Body.String(), "/debug/kami")
	if accept != "application/json" {
		assert.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"))
		return strings.TrimSuffix(w.Body.String(), "\n")
	}
	assert.Equal(t, accept, w.Header().Get("Content-Type"))
	var answer struct{ Error string }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
	return answer.Error
}

// TestProtocols asks a server by HTTP/1.0, which may name no host, in absolute form, and by HTTP/2's :authority.
func TestProtocols(t *testing.T) {
	server := httptest.NewUnstartedServer(inspect.Handler(kami.New()))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	for request, want := range map[string]int{
		"GET / HTTP/1.0\r\n\r\n":                                                               421,
		"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n":                                            200,
		"GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n":                                 421,
		"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n":                    421,
		"GET https://evil.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n":   421, // RFC 9112, section 3.2.2
		"GET https://localhost:9/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n": 200,
	} {
		conn, err := tls.Dial("tcp", server.Listener.Addr().String(), server.Client().Transport.(*http.Transport).TLSClientConfig)
		require.NoError(t, err)
		_, err = io.WriteString(conn, request)
		require.NoError(t, err)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err, request)
		assert.Equal(t, want, response.StatusCode, request)
		require.NoError(t, conn.Close())
	}
	for host, want := range map[string]int{"localhost:1": 200, "evil.example": 421} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL, nil)
		require.NoError(t, err)
		r.Host = host
		response, err := server.Client().Do(r)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, 2, response.ProtoMajor)
		assert.Equal(t, want, response.StatusCode, host)
	}
}

// TestSites asks as browsers do for pages of other sites.
func TestSites(t *testing.T) {
	page := inspect.Handler(kami.New())
	for site, want := range map[string]int{
		"": 200, "none": 200, "same-origin": 200,
		"same-site": 403, "cross-site": 403, "Same-Origin": 403, "same-origin, cross-site": 403, "x": 403,
	} {
		for _, accept := range []string{"text/html", "application/json"} {
			w := do(page, "GET", "/", "Sec-Fetch-Site: "+site, "Accept: "+accept)
			assert.Equal(t, want, w.Code, site)
			if want == 403 {
				assert.Equal(t, fmt.Sprintf("inspect: the page is not answered for other sites (Sec-Fetch-Site: %q). "+
					"Type or paste its address into the browser.", site), refusal(t, w, accept))
			}
		}
	}
}

func TestHostsRefuses(t *testing.T) {
	for _, name := range []string{
		"", ".", "https://admin.example.com", "admin.example.com:8000", "localhost:8000", "[::1]:8000", "*.example.com", "*",
		"admin.example.com/", "b\u00fccher.example", "a b", "user@admin", "a,b",
	} {
		assert.Equal(t, fmt.Sprintf("inspect: Hosts: %q is no name of a host, such as admin.example.com or 192.0.2.1", name),
			recovered(func() { inspect.Hosts("localhost", name) }), name)
	}
	assert.Equal(t, "inspect: Handler: an option must not be nil", recovered(func() { inspect.Handler(kami.New(), nil) }))
	assert.NotPanics(t, func() { inspect.Handler(kami.New(), inspect.Hosts()) })
}

// TestGuard has Check report the page where nothing but "/" guards it.
func TestGuard(t *testing.T) {
	each(t, func(t *testing.T, mux *kami.Mux) {
		mux.Get("/debug/kami", inspect.Handler(mux))
		found := func() (problems []string) {
			for _, f := range mux.Check() {
				problems = append(problems, f.Problem+": "+f.Text)
			}
			return problems
		}
		unguarded := []string{
			`unguarded page: GET "/debug/kami" shows all routes and scopes, and only what runs for all paths may guard it`,
		}
		assert.Equal(t, unguarded, found())
		mux.Use("/", operators)
		assert.Equal(t, unguarded, found(), "/ is for everybody")
		mux.After("/debug/", count)
		assert.Equal(t, unguarded, found(), "afterware is too late")
		mux.Use("/debug/", operators)
		assert.Empty(t, found())
	})
}

func TestRefusals(t *testing.T) {
	for want, mux := range map[string]http.Handler{
		"inspect: Handler: the mux must be a *kami.Mux, not <nil>":            nil,
		"inspect: Handler: the mux must be a *kami.Mux, not a nil one":        (*kami.Mux)(nil),
		"inspect: Handler: the mux must be a *kami.Mux, not *http.ServeMux":   http.NewServeMux(),
		"inspect: Handler: the mux must be a *kami.Mux, not inspect.handler":  inspect.Handler(kami.New()),
		"inspect: Handler: the mux must be a *kami.Mux, not http.HandlerFunc": http.HandlerFunc(greet),
	} {
		assert.Equal(t, want, recovered(func() { inspect.Handler(mux) }))
	}
	assert.NotPanics(t, func() { inspect.Handler(kami.Handler()) })
	assert.NotPanics(t, func() { inspect.Handler(new(kami.Mux)) })
}

// TestOtherMux has the page of one Mux in another one, which net/http mounts under a prefix.
func TestOtherMux(t *testing.T) {
	app, admin, server := kami.New(), kami.New(), http.NewServeMux()
	greeting(app)
	admin.Get("/kami", inspect.Handler(app))
	server.Handle("/admin/", http.StripPrefix("/admin", admin))
	page := do(server, "GET", "/admin/kami?path=/static/file").Body.String()
	assert.Contains(t, text(section(page, "explanation")), "route GET /static/file")
	assert.NotRegexp(t, `(href|action)="/`, page, "links are relative to wherever it is")
}
