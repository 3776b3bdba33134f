package inspect_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/guregu/kami"
	"github.com/guregu/kami/inspect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hostile is a handler whose name, with its type argument, has a tag and other special characters.
type hostile[T any] struct{}

func (hostile[T]) ServeHTTP(http.ResponseWriter, *http.Request) {}

type named = hostile[struct {
	_ int `html:"<script>alert(1)</script>'&\u202e"`
}]

var (
	attribute = regexp.MustCompile(`^\s+([a-zA-Z-]+)(?:="[^"<>]*")?`)
	tagName   = regexp.MustCompile(`^[!/]?[a-z0-9]+`)
	leading   = regexp.MustCompile(`<a [^>]*href="[^?#]`) // a link to another page
	style     = regexp.MustCompile(`(?s)(<style>).*?(</style>)`)
)

// skeletons returns all tags of a page, without the values of their attributes. It fails the test if the page has a
// "<" that begins no tag, or an attribute whose value is not quoted.
func skeletons(t testing.TB, page string) map[string]bool {
	all := make(map[string]bool)
	for part := range strings.SplitSeq(style.ReplaceAllString(page, "$1$2"), "<") {
		tag, content, whole := strings.Cut(part, ">")
		if part == "" {
			continue
		}
		require.True(t, whole, "a tag without an end: <%q", part)
		require.NotContains(t, content, ">", "in what follows <%q", tag)
		name := tagName.FindString(tag)
		rest := tag[len(name):]
		for rest != "" && name != "!doctype" {
			found := attribute.FindStringSubmatch(rest)
			require.NotNil(t, found, "<%q> has %q", tag, rest)
			name += " " + found[1]
			rest = rest[len(found[0]):]
		}
		all[name] = true
	}
	return all
}

// known returns the tags of pages that together have all parts of a page.
func known(t testing.TB) map[string]bool {
	full, all := kami.New(), make(map[string]bool)
	greeting(full)
	full.NotFound(missing)
	full.Get("/unguarded", inspect.Handler(full)) // for a finding
	full.Use("/static/", greet)                   // for the mark "read only"
	for i := range 30 {
		full.Get(fmt.Sprintf("/many/%d", i), greet) // for groups of routes
	}
	for _, mux := range []*kami.Mux{kami.New(), full} {
		for _, query := range []string{
			"", "?fill=/:x", "?path=/hello/greg/", "?path=/x/..//hello%252F", "?path=/nothing", "?path=/static/./file",
			"?path=x", "?method=G+T&path=/", "?method=HEAD&path=/static/file", "?method=PUT&path=/static/file",
			"?under=x", "?q=hello", "?q=nothing&under=/hello/",
		} {
			maps.Copy(all, skeletons(t, do(inspect.Handler(mux), "GET", "/"+query).Body.String()))
		}
	}
	return all
}

// FuzzPage registers handlers with any segment and method, and sends any question to the page. It checks that no input adds a
// tag to the page, and that each character is visible.
func FuzzPage(f *testing.F) {
	for _, s := range []string{
		"<script>alert(1)</script>", `"onmouseover="alert(1)`, "'autofocus onfocus='alert(1)", "javascript:alert(1)",
		"</title><svg onload=alert(1)>", "</style>", "<!--", "]]>", "{{.}}", "&lt;&#60;&", "`${alert(1)}`",
		"%3Cscript%3E", "\xff\xfe", "\u202e\u2066\u200b", "\x00\r\n\t", "\u2028", "\ufeff", "界", ":<b>", "*<b>", `\:`, "a b", "..", "",
	} {
		f.Add(s, "GET", "/"+s)
		f.Add("x", s, "/")
		f.Add(s, "HEAD", s)
		f.Add("x", "POST", "/x/../"+url.PathEscape(s))
	}
	known := known(f)
	f.Fuzz(func(t *testing.T, segment, method, path string) {
		mux := kami.New()
		page := inspect.Handler(mux)
		for _, register := range []func(){
			func() { mux.Get("/"+segment, func(http.ResponseWriter, *http.Request) {}) },
			func() { mux.Handle(method, "/x/"+segment, named{}) },
			func() { mux.Use("/"+segment+"/", func(ctx context.Context) context.Context { panic("it has run") }) },
			func() { mux.Use("/:"+segment+"/", func(ctx context.Context) context.Context { panic("it has run") }) },
			func() { mux.After("/x/:"+segment, func(ctx context.Context) context.Context { panic("it has run") }) },
		} {
			recovered(register) // the mux panics for an invalid pattern or method
		}
		for _, query := range []url.Values{
			{"method": {method}, "path": {path}}, {"method": {method}, "fill": {path}}, {"q": {path}, "under": {method}}, {"under": {path}},
		} {
			target := "/?" + query.Encode()
			w := do(page, "GET", target)
			text := w.Body.String()
			for tag := range skeletons(t, text) {
				assert.True(t, known[tag], "<%s", tag)
			}
			assert.Contains(t, []int{200, 400, 414}, w.Code)
			assert.NotRegexp(t, leading, text, "a link leads away")
			for _, part := range strings.Split(text, "<code")[1:] { // only these, because the values of input fields may have any characters
				part, _, _ = strings.Cut(part, "</code>")
				assert.True(t, utf8.ValidString(part), "%q", part)
				hidden := strings.IndexFunc(part, func(r rune) bool { return !unicode.IsPrint(r) })
				assert.Equal(t, -1, hidden, "%q", part)
			}
			assert.True(t, json.Valid(do(page, "GET", target, "Accept: application/json").Body.Bytes()))
		}
	})
}
