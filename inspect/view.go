package inspect

import (
	"crypto/sha256"
	_ "embed" // of the page
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/guregu/kami"
	"github.com/guregu/kami/message"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string

	page = template.Must(template.New("page").Funcs(template.FuncMap{"visible": visible, "plural": plural}).Parse(pageHTML))

	// policy allows the page its own style sheet, its own forms and its embedded icon. The page has no script, and the policy lets none
	// run, whatever was registered or asked.
	policy = "default-src 'none'; style-src 'sha256-" + digest(pageCSS) + "'; img-src data:; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// view is what the page shows.
type view struct {
	Style template.CSS
	question
	Answer                string // if no route answers
	Message               string // the name for messages of the path that is asked about; "" if no route answers them
	Found, All            registered
	Groups                []group // of the routes
	Middleware, Afterware []scope
	ReadOnly              bool // some of the middleware
}

// group is routes whose patterns begin alike.
type group struct {
	Name   string // their beginning, such as /users; "" for all routes
	Routes []link
}

// many routes are split into groups.
const many = 24

// grouped returns the routes in groups by their first n segments, in the order of the first route of each. It splits a group of many routes
// by one more segment, unless that gives about as many groups as routes.
func grouped(routes []route, n int) (groups []group) {
	var names []string
	named := make(map[string][]route)
	for _, r := range routes {
		name := beginning(r.Pattern, n)
		if named[name] == nil {
			names = append(names, name)
		}
		named[name] = append(named[name], r)
	}
	for _, name := range names {
		g := group{Name: name}
		longer := false
		for _, r := range named[name] {
			g.Routes = append(g.Routes, linked(r))
			longer = longer || beginning(r.Pattern, n+1) != name
		}
		if longer && len(g.Routes) > many {
			if parts := grouped(named[name], n+1); len(parts) <= len(g.Routes)/2 {
				groups = append(groups, parts...)
				continue
			}
		}
		groups = append(groups, g)
	}
	return groups
}

// beginning returns the first n segments of a pattern, each with the slash before it.
func beginning(pattern string, n int) string {
	at := 0
	for ; n > 0 && at < len(pattern); n-- {
		next := strings.IndexByte(pattern[at+1:], '/')
		if next < 0 {
			return pattern
		}
		at += 1 + next
	}
	return pattern[:at]
}

func newView(asked question, found, all registered) view {
	v := view{Style: template.CSS(pageCSS), question: asked, Found: found, All: all}
	if e := asked.Explanation; e != nil && e.Route == nil {
		v.Answer = fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status))
	}
	if e := asked.Explanation; e != nil && e.Method == http.MethodPost && (e.Route != nil || e.Message != nil) {
		path, _, _ := strings.Cut(e.Path, "?")
		v.Message = message.Route(path)
	}
	v.Groups = grouped(found.Routes, 0)
	for _, s := range found.Scopes {
		shown := newScope(s, all.Routes)
		v.ReadOnly = v.ReadOnly || s.ReadOnly
		if s.Kind == "afterware" {
			v.Afterware = append(v.Afterware, shown)
		} else {
			v.Middleware = append(v.Middleware, shown)
		}
	}
	return v
}

// scope is a scope and how many routes it covers.
type scope struct {
	kami.Scope
	Routes int
}

func newScope(s kami.Scope, routes []route) scope {
	shown := scope{Scope: s}
	for _, r := range routes {
		if s.Covers(r.Route) {
			shown.Routes++
		}
	}
	return shown
}

// link is a route and what it puts into the box.
type link struct {
	route
	Asks string // the method
	Path string
	Wild bool // the path has params, which have no values yet
}

func linked(r route) link {
	wild, segments := false, strings.Split(r.Pattern, "/")
	for i, s := range segments {
		switch {
		case s == "":
		case s[0] == ':' || s[0] == '*':
			wild = true
		case len(s) > 1 && s[0] == '\\' && strings.IndexByte(`:*\`, s[1]) >= 0: // the backslash makes it ordinary text
			segments[i] = s[1:]
		}
	}
	path := (&url.URL{Path: strings.Join(segments, "/")}).EscapedPath()
	asks := r.Method
	if asks == "*" { // all methods
		asks = http.MethodGet
	}
	return link{r, asks, strings.ReplaceAll(path, "%2A", "*"), wild} // the asterisk stays readable, as the colon does
}

// visible returns the text as it is, or quoted if it has characters that would not be visible, such as a control character or a mark that
// changes the direction of text. It returns only the beginning of a long text.
func visible(text string) string {
	const most = 512 // bytes
	if end := most; len(text) > most {
		for !utf8.RuneStart(text[end]) && end > most-utf8.UTFMax {
			end--
		}
		return fmt.Sprintf("%s… (%d bytes)", visible(text[:end]), len(text))
	}
	hidden := func(r rune) bool { return !unicode.IsPrint(r) }
	if !utf8.ValidString(text) || strings.ContainsFunc(text, hidden) {
		return strconv.Quote(text)
	}
	return text
}

// plural returns the number and the counted thing: 1 route, 2 routes.
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
