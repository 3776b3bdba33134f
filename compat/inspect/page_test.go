package inspect_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/compat/browser"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/inspect"
	"github.com/guregu/kami/mutil"
)

var (
	screenshot = flag.String("screenshot", "", "the `file` to write a picture of the page to")
	pictured   = flag.String("page", "", "the `URL` of the page to take it of, if not the test's own, which is large")
	queried    = flag.String("query", "method=GET&path=/hello/greg", "the `query` of the page")
	wide       = flag.Int64("width", 1200, "how wide the picture is, in `pixels`")
	scheming   = flag.String("scheme", "light", "the `scheme` of its colours, light or dark")
)

func guess(ctx context.Context) context.Context        { return ctx }
func operators(ctx context.Context) context.Context    { return ctx }
func greet(http.ResponseWriter, *http.Request)         {}
func count(w mutil.WriterProxy, r *http.Request)       {}
func hostile(w http.ResponseWriter, r *http.Request)   {}
func greetings(w http.ResponseWriter, r *http.Request) {}
func unguarded(ctx context.Context) context.Context    { return ctx }

// application has the page, and other routes and scopes.
func application() *kami.Mux {
	mux := kami.New()
	mux.Use("/hello/", guess)
	mux.After("/hello/:name", count)
	mux.Get("/hello", greetings)
	mux.Get("/hello/:name", greet)
	mux.Use("/debug/", operators)
	mux.Get("/debug/kami", inspect.Handler(mux))
	return mux
}

// script is a script that must never run. The test would notice it.
const script = "alert(document.hit=1)"

// hostileApplication has routes and scopes that would run script if they were not escaped, and long ones that would make a line
// wider than the page.
func hostileApplication() *kami.Mux {
	mux := application()
	mux.Use("/unused", unguarded)
	mux.Use("/:<img src=x onerror="+script+">/", unguarded)
	mux.After(`/*"'><svg onload=`+script+">", count)
	for _, pattern := range []string{
		"/<script>" + script + "</script>", `/"onmouseover="` + script, "/'autofocus onfocus='" + script,
		"/javascript:" + script, "/</title></style><img src=x onerror=" + script + ">",
		"/:<iframe src=javascript:" + script + ">", "/{{.}}", "/\xff\u202e\u2066\x00", "/&lt;&#60;", "/`${" + script + "}`",
		"/" + strings.Repeat("long", 100) + "/" + strings.Repeat("界", 100),
	} {
		mux.Get(pattern, hostile)
		mux.Post(pattern, hostile) // whose messages have names
	}
	mux.Handle(strings.Repeat("LONG", 20), "/"+strings.Repeat("long", 100), hostile)
	return mux
}

// A part of a large application: its middleware, handlers and endpoints.
type (
	store[T any] struct{}
	question     struct {
		ID int64 `path:"id"`
	}
)

func (store[T]) list(http.ResponseWriter, *http.Request)                          {}
func (store[T]) create(http.ResponseWriter, *http.Request)                        {}
func (store[T]) Find(context.Context, question) (*T, error)                       { return nil, nil }
func (store[T]) Change(context.Context, question) (T, error)                      { return *new(T), nil }
func (store[T]) remove(context.Context, http.ResponseWriter, *http.Request) error { return nil }
func (store[T]) load(ctx context.Context, _ http.ResponseWriter, _ *http.Request) context.Context {
	return ctx
}

// account is a stored account.
type account struct{ Name string }

// largeApplication has 302 routes and 60 scopes.
func largeApplication() *kami.Mux {
	mux := application()
	mux.Use("/", http.HandlerFunc(greet))
	mux.After("/", count)
	mux.Use("/old/", http.RedirectHandler("/login", http.StatusFound))
	var accounts store[account]
	names := strings.Fields("users orgs teams projects issues comments labels milestones files images invoices payments " +
		"plans coupons events webhooks tokens sessions devices alerts reports exports imports audits flags")
	for i, name := range names {
		for _, at := range []string{"/api/" + name, "/" + name} {
			mux.Get(at, accounts.list)
			mux.Post(at, accounts.create)
			mux.Get(at+"/:id", endpoint.JSON(accounts.Find))
			mux.Put(at+"/:id", endpoint.JSON(accounts.Change))
			mux.Delete(at+"/:id", accounts.remove)
			if i < 24 {
				mux.Get(at+"/:id/history/*page", accounts.list)
			}
		}
		mux.Use("/"+name+"/:id", accounts.load)
		mux.Use("/"+name+"/:id/", accounts.load)
		if i < 4 {
			mux.After("/api/"+name+"/:id/history/", count)
		}
	}
	mux.Get("/old/*path", greet)
	return mux
}

