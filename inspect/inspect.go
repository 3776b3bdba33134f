// Package inspect is a page for the question that middleware for scopes of paths raises: what runs for this request,
// and why? It has a box for a method and a path, and tables of all routes and scopes.
//
//	kami.Use("/debug/", operators) // lets nobody else in
//	kami.Get("/debug/kami", inspect.Handler(kami.Handler()))
//
// The page shows the names and places of everything that is registered, so it is not for everybody: [kami.Check]
// reports one that no scope of its own guards. It runs nothing that is registered, but for what covers the page itself.
package inspect

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed" // of the page
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/guregu/kami"
	"github.com/guregu/kami/internal/accept"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string

	page = template.Must(template.New("page").Funcs(template.FuncMap{"visible": visible}).Parse(pageHTML))

	// policy allows the page its own style sheet, its own form and the icon that it brings along. The page has no script,
	// and none would run whatever was registered or asked.
	policy = "default-src 'none'; style-src 'sha256-" + digest(pageCSS) + "'; img-src data:; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Handler returns the page about a Mux, which must be a *kami.Mux: one of kami.New, or the default one, kami.Handler().
// It panics if it is not. The page may be a route of that Mux, of another one or of net/http, under any path.
//
// GET and HEAD are answered, other methods with 405. These parameters of the query are for links:
//
//	?method=GET&path=/hello/greg     explains this request; the method is GET if it is left out
//	?method=GET&fill=/hello/:name    fills the box and explains nothing yet
//
// The path is that of [kami.Mux.Explain], less white space around it. If there can be no such request, the page says
// why and its status is 400.
//
// Requests whose Accept names application/json are answered with JSON: the [kami.Explanation], or without a path in
// the query an object of all routes, scopes and findings.
//
// The page is answered for loopback hosts and those of [Hosts], else with 421; and for browsers only if they ask for it
// directly or from the page itself, not from a link or a script of another site, else with 403.
func Handler(mux http.Handler, options ...Option) http.Handler {
	m, ok := mux.(*kami.Mux)
	if !ok {
		panic(fmt.Sprintf("inspect: Handler: the mux must be a *kami.Mux, not %T", mux))
	}
	if m == nil {
		panic("inspect: Handler: the mux must be a *kami.Mux, not a nil one")
	}
	h := handler{mux: m, page: page}
	for _, set := range options {
		if set == nil {
			panic("inspect: Handler: an option must not be nil")
		}
		set(&h)
	}
	return h
}

// handler is that of the page.
type handler struct {
	mux   *kami.Mux
	page  *template.Template
	hosts []string // in their canonical spelling
}

// NeedsGuard says why the page is not for everybody, for [kami.Mux.Check].
func (handler) NeedsGuard() string { return "shows all routes and scopes" }

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("Cache-Control", "no-store")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Add("Vary", "Accept")
	status, why := h.refuse(r)
	if status == 0 && r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		status, why = http.StatusMethodNotAllowed, "inspect: the page is for GET and HEAD"
	}
	if status != 0 {
		fail(w, r, status, why)
		return
	}
	asked, all := h.ask(r.URL.Query()), h.all()
	render, contentType := h.html, "text/html; charset=utf-8"
	if wantsJSON(r.Header) {
		render, contentType = writeJSON, "application/json"
	}
	var body bytes.Buffer // so that no half page is sent
	if err := render(&body, asked, all); err != nil {
		fail(w, r, http.StatusInternalServerError, "inspect: "+err.Error())
		return
	}
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(body.Len()))
	if asked.Problem != "" {
		w.WriteHeader(http.StatusBadRequest)
	}
	if r.Method == http.MethodGet {
		_, _ = body.WriteTo(w) // an error means that the client has gone
	}
}

