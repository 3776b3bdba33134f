// Package inspect is a page that says what runs for a request, and why. It has a box for a method and a path, and tables of all
// routes and scopes, which can be searched.
//
//	kami.Use("/debug/", operators) // lets only operators pass
//	kami.Get("/debug/kami", inspect.Handler(kami.Handler()))
//
// It also lists the routes of mounted Muxes, and explains what runs inside them.
//
// The page shows the names and places of everything that is registered, so the public must not see it: [kami.Check] reports a page that
// no scope of its own guards. The page runs nothing that is registered, except the middleware that covers the page itself, and the
// method HandlerName of handlers that have it.
package inspect

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/guregu/kami"
	"github.com/guregu/kami/internal/accept"
	"github.com/guregu/kami/treemux"
)

// Handler returns the page about a Mux, which must be a *kami.Mux: one of kami.New, or the default one, kami.Handler().
// It panics if it is not. The page may be a route of that Mux, of another one or of net/http, under any path.
//
// GET and HEAD are answered, other methods get 405. Links can use these parameters of the query:
//
//	?method=GET&path=/hello/greg     explains this request; without a method GET
//	?method=GET&fill=/hello/:name    fills the box and explains nothing yet
//	?q=post+users                    lists the entries with all of these words, in any letter case
//	?under=/users/                   lists the routes that this scope covers
//
// The path is the argument of [kami.Mux.Explain], without white space around it. If the query is malformed, or there can be no such
// request or scope, the page says why and its status is 400, or 414 if one of these parameters has more than 8 KiB.
//
// A request whose Accept names application/json gets JSON: the [kami.Explanation], or without a path in the query an object of the
// routes, scopes and findings that the page would list, or an object with an error. If messages of package message can reach a route,
// it has the key message: its name for them, such as room.:id.join.
//
// Requests for hosts other than loopback hosts and [Hosts] get 421. A browser gets the page only if the user opens it directly or from the
// page itself. A link or a script of another site gets 403.
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

// handler serves the page.
type handler struct {
	mux   *kami.Mux
	page  *template.Template
	hosts []string // in their canonical spelling
}

// NeedsGuard says why the page needs a guard, for [kami.Mux.Check].
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
	asked := h.ask(r.URL.RawQuery)
	all := h.all()
	found := asked.pick(all)
	var body bytes.Buffer // so that no half page is sent
	var contentType string
	var err error
	if wantsJSON(r.Header) {
		contentType, err = "application/json", writeJSON(&body, asked, found)
	} else {
		contentType, err = "text/html; charset=utf-8", h.page.Execute(&body, newView(asked, found, all))
	}
	if err != nil {
		fail(w, r, http.StatusInternalServerError, "inspect: "+err.Error())
		return
	}
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(cmp.Or(asked.Status, http.StatusOK))
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

// failure is an error as JSON.
type failure struct {
	Error string `json:"error"`
}

// wantsJSON reports whether the Accept header names JSON, as a browser's does not.
func wantsJSON(header http.Header) bool {
	weight, named := accept.Weight(header, "application/json")
	return named == accept.Exact && weight > 0
}

// question is the question in the query, and its answer.
type question struct {
	Method, Path string
	Fill         bool   // the box and explain nothing
	Words        string // that all listed entries have
	Under        string // the scope that covers the listed routes

	Status      int    // of the problem, 0 without one
	Field       string // the name of the parameter that has the problem
	Trouble     string // the problem in a few words
	Problem     string
	Explanation *kami.Explanation
}

const longest = 8 << 10 // bytes of a parameter; a page has them several times, escaped

func (h handler) ask(rawQuery string) question {
	q := question{Method: http.MethodGet}
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		q.Status, q.Field, q.Trouble, q.Problem = http.StatusBadRequest, "path", "The question cannot be read:", err.Error()
		return q
	}
	for _, name := range []string{"method", "path", "fill", "q", "under"} {
		if size := len(query.Get(name)); size > longest {
			q.Status, q.Field, q.Trouble = http.StatusRequestURITooLong, name, "The question is too long:"
			q.Problem = fmt.Sprintf("the parameter %s has %d bytes, and may have %d", name, size, longest)
			return q
		}
	}
	q.Method = cmp.Or(strings.TrimSpace(query.Get("method")), q.Method)
	q.Words = strings.TrimSpace(query.Get("q"))
	if under := query.Get("under"); under != "" {
		if _, err := treemux.Parse(under); err != nil {
			q.Status, q.Field, q.Trouble = http.StatusBadRequest, "under", "There can be no such scope:"
			q.Problem = fmt.Sprintf("%.100q: %v", under, err)
			return q
		}
		q.Under = under
	}
	if !query.Has("path") {
		q.Path, q.Fill = query.Get("fill"), query.Get("fill") != ""
		return q
	}
	q.Path = strings.TrimSpace(query.Get("path"))
	q.explain(h.mux)
	return q
}

func (q *question) explain(mux *kami.Mux) {
	e, err := mux.Explain(q.Method, q.Path)
	if err == nil {
		q.Explanation = &e
		return
	}
	q.Status, q.Field, q.Trouble = http.StatusBadRequest, "path", "No such request can be made."
	q.Problem = strings.TrimPrefix(err.Error(), "kami: Explain: ")
	if _, err := mux.Explain(q.Method, "/"); err != nil {
		q.Field = "method"
	}
}

// registered has all that is registered, and the probable mistakes.
type registered struct {
	Routes   []route        `json:"routes"`
	Scopes   []kami.Scope   `json:"scopes"`
	Findings []kami.Finding `json:"findings"`
}

func (h handler) all() registered {
	routes := []route{}
	for r := range h.mux.Routes() {
		routes = append(routes, newRoute(r))
	}
	return registered{
		routes,
		slices.AppendSeq([]kami.Scope{}, h.mux.Scopes()),
		append([]kami.Finding{}, h.mux.Check()...),
	}
}

// pick returns the entries to list.
func (q question) pick(all registered) registered {
	words := strings.Fields(strings.ToLower(q.Words))
	has := func(texts ...string) bool {
		text := strings.ToLower(strings.Join(texts, "\n"))
		return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) })
	}
	under := kami.Scope{Path: q.Under}
	return registered{
		picked(all.Routes, func(r route) bool {
			return has(r.Method, r.Pattern, r.Message, r.Handler, r.Place) && (q.Under == "" || under.Covers(r.Route))
		}),
		picked(all.Scopes, func(s kami.Scope) bool { return has(s.Kind, s.Path, s.Name, s.Place) }),
		picked(all.Findings, func(f kami.Finding) bool { return has(f.Problem, f.Place, f.Text) }),
	}
}

// picked returns the entries that are wanted. It never returns nil.
func picked[T any](all []T, wanted func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(all), func(v T) bool { return !wanted(v) })
}

func writeJSON(body *bytes.Buffer, asked question, found registered) error {
	var answer any = found
	switch {
	case asked.Problem != "":
		answer = failure{asked.Problem}
	case asked.Explanation != nil:
		answer = asked.Explanation
	}
	return json.NewEncoder(body).Encode(answer)
}