// serve serves an application over loopback, and returns the page's URL.
func serve(t *testing.T, mux http.Handler) string {
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL + "/debug/kami"
}

// explaining returns the page's URL with the question.
func explaining(page, method, path string) string {
	return page + "?" + url.Values{"method": {method}, "path": {path}}.Encode()
}

func TestPage(t *testing.T) {
	b := browser.Start(t)
	page := serve(t, application())
	noScript := call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	t.Run("asked by keyboard", func(t *testing.T) { askByKeyboard(open(t, b), page) })
	t.Run("without JavaScript", func(t *testing.T) { askByKeyboard(open(t, b, noScript), page) })
	t.Run("order of tabs", func(t *testing.T) { tabs(open(t, b), page) })
	t.Run("links", func(t *testing.T) { links(open(t, b), page) })
	t.Run("large", func(t *testing.T) { large(open(t, b, noScript), serve(t, largeApplication())) })
	t.Run("accessible names", func(t *testing.T) { names(open(t, b), page) })
	t.Run("complaints are heard", func(t *testing.T) { complaints(open(t, b)) })
	t.Run("hostile", func(t *testing.T) { inert(open(t, b), serve(t, hostileApplication())) })
	t.Run("looks", func(t *testing.T) { looks(open(t, b), serve(t, hostileApplication())) })
}

const (
	focused = `(e => [e.localName, e.id || e.innerText.trim()].join(" "))(document.activeElement)`
	answer  = `[...document.querySelectorAll(".flow > li")].map(e => e.innerText.replace(/\s+/g, " ").trim())`
)

// askByKeyboard types a path, presses Enter and reads the page, as a person does.
func askByKeyboard(b *tab, page string) {
	b.load(page)
	for evaluate[string](b, focused) != "input path" {
		b.do(chromedp.KeyEvent(kb.Tab))
	}
	b.do(chromedp.KeyEvent("/hello/greg"))
	b.leave(chromedp.KeyEvent(kb.Enter))

	assert.Equal(b, explaining(page, "GET", "/hello/greg"), run(b, chromedp.Location()))
	assert.Equal(b, "GET /hello/greg · kami", run(b, chromedp.Title()))
	assert.Equal(b, "GET /hello/greg", evaluate[string](b, `document.getElementById("explanation").innerText`))
	steps := evaluate[[]string](b, answer)
	require.Len(b, steps, 3)
	for i, want := range []string{
		`middleware inspect_test\.guess PLACE its scope /hello/ covers the path`,
		`answer inspect_test\.greet PLACE route GET /hello/:name, name = greg`,
		`afterware inspect_test\.count PLACE its scope /hello/:name covers the path, name = greg`,
	} {
		assert.Regexp(b, "^"+strings.Replace(want, "PLACE", `inspect/page_test\.go:\d+`, 1)+"$", steps[i])
	}
	assert.Equal(b, "/hello/greg", evaluate[string](b, `document.getElementById("path").value`), "for the next one")
	assert.Empty(b, b.heard())
}

// tabs goes from one element to the next by keyboard.
func tabs(b *tab, page string) {
	b.load(explaining(page, "GET", "/hello/"))
	var order []string
	for range 17 {
		b.do(chromedp.KeyEvent(kb.Tab))
		order = append(order, evaluate[string](b, focused))
		outline := evaluate[string](b, `getComputedStyle(document.activeElement).outlineStyle`)
		assert.NotEqual(b, "none", outline, "the focus on %q is not to be seen", order[len(order)-1])
	}
	assert.Equal(b, []string{
		"a Skip to the content", "a Find", "a Findings 1", "a Routes 3", "a Middleware 2", "a Afterware 1",
		"input method", "input path", "button Explain", "a /hello", "input q", "button Find",
		"a /debug/kami", "a /hello", "a /hello/:name", "a 1 route", "a 1 route",
	}, order)

	b.load(page)
	b.do(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter), chromedp.KeyEvent(kb.Tab))
	assert.Equal(b, "input method", evaluate[string](b, focused), "after the skip link")
	assert.Empty(b, b.heard())
}

