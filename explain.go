package kami

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/guregu/kami/internal/pathparams"
	"github.com/guregu/kami/internal/requestline"
	"github.com/guregu/kami/internal/scopes"
	"github.com/guregu/kami/internal/urlpath"
)

// PathParam is a param of a path and its value, decoded.
type PathParam struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// String prints the param for people, its value quoted.
func (p PathParam) String() string { return fmt.Sprintf("%s = %q", p.Name, p.Value) }

// Step is a piece of middleware or afterware that runs for a request, and why.
type Step struct {
	Scope
	Reading string `json:"reading"` // of the path, which lies in the scope
	// How says how the path was read: "decoded", "cleaned", "decoded and cleaned" or "cleaned and decoded"; "" for as it is routed.
	How    string      `json:"how,omitempty"`
	Params []PathParam `json:"params,omitempty"` // of the scope
	Mount  string      `json:"mount,omitempty"`  // the path of the mount, if it belongs to a mounted Mux
}

// String prints the step for people, on one line: its scope, the params, the reading of the path if it is not the routed
// one, and the path of the mount.
func (s Step) String() string {
	text := s.Scope.String()
	for _, p := range s.Params {
		text += ", " + p.String()
	}
	if s.How != "" {
		text += fmt.Sprintf(", for %q: the path %s", s.Reading, s.How)
	}
	if s.Mount != "" {
		text += ", of the Mux at " + s.Mount
	}
	return text
}

// Explanation says what runs for a request, and why. See [Mux.Explain].
type Explanation struct {
	Method string
	Path   string

	// Route is the route that answers, nil for any other answer. HEAD may be answered by a route for GET.
	Route  *Route
	Params []PathParam // of the route
	// Status is the status of any other answer: 404, 405, 204 for OPTIONS, 301 or 307. It is 0 for a route, whose handler decides.
	// Handlers given to NotFound and MethodNotAllowed, and an ErrorHandler, may set another status.
	Status   int
	Handler  string // the name of such a handler
	Allow    string // the header, for 405 and OPTIONS
	Location string // the header, for a redirect
	// Message is the route that answers a message for the path where other requests are redirected; nil where they are not.
	Message *Route

	Middleware []Step // in the order in which it runs, unless one halts
	Afterware  []Step // in the order in which it runs
}

// Explain says what runs for a request, and why: its route, or the answer if there is none, and all middleware and
// afterware with their scopes. It decides as ServeHTTP does, and runs nothing that was registered. Path is written as in
// a request's first line: with its escapes, and possibly with a query. Explain returns an error if no such request can be made.
// It includes a mounted Mux. It does not look into other handlers.
func (m *Mux) Explain(method, path string) (Explanation, error) {
	if m == nil {
		return Explanation{}, errors.New("kami: Explain: the Mux is nil")
	}
	u, err := requestline.Parse(method, path)
	if err != nil {
		return Explanation{}, fmt.Errorf("kami: Explain: %w", err)
	}
	return m.plan().explain(method, path, u), nil
}

// explain explains a request for the URL, which is that of the path.
func (p *plan) explain(method, path string, u *url.URL) Explanation {
	var decided decision
	decided.decide(p, method, u)
	before, after := p.scopesOf(&decided)
	mirrored := slices.Clone(after.Steps) // the plan's own stay as they are
	slices.Reverse(mirrored)
	all := p.readings(&decided)
	e := decided.explain(method, path)
	e.Middleware = explainSteps(&p.middleware, before.Steps, all)
	e.Afterware = explainSteps(&p.afterware, mirrored, all)
	return decided.explainWithin(e, u)
}

// explain says what has been decided.
func (d *decision) explain(method, path string) Explanation {
	e := Explanation{Method: method, Path: path}
	if d.routed() {
		r := d.route.describe()
		e.Route = &r
		var params pathparams.Params
		params.Path, _ = urlpath.CutSlash(d.path)
		params.Set(&d.spans, d.decode != nil)
		for i, name := range d.route.names {
			e.Params = append(e.Params, PathParam{name.Text, params.Value(i, d.route.path)})
		}
		return e
	}
	switch end := d.end.(type) {
	case *builtin:
		e.Status = end.status
	case *redirect:
		e.Status, e.Location = end.code, end.target
		if d.clean == "" && method == http.MethodPost {
			to := end.route.describe()
			e.Message = &to
		}
	case *notAllowed:
		e.Status, e.Allow, e.Handler = http.StatusMethodNotAllowed, end.allow, handlerName(end.answer)
		if method == http.MethodOptions {
			e.Status = http.StatusNoContent
		}
	default:
		e.Status, e.Handler = http.StatusNotFound, handlerName(answerOf(end))
	}
	return e
}

// explainSteps says why the steps run.
func explainSteps[T ware](s *scopes.Set[T], steps []scopes.Step[T], all []scopes.Reading) (explained []Step) {
	for i, by := range s.Explain(steps, all) {
		step := &steps[i]
		explained = append(explained, Step{step.Ware.registration().Scope, by.Shown(), by.How, bound(step.Binding), ""})
	}
	return explained
}

// bound returns the params of the binding, which may be nil.
func bound(v *scopes.Binding) []PathParam {
	if v == nil {
		return nil
	}
	params := make([]PathParam, len(v.Names))
	for i, name := range v.Names {
		params[i] = PathParam{name, v.Values[i]}
	}
	return params
}

// Answer says in one line what answers the request.
func (e Explanation) Answer() string {
	switch {
	case e.Route != nil:
		return e.Route.String()
	case e.Location != "":
		return fmt.Sprintf("%d %s to %s", e.Status, http.StatusText(e.Status), e.Location)
	}
	answer := fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status))
	if e.Allow != "" {
		answer += ", Allow: " + e.Allow
	}
	if e.Handler != "" {
		answer += ", by " + e.Handler
	}
	return answer
}

// String prints the explanation for people, in several lines:
//
//	GET "/hello/greg"
//	  middleware  /hello/  greeting.Guess (greeting/main.go:37)
//	  answer      GET /hello/:name  main.greet (greeting/main.go:38)
//	              name = "greg"
//
// The lines are in the order in which all of it runs.
func (e Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q\n", e.Method, e.Path)
	line := func(title, text string) { fmt.Fprintf(&b, "  %-12s%s\n", title, printable(text)) }
	for _, s := range e.Middleware {
		line("middleware", s.String())
	}
	line("answer", e.Answer())
	if e.Message != nil {
		line("message", e.Message.String())
	}
	for _, p := range e.Params {
		line("", p.String())
	}
	for _, s := range e.Afterware {
		line("afterware", s.String())
	}
	return b.String()
}

// printable returns text on one line, quoted if it has characters that are not printed.
func printable(text string) string {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.QuoteToGraphic(text)
	}
	return text
}

// MarshalJSON returns all fields, and the Answer.
func (e Explanation) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Method     string      `json:"method"`
		Path       string      `json:"path"`
		Answer     string      `json:"answer"`
		Route      *Route      `json:"route,omitempty"`
		Params     []PathParam `json:"params,omitempty"`
		Status     int         `json:"status,omitempty"`
		Handler    string      `json:"handler,omitempty"`
		Allow      string      `json:"allow,omitempty"`
		Location   string      `json:"location,omitempty"`
		Message    *Route      `json:"message,omitempty"`
		Middleware []Step      `json:"middleware"`
		Afterware  []Step      `json:"afterware"`
	}{
		e.Method, e.Path, e.Answer(), e.Route, e.Params, e.Status, e.Handler, e.Allow, e.Location, e.Message,
		append([]Step{}, e.Middleware...), append([]Step{}, e.Afterware...),
	})
}
