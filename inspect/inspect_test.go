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
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/inspect"
	"github.com/guregu/kami/mutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The registered functions panic, except for operators, which covers the page. So a test fails if a page runs one of them.
func greet(http.ResponseWriter, *http.Request)      { panic("greet has run") }
func missing(http.ResponseWriter, *http.Request)    { panic("missing has run") }
func guess(context.Context) context.Context         { panic("guess has run") }
func count(mutil.WriterProxy, *http.Request)        { panic("count has run") }
func operators(ctx context.Context) context.Context { return ctx }

// recovered returns the value with which f panics, or nil.
func recovered(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

// ask sends a GET request with a query to the page of a Mux.
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

// each runs a test with a Mux of kami.New and with the default one.
func each(t *testing.T, test func(t *testing.T, mux *kami.Mux)) {
	t.Run("New", func(t *testing.T) { test(t, kami.New()) })
	t.Run("global", func(t *testing.T) {
		kami.Reset()
		t.Cleanup(kami.Reset)
		test(t, kami.Handler().(*kami.Mux))
	})
}

// greeting registers a small application and its page.
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

// text returns the visible text of a part of a page, with PLACE for places in this file.
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
				"middleware inspect_test.guess PLACE its scope /hello/ covers /hello/, the path cleaned and decoded " +
				"answer 404 Not Found no route matches answered by inspect_test.missing " +
				"afterware inspect_test.count PLACE its scope /hello/ covers /hello/, the path cleaned and decoded",
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
			"Click a pattern to explain it. "+
			"MethodPatternHandlerRegistered at "+
			"GET/debug/kamiinspect.handlerPLACE POST/hello message helloinspect_test.greetPLACE "+
			"GET/hello/:name/inspect_test.greetPLACE GET/static/fileinspect_test.greetPLACE",
			text(section(page, "routes")))
		assert.Equal(t, "Middleware Runs before the handler, for the requests in its scope. ScopeNameCoversRegistered at "+
			"/debug/inspect_test.operators1 routePLACE /hello/inspect_test.guess1 routePLACE "+
			"/unusedinspect_test.guessno routePLACE /:any/greg/inspect_test.guess1 routePLACE", text(section(page, "middleware")))
		assert.Equal(t, "Afterware Runs after the handler, for the requests in its scope. ScopeNameCoversRegistered at "+
			"/hello/inspect_test.count1 routePLACE", text(section(page, "afterware")))
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

// TestReadOnly checks that the page marks middleware that halts only by a status of 400 or more, or a hijack.
func TestReadOnly(t *testing.T) {
	mux := kami.New()
	mux.Use("/x/", operators)
	mux.After("/x/", greet)
	mux.Get("/x/y", greet)
	page := do(inspect.Handler(mux), "GET", "/?path=/x/y").Body.String()
	assert.NotContains(t, text(page), "read only")
	mux.Use("/x/", greet)
	page = do(inspect.Handler(mux), "GET", "/?path=/x/y").Body.String()
	assert.Equal(t, "GET /x/y "+
		"middleware inspect_test.operators PLACE its scope /x/ covers the path "+
		"middleware inspect_test.greet read only PLACE its scope /x/ covers the path "+
		"answer inspect_test.greet PLACE route GET /x/y "+
		"afterware inspect_test.greet PLACE its scope /x/ covers the path", text(section(page, "explanation")))
	assert.Equal(t, "Middleware Runs before the handler, for the requests in its scope. Where it is marked read only, it halts "+
		"only if it answers with a status of 400 or more, or hijacks the connection: a redirect does not keep the handler from running. "+
		"ScopeNameCoversRegistered at /x/inspect_test.operators1 routePLACE /x/inspect_test.greet read only1 routePLACE",
		text(section(page, "middleware")))
	assert.NotContains(t, text(section(page, "afterware")), "read only")
}

// divide is a function for an endpoint.
func divide(context.Context, struct{ A, B int }) (*url.Error, error) { return nil, nil }

func TestEndpoint(t *testing.T) {
	mux := kami.New()
	mux.Post("/divide", endpoint.JSON(divide))
	page := do(inspect.Handler(mux), "GET", "/?method=POST&path=/divide").Body.String()
	assert.Contains(t, text(section(page, "routes")), "POST/divide message divideinspect_test.divide(struct{…}) *ErrorPLACE")
	assert.Contains(t, text(section(page, "explanation")), "answer inspect_test.divide(struct{…}) *Error PLACE route POST /divide")
}