// links follows the patterns of routes.
func links(b *tab, page string) {
	follow := func(pattern string) {
		b.Helper()
		b.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(
			`[...document.querySelectorAll("table a")].find(a => a.innerText == %q).focus()`, pattern)))
		b.leave(chromedp.KeyEvent(kb.Enter))
	}
	b.load(page)
	follow("/hello")
	assert.Equal(b, explaining(page, "GET", "/hello"), strings.ReplaceAll(run(b, chromedp.Location()), "%2f", "%2F"))
	steps := evaluate[[]string](b, answer)
	require.Len(b, steps, 1)
	assert.Regexp(b, `^answer inspect_test\.greetings .* route GET /hello$`, steps[0])

	follow("/hello/:name")
	assert.Empty(b, evaluate[[]string](b, answer), "the param has no value yet")
	assert.Equal(b, "input path", evaluate[string](b, focused))
	assert.Equal(b, "/hello/:name", evaluate[string](b, "document.activeElement.value"))
	b.do(chromedp.KeyEvent(kb.End + strings.Repeat(kb.Backspace, len(":name")) + "greg"))
	b.leave(chromedp.KeyEvent(kb.Enter))
	assert.Equal(b, explaining(page, "GET", "/hello/greg"), run(b, chromedp.Location()))
	assert.Empty(b, b.heard())
}

// large finds a route among many by keyboard.
func large(b *tab, page string) {
	b.load(page)
	for evaluate[string](b, focused) != "input q" {
		b.do(chromedp.KeyEvent(kb.Tab))
	}
	b.do(chromedp.KeyEvent("delete api/users"))
	b.leave(chromedp.KeyEvent(kb.Enter))
	assert.Equal(b, page+"?q=delete+api%2Fusers#find", run(b, chromedp.Location()))
	const patterns = `[...document.querySelectorAll(".routes a")].map(a => a.innerText)`
	assert.Equal(b, []string{"/api/users/:id"}, evaluate[[]string](b, patterns))
	status := b.accessible("status")
	assert.Len(b, status, 1)
	told := evaluate[string](b, `document.querySelector("[role=status]").innerText`)
	assert.Regexp(b, `^1 of 302 routes, 0 of 60 scopes, 0 of \d+ findings\. Show all$`, told)
	assert.Equal(b, "delete api/users", evaluate[string](b, `document.getElementById("q").value`), "for the next one")

	follow := func(selector, text string) {
		b.Helper()
		b.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(
			`[...document.querySelectorAll(%q)].find(a => a.innerText == %q).focus()`, selector, text)))
		b.leave(chromedp.KeyEvent(kb.Enter))
	}
	follow("main a", "Show all")
	assert.Len(b, evaluate[[]string](b, patterns), 302)
	for group, want := range map[string]float64{"/api/users 6": 6, "/teams 6": 6, "/debug 1": 1} {
		b.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(
			`location = [...document.querySelectorAll(".index a")].find(a => a.innerText == %q).href`, group)))
		const below = `(h => [h.innerText, h.closest("tbody").rows.length - 1])(document.querySelector(":target"))`
		assert.Equal(b, []any{group, want}, evaluate[[]any](b, below))
	}

	b.load(page)
	b.do(chromedp.Evaluate[chromedp.Void](`[...document.querySelectorAll(".scopes tr")].find(
		r => r.cells[0].innerText == "/users/:id/").querySelector("a").focus()`))
	b.leave(chromedp.KeyEvent(kb.Enter))
	assert.Equal(b, []string{"/users/:id/history/*page"}, evaluate[[]string](b, patterns))
	assert.Equal(b, "Routes covered by /users/:id/", evaluate[string](b, `document.querySelector(":target").innerText`))
	assert.Empty(b, b.heard())
}