// fail answers without a page.
func fail(w http.ResponseWriter, r *http.Request, status int, why string) {
	if !wantsJSON(r.Header) {
		http.Error(w, why, status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(failure{why}) // an error means that the client has gone
}

// failure is the JSON of what goes wrong.
type failure struct {
	Error string `json:"error"`
}

// question is what the query asks, and the answer.
type question struct {
	Method, Path string
	Fill         bool // the box and explain nothing
	Problem      string
	OfMethod     bool // the problem is that of the method
	Explanation  *kami.Explanation
}

func (h handler) ask(query url.Values) question {
	q := question{Method: cmp.Or(strings.TrimSpace(query.Get("method")), http.MethodGet)}
	if !query.Has("path") {
		q.Path, q.Fill = query.Get("fill"), query.Get("fill") != ""
		return q
	}
	q.Path = strings.TrimSpace(query.Get("path"))
	e, err := h.mux.Explain(q.Method, q.Path)
	if err != nil {
		q.Problem = strings.TrimPrefix(err.Error(), "kami: Explain: ")
		_, err = h.mux.Explain(q.Method, "/")
		q.OfMethod = err != nil
		return q
	}
	q.Explanation = &e
	return q
}

// registered is all that is registered, and what is probably a mistake in it.
type registered struct {
	Routes   []kami.Route   `json:"routes"`
	Scopes   []kami.Scope   `json:"scopes"`
	Findings []kami.Finding `json:"findings"`
}

func (h handler) all() registered {
	return registered{
		slices.AppendSeq([]kami.Route{}, h.mux.Routes()),
		slices.AppendSeq([]kami.Scope{}, h.mux.Scopes()),
		append([]kami.Finding{}, h.mux.Check()...),
	}
}

// wantsJSON reports whether the Accept header names JSON, as a browser's does not.
func wantsJSON(header http.Header) bool {
	weight, named := accept.Weight(header, "application/json")
	return named == accept.Exact && weight > 0
}

func writeJSON(body *bytes.Buffer, asked question, all registered) error {
	var answer any = all
	switch {
	case asked.Problem != "":
		answer = failure{asked.Problem}
	case asked.Explanation != nil:
		answer = asked.Explanation
	}
	return json.NewEncoder(body).Encode(answer)
}

func (h handler) html(body *bytes.Buffer, asked question, all registered) error {
	view := struct {
		Style template.CSS
		question
		Answer                string
		Routes                []link
		Middleware, Afterware []kami.Scope
		Findings              []kami.Finding
	}{Style: template.CSS(pageCSS), question: asked, Findings: all.Findings}
	if e := asked.Explanation; e != nil && e.Route == nil {
		view.Answer = fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status))
	}
	for _, r := range all.Routes {
		view.Routes = append(view.Routes, linked(r))
	}
	for _, s := range all.Scopes {
		if s.Kind == "afterware" {
			view.Afterware = append(view.Afterware, s)
		} else {
			view.Middleware = append(view.Middleware, s)
		}
	}
	return h.page.Execute(body, view)
}

// link is a route and what it puts into the box.
type link struct {
	kami.Route
	Path string
	Wild bool // the path has params, which have no values yet
}

func linked(r kami.Route) link {
	wild, segments := false, strings.Split(r.Pattern, "/")
	for i, s := range segments {
		switch {
		case s == "":
		case s[0] == ':' || s[0] == '*':
			wild = true
		case len(s) > 1 && s[0] == '\\' && strings.IndexByte(`:*\`, s[1]) >= 0: // which the backslash makes ordinary
			segments[i] = s[1:]
		}
	}
	path := (&url.URL{Path: strings.Join(segments, "/")}).EscapedPath()
	return link{r, strings.ReplaceAll(path, "%2A", "*"), wild} // the asterisk stays to be read, as the colon does
}

// visible returns the text as it is, or quoted if there is something in it that would not be seen for what it is, such
// as a control, or a mark that changes the direction of what follows.
func visible(text string) string {
	hidden := func(r rune) bool { return !unicode.IsPrint(r) }
	if !utf8.ValidString(text) || strings.ContainsFunc(text, hidden) {
		return strconv.Quote(text)
	}
	return text
}