// listed returns the methods and patterns of the routes, the scopes, and the kinds of the findings on a page.
func listed(t *testing.T, page string) (all []string) {
	t.Helper()
	row := regexp.MustCompile(`<tr role="row">(.*)</tr>`)
	for _, id := range []string{"routes", "middleware", "afterware"} {
		for _, cells := range row.FindAllStringSubmatch(section(page, id), -1) {
			cell := regexp.MustCompile(`<t[dh][^>]*>(?:<a[^>]*>)?<code>([^<]*)`).FindAllStringSubmatch(cells[1], 2)
			switch {
			case cell == nil: // the headings
			case id == "routes":
				all = append(all, cell[0][1]+" "+html.UnescapeString(cell[1][1]))
			default:
				all = append(all, id+" "+html.UnescapeString(cell[0][1]))
			}
		}
	}
	for _, found := range regexp.MustCompile(`<li>\s*<p class="what"><strong>([^<]*)`).FindAllStringSubmatch(section(page, "findings"), -1) {
		all = append(all, found[1])
	}
	return all
}

func TestFind(t *testing.T) {
	mux := kami.New()
	greeting(mux)
	mux.Use("/unused/*rest", guess)
	for query, want := range map[string]struct {
		listed []string
		status string
	}{
		"?q=hello": {
			[]string{"POST /hello", "GET /hello/:name/", "middleware /hello/", "afterware /hello/", "uncovered route", "uncovered route"},
			"2 of 4 routes, 2 of 5 scopes, 2 of 3 findings. Show all",
		},
		"?q=+GET%20+HELLO+":  {[]string{"GET /hello/:name/"}, "1 of 4 routes, 0 of 5 scopes, 0 of 3 findings. Show all"},
		"?q=name/+get":       {[]string{"GET /hello/:name/"}, "1 of 4 routes, 0 of 5 scopes, 0 of 3 findings. Show all"},
		"?q=AFTERware":       {[]string{"afterware /hello/", "uncovered route"}, "0 of 4 routes, 1 of 5 scopes, 1 of 3 findings. Show all"},
		"?q=guess+any":       {[]string{"middleware /:any/greg/"}, "0 of 4 routes, 1 of 5 scopes, 0 of 3 findings. Show all"},
		"?q=unused+scope":    {[]string{"unused scope"}, "0 of 4 routes, 0 of 5 scopes, 1 of 3 findings. Show all"},
		"?q=nowhere":         {nil, "0 of 4 routes, 0 of 5 scopes, 0 of 3 findings. Show all"},
		"?q=%00%FF%E2%80%AE": {nil, "0 of 4 routes, 0 of 5 scopes, 0 of 3 findings. Show all"},
		"?under=/hello/": {
			[]string{"GET /hello/:name/", "middleware /debug/", "middleware /hello/", "middleware /:any/greg/", "middleware /unused/*rest",
				"afterware /hello/", "uncovered route", "unused scope", "uncovered route"},
			"1 of 4 routes covered by the scope /hello/. Show all",
		},
		"?under=/:a/:b&q=get": {
			[]string{"GET /debug/kami", "GET /hello/:name/", "GET /static/file"},
			"3 of 4 routes covered by the scope /:a/:b, 0 of 5 scopes, 0 of 3 findings. Show all",
		},
		"?under=/nowhere/&q=get": {nil, "0 of 4 routes covered by the scope /nowhere/, 0 of 5 scopes, 0 of 3 findings. Show all"},
	} {
		page := ask(mux, query).Body.String()
		assert.Equal(t, want.listed, listed(t, page), query)
		status := regexp.MustCompile(`(?s)<p class="hint" role="status">(.*?)</p>`).FindStringSubmatch(page)
		require.NotNil(t, status, query)
		assert.Equal(t, want.status, text(status[1]), query)
		assert.Contains(t, status[1], `<a href="?#find">Show all</a>`)

		var all struct {
			Routes   []kami.Route
			Scopes   []kami.Scope
			Findings []kami.Finding
		}
		require.NoError(t, json.Unmarshal(ask(mux, query, "Accept: application/json").Body.Bytes(), &all))
		var told []string
		for _, r := range all.Routes {
			told = append(told, r.Method+" "+r.Pattern)
		}
		for _, s := range all.Scopes {
			told = append(told, s.Kind+" "+s.Path)
		}
		for _, f := range all.Findings {
			told = append(told, f.Problem)
		}
		assert.Equal(t, want.listed, told, query)
	}
	page := ask(mux, "").Body.String()
	assert.NotContains(t, page, "Show all")
	assert.Len(t, listed(t, page), 4+5+3)
	page = ask(mux, `?q=%22%3Cb%3E`).Body.String()
	assert.Contains(t, page, `<input id="q" name="q" type="search" value="&#34;&lt;b&gt;"`)
}