// names reads the page as a screen reader does.
func names(b *tab, page string) {
	all := []string{"banner", "navigation", "main", "contentinfo", "form", "region", "heading", "table", "columnheader",
		"combobox", "textbox", "button", "alert", "search", "searchbox", "status"}
	b.load(explaining(page, "GET", "/hello/greg"))
	want := []string{
		"banner:", "main:", "contentinfo:", "heading level 1: kami what runs, and why", "navigation: On this page",
		"form: Explain a request", "region: GET /hello/greg",
		"heading level 2: Find", "search: Find", "searchbox: Words to look for", "button: Find",
		"region: Findings", "region: Routes", "region: Middleware", "region: Afterware",
		"heading level 2: Explain a request", "combobox: Method", "textbox: Path", "button: Explain",
		"heading level 2: GET /hello/greg", "heading level 2: Findings", "heading level 2: Routes",
		"table: Routes (Click a pattern to explain it.)",
		"heading level 2: Middleware", "table: Middleware (Runs before the handler, for the requests in its scope.)",
		"heading level 2: Afterware", "table: Afterware (Runs after the handler, for the requests in its scope.)",
		"columnheader: Method", "columnheader: Pattern", "columnheader: Handler", "columnheader: Registered at",
		"columnheader: Scope", "columnheader: Name", "columnheader: Covers", "columnheader: Registered at",
		"columnheader: Scope", "columnheader: Name", "columnheader: Covers", "columnheader: Registered at",
	}
	assert.ElementsMatch(b, want, b.accessible(all...))
	assert.Len(b, b.accessible("row"), 3+2+1+3)
	assert.Len(b, b.accessible("rowheader"), 3+2+1)
	assert.Len(b, b.accessible("listitem"), 5+3+1)
	assert.Equal(b, "en", evaluate[string](b, "document.documentElement.lang"))

	b.do(chromedp.EmulateViewport(320, 640))
	assert.ElementsMatch(b, want, b.accessible(all...), "where it is narrow")
	assert.Len(b, b.accessible("rowheader"), 3+2+1, "where it is narrow")
	assert.Empty(b, b.heard())

	const noRequest = `No such request can be made. `
	const noPath = noRequest + `"hello" is no path of a request (RFC 9112, section 3.2): invalid URI for request`
	b.load(explaining(page, "GET", "hello"))
	assert.Contains(b, b.accessible(all...), "textbox invalid true: Path ("+noPath+")")
	assert.Contains(b, b.accessible(all...), "alert:")
	assert.Equal(b, "input path", evaluate[string](b, focused))
	assert.Equal(b, noPath, evaluate[string](b, `document.querySelector("[role=alert]").innerText`))

	b.load(explaining(page, "NO METHOD", "/hello"))
	assert.Contains(b, strings.Join(b.accessible("combobox"), "\n"), "combobox invalid true: Method ("+noRequest)
	assert.Equal(b, "input method", evaluate[string](b, focused))
}

// complaints checks that the tests above would notice the browser's messages.
func complaints(b *tab) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'unsafe-inline'")
		fmt.Fprint(w, `<!doctype html><style>p {}</style><script>console.error("x"); nothing()</script>`)
	}))
	b.Cleanup(server.Close)
	b.load(server.URL)
	heard := strings.Join(b.heard(), "\n")
	for _, complaint := range []string{"issue: ContentSecurityPolicyIssue", "console: error", "exception: Uncaught"} {
		assert.Contains(b, heard, complaint)
	}
}

// inert asks for paths that would run a script if they were not escaped.
func inert(b *tab, page string) {
	skeleton := func() []string {
		return evaluate[[]string](b, `[...new Set([...document.querySelectorAll("*")].map(
			e => [e.localName, ...[...e.attributes].map(a => a.name)].join(" ")))].sort()`)
	}
	b.load(explaining(page, "GET", "/hello"))
	known := skeleton()
	for _, problem := range []string{
		explaining(page, "GET", "hello"), explaining(page, "NO METHOD", "/hello"), page + "?under=x", page + "?q=<script>",
	} {
		b.load(problem)
		known = append(known, skeleton()...)
	}
	for _, path := range []string{
		`/"><script>` + script + `</script>`, `"><script>` + script + `</script>`, `" autofocus onfocus="` + script,
		"javascript:" + script, "/</title><img src=x onerror=" + script + ">", "/x/../<svg onload=" + script + ">",
		"/%3Cscript%3E" + script, "/\xff\u202e\x00",
	} {
		for _, method := range []string{"GET", `"><script>` + script + "</script>"} {
			b.load(explaining(page, method, path))
			assert.Subset(b, known, skeleton(), "elements and attributes for %s %q", method, path)
			b.load(page + "?" + url.Values{"q": {path}, "under": {method}}.Encode())
			assert.Subset(b, known, skeleton(), "elements and attributes for the scope %q and the words %q", method, path)
			b.load(page + "?" + url.Values{"under": {path}}.Encode())
			assert.Subset(b, known, skeleton(), "elements and attributes for the scope %q", path)
		}
	}
	assert.True(b, evaluate[bool](b, `document.hit === undefined && document.scripts.length === 0`))
	assert.True(b, evaluate[bool](b, `[...document.querySelectorAll("a")].every(a => a.origin === location.origin)`))
	for _, complaint := range b.heard() {
		// The browser logs that a page has the status 400.
		assert.Contains(b, complaint, "status of 400 (Bad Request)")
	}
}