// TestScopeLinks checks that the links of scopes lead to the routes that they cover.
func TestScopeLinks(t *testing.T) {
	mux := kami.New()
	page := inspect.Handler(mux)
	for _, scope := range []string{"/a/", "/a", "/a b+c&d=e#?/", "/:x/b/", "/*rest", "/unused/", "/\u202e/", "/\xff/"} {
		mux.Use(scope, guess)
		mux.After(scope, guess)
	}
	for _, route := range []string{"/a", "/a/b", "/a b+c&d=e#?/x", "/\u202e/x", "/\xff/x"} {
		mux.Get(route, greet)
	}
	links := regexp.MustCompile(`<a href="(\?under=[^"]*)#routes">(\d+) routes?</a>`)
	found := links.FindAllStringSubmatch(do(page, "GET", "/").Body.String(), -1)
	require.Len(t, found, 2*7)
	followed := make(map[string]string)
	for _, link := range found {
		target, err := url.Parse(html.UnescapeString(link[1]))
		require.NoError(t, err)
		scope := target.Query().Get("under")
		followed[scope] = link[2]
		var told struct{ Routes []kami.Route }
		require.NoError(t, json.Unmarshal(do(page, "GET", "/"+target.String(), "Accept: application/json").Body.Bytes(), &told))
		assert.Equal(t, link[2], fmt.Sprint(len(told.Routes)), scope)
		for _, r := range told.Routes {
			assert.True(t, kami.Scope{Path: strings.ToValidUTF8(scope, "\ufffd")}.Covers(r), scope) // JSON replaces invalid UTF-8
		}
	}
	assert.Equal(t, map[string]string{
		"/a/": "1", "/a": "1", "/a b+c&d=e#?/": "1", "/:x/b/": "1", "/*rest": "5", "/\u202e/": "1", "/\xff/": "1",
	}, followed)
}

// TestGroups checks the groups of routes as the number of routes grows.
func TestGroups(t *testing.T) {
	mux := kami.New()
	page := inspect.Handler(mux)
	group := regexp.MustCompile(`<tr class="group" role="row">(.*)</tr>`)
	groups := func() (names []string) {
		t.Helper()
		body := section(do(page, "GET", "/").Body.String(), "routes")
		for i, found := range group.FindAllStringSubmatch(body, -1) {
			names = append(names, text(found[1]))
			assert.Contains(t, found[1], fmt.Sprintf(`id="group-%d"`, i))
			assert.Contains(t, body, fmt.Sprintf(`<a href="#group-%d">`, i))
		}
		assert.Equal(t, len(names) > 0, strings.Contains(body, `<nav aria-label="First segments">`))
		return names
	}
	for i := range 23 {
		mux.Get(fmt.Sprintf("/api/users/%d", i), greet)
	}
	mux.Get("/", greet)
	assert.Empty(t, groups(), "24 routes")
	mux.Post("/api/users/", greet)
	assert.Equal(t, []string{"/ 1", "/api 24"}, groups())
	mux.Get("/api-x/:id", greet)
	mux.Get("/api", greet)
	assert.Equal(t, []string{"/ 1", "/api 1", "/api/users 24", "/api-x 1"}, groups())
	mux.Get("/:any/*rest", greet)
	mux.Get("/api/users/1/x", greet)
	want := []string{"/ 1", "/:any 1", "/api 1", "/api/users 25", "/api-x 1"}
	assert.Equal(t, want, groups(), "with a segment for nearly each")
	for i := range 30 {
		mux.Handle(fmt.Sprint("M", i), "/same", greet)
	}
	assert.Equal(t, append(want, "/same 30"), groups(), "with nothing to split them by")
	for i := range 30 {
		mux.Get(fmt.Sprintf("/v1/all/%d/%d", i%3, i), greet)
	}
	assert.Equal(t, append(want, "/same 30", "/v1/all/0 10", "/v1/all/1 10", "/v1/all/2 10"), groups())
}