// contrasts lists each text whose contrast with its background is below WCAG's level AA, and each border of a field whose contrast
// is below the limit for borders. The number of elements that it has checked comes first.
const contrasts = `(() => {
	const rgba = c => { const [r, g, b, a = 1] = c.match(/[\d.]+/g).map(Number); return {r, g, b, a} }
	const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4
	const luminance = c => 0.2126 * linear(c.r / 255) + 0.7152 * linear(c.g / 255) + 0.0722 * linear(c.b / 255)
	const ratio = (a, b) => {
		const [dark, light] = [luminance(rgba(a)), luminance(rgba(b))].sort((x, y) => x - y)
		return (light + 0.05) / (dark + 0.05)
	}
	const behind = e => {
		const colour = getComputedStyle(e).backgroundColor
		return rgba(colour).a === 1 ? colour : behind(e.parentElement)
	}
	const found = []
	let looked = 0
	const check = (what, colour, background, least) => {
		looked++
		const r = ratio(colour, background)
		if (rgba(colour).a !== 1 || !(r >= least)) found.push([what, colour, "on", background, "is", r].join(" "))
	}
	const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
	while (texts.nextNode()) {
		const e = texts.currentNode.parentElement
		if (texts.currentNode.data.trim() && e.getClientRects().length) {
			check(texts.currentNode.data, getComputedStyle(e).color, behind(e), 4.5)
		}
	}
	for (const e of document.querySelectorAll("input")) {
		check("input", getComputedStyle(e).color, behind(e), 4.5)
		check("placeholder", getComputedStyle(e, "::placeholder").color, behind(e), 4.5)
		check("border", getComputedStyle(e).borderTopColor, behind(e.parentElement), 3)
	}
	check("focus", getComputedStyle(document.querySelector(".mark")).color, behind(document.querySelector("form")), 3)
	return [String(looked), ...found]
})()`

// looks measures the page in light and dark, wide and narrow.
func looks(b *tab, page string) {
	colours := make(map[string]bool)
	for _, url := range []string{
		page, page + "?q=hello", page + "?under=/:any/&q=get", page + "?under=x", serve(b.T, largeApplication()),
		page + "?fill=/hello/:name", page + "?path=" + strings.Repeat("long", 5000), explaining(page, "GET", "/x/..//hello%2Fgreg"),
		explaining(page, "HEAD", "/hello/greg"), explaining(page, "PUT", "/hello/greg"),
		explaining(page, "GET", "hello"), explaining(page, "GET", "/"+strings.Repeat("long", 500)),
	} {
		b.load(url)
		for _, name := range []string{"light", "dark"} {
			b.do(scheme(name))
			colours[name+" "+evaluate[string](b, `getComputedStyle(document.body).backgroundColor`)] = true
			checked := evaluate[[]string](b, contrasts)
			assert.NotEqual(b, "0", checked[0])
			assert.Empty(b, checked[1:], "contrasts of %s when it is %s", url, name)
		}
		for _, width := range []int64{320, 500, 700, 1200} {
			b.do(chromedp.EmulateViewport(width, 640))
			assert.LessOrEqual(b, evaluate[int64](b, `document.documentElement.scrollWidth`), width, "of %s", url)
			const cut = `[...document.querySelectorAll("main *, header *")].
				filter(e => e.getBoundingClientRect().right > innerWidth).map(e => e.outerHTML)`
			assert.Empty(b, evaluate[[]string](b, cut), "elements beyond the page's %d px for %s", width, url)
		}
	}
	assert.Len(b, colours, 2, "one colour for each scheme: %v", colours)
}

func TestScreenshot(t *testing.T) {
	if *screenshot == "" {
		t.Skip("-screenshot has the file to write")
	}
	page := *pictured
	if page == "" {
		page = serve(t, largeApplication())
	}
	b := open(t, browser.Start(t), scheme(*scheming), chromedp.EmulateViewport(*wide, 100))
	b.load(page + "?" + *queried)
	picture := run(b, chromedp.FullScreenshot(100))
	config, err := png.DecodeConfig(bytes.NewReader(picture))
	require.NoError(t, err)
	assert.Equal(t, int(*wide), config.Width)
	require.NoError(t, os.WriteFile(*screenshot, picture, 0o644))
}