// TestTooLong checks that parameters at the limit of their length are answered, and that longer ones are refused with 414.
func TestTooLong(t *testing.T) {
	mux := kami.New()
	greeting(mux)
	page := inspect.Handler(mux)
	for i := range 60 {
		mux.Use(fmt.Sprintf("/:a%d/", i), operators)
		mux.After("/*all", count)
	}
	small := do(page, "GET", "/").Body.Len()
	for _, name := range []string{"path", "fill", "method", "q", "under"} {
		for _, char := range []string{"a", `"`, "/", "%41", "%2F", "/../", "\xff"} {
			value := ("/" + strings.Repeat(char, longest))[:longest-1]
			values := func(value string) string {
				values := url.Values{name: {value}}
				if name == "method" {
					values.Set("path", "/")
				}
				return "/?" + values.Encode()
			}
			ok := do(page, "GET", values(value))
			assert.Contains(t, []int{200, 400}, ok.Code, "%s of %q", name, char)
			assert.Less(t, ok.Body.Len()-small, 500_000, "%s of %q", name, char)

			query := values(value + "//")
			w := do(page, "GET", query)
			want := fmt.Sprintf("the parameter %s has %d bytes, and may have %d", name, longest+1, longest)
			assert.Equal(t, http.StatusRequestURITooLong, w.Code)
			assert.Less(t, w.Body.Len(), small+1000, "%s of %q", name, char)
			alert := regexp.MustCompile(`<p class="problem" id="problem" role="alert">(.*)</p>`).FindStringSubmatch(w.Body.String())
			require.NotNil(t, alert, name)
			assert.Equal(t, "The question is too long: "+want, text(alert[1]))
			assert.Equal(t, 1, strings.Count(w.Body.String(), ` aria-invalid="true" aria-describedby="problem" autofocus>`))

			w = do(page, "GET", query, "Accept: application/json")
			assert.Equal(t, http.StatusRequestURITooLong, w.Code)
			assert.JSONEq(t, `{"error": "`+want+`"}`, w.Body.String())
		}
	}
}

const longest = 8192 // bytes of a parameter

// TestLive checks that the page has a route that is registered after inspect.Handler.
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
		"?path=/%zz":              {`invalid URL escape "%zz"`, "path"},
		"?path=/x;q=y":            {`invalid semicolon separator in query`, "path"},
		"?under=hello":            {`"hello": a path must begin with "/"`, "q"},
		"?under=/a//b&path=/x":    {`"/a//b": a path must have no empty segment ("//")`, "q"},
	} {
		w := ask(mux, query)
		page := w.Body.String()
		assert.Equal(t, http.StatusBadRequest, w.Code, query)
		alert := regexp.MustCompile(`<p class="problem" id="problem" role="alert">(.*)</p>`).FindStringSubmatch(page)
		require.NotNil(t, alert, query)
		assert.Regexp(t, "^(No such request can be made\\.|There can be no such scope:|The question cannot be read:) ", text(alert[1]), query)
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

// TestLinks checks that the links of routes explain the route, or fill in the field for the path.
func TestLinks(t *testing.T) {
	mux := kami.New()
	page := inspect.Handler(mux)
	direct := map[string]string{ // from patterns to the paths of their links
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

// TestMethods checks that the page answers methods other than GET and HEAD with 405, alone and in muxes that let them through.
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

// TestHosts checks that the page is answered only for local hosts and for the names of inspect.Hosts.
func TestHosts(t *testing.T) {
	mux := kami.New()
	page := inspect.Handler(mux, inspect.Hosts("Admin.Example.com.", "192.0.2.7"), inspect.Hosts("2001:DB8::7", "[2001:db8::8]", "intra_net"))
	for host, want := range map[string]bool{
		"localhost": true, "localhost:8000": true, "LocalHost:8000": true, "localhost.": true, "localhost.:8000": true,
		"localhost:": true, "[localhost]": true, "::1:8000": true, // no browser sends these
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

// TestProtocols checks the host of requests by HTTP/1.0, where it can be missing, in absolute form, and by HTTP/2's :authority.
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

// TestSites checks that the page is not answered if Sec-Fetch-Site says that another site has made the request.
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

// TestGuard checks that Check reports the page if no middleware with a scope other than "/" guards it.
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

// TestOtherMux checks that the page of one Mux works in another one, which net/http mounts under a prefix.
func TestOtherMux(t *testing.T) {
	app, admin, server := kami.New(), kami.New(), http.NewServeMux()
	greeting(app)
	admin.Get("/kami", inspect.Handler(app))
	server.Handle("/admin/", http.StripPrefix("/admin", admin))
	page := do(server, "GET", "/admin/kami?path=/static/file").Body.String()
	assert.Contains(t, text(section(page, "explanation")), "route GET /static/file")
	assert.NotRegexp(t, `(href|action)="/`, page, "links are relative to wherever it is")
}
