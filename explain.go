package kami

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/guregu/kami/treemux"
)

// Route is a registered route.
type Route struct {
	Method  string `json:"method"` // "*" for all, as of what is mounted
	Pattern string `json:"pattern"`
	Handler string `json:"handler"` // the name of the function, as main.greet, or the type, or what its method HandlerName says
	Place   string `json:"place"`   // where it was registered, as app/routes.go:31
}

// String prints the route for people, on one line.
func (r Route) String() string {
	return fmt.Sprintf("%s %s  %s (%s)", r.Method, r.Pattern, r.Handler, r.Place)
}

// Scope is one piece of middleware or afterware, and the scope that it is registered for.
type Scope struct {
	Kind  string `json:"kind"` // "middleware" or "afterware"
	Path  string `json:"path"`
	Name  string `json:"name"`  // of the function, as main.login, or the type
	Place string `json:"place"` // where it was registered, as app/routes.go:31
	// Whether it is middleware that halts only by answering with a status of 400 or more or by hijacking the connection, for it
	// is an http.Handler or a func(w, r). A redirect of it, for one, does not keep the handler from running. All other middleware can halt.
	ReadOnly bool `json:"readOnly,omitempty"`
}

// String prints the scope and what is registered for it for people, on one line.
func (s Scope) String() string { return fmt.Sprintf("%s  %s (%s)", s.Path, s.Name, s.Place) }

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
	// How the path was read, if not as it is routed: "decoded", "cleaned", "decoded and cleaned" or "cleaned and decoded".
	How    string      `json:"how,omitempty"`
	Params []PathParam `json:"params,omitempty"` // of the scope
	Mount  string      `json:"mount,omitempty"`  // where the Mux is mounted that it belongs to; "" for the one that was asked
}

// String prints the step for people, on one line: its scope, the params, the reading of the path if that is not the routed
// one, and where its Mux is mounted.
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
	// Status is that of any other answer: 404, 405, 204 for OPTIONS, 301 or 307. It is 0 for a route, whose handler decides.
	// Handlers given to NotFound and MethodNotAllowed, and an ErrorHandler, may decide otherwise, too.
	Status   int
	Handler  string // the name of such a handler
	Allow    string // the header, for 405 and OPTIONS
	Location string // the header, for a redirect
	// Message is the route that answers a message for the path, which is not redirected; nil if it is as for other requests.
	Message *Route

	Middleware []Step // in the order in which it runs, unless one halts
	Afterware  []Step // in the order in which it runs
}

// Routes returns all routes, by pattern and then by method. In the place of a mounted Mux are those of its routes that lie below
// where it is mounted.
func (m *Mux) Routes() iter.Seq[Route] {
	return slices.Values(m.plan().describe())
}

// allRoutes returns all routes in the order of Routes.
func (p *plan) allRoutes() []*route {
	var all []*route
	for list := range p.routes.All {
		all = append(all, list.all()...)
	}
	slices.SortFunc(all, func(a, b *route) int { return compareRoutes(a.path, a.method, b.path, b.method) })
	return all
}

func compareRoutes(path, method, otherPath, otherMethod string) int {
	return cmp.Or(strings.Compare(path, otherPath), strings.Compare(method, otherMethod))
}

func (r *route) describe() Route {
	return Route{r.methods(), r.path, handlerName(r.handler), r.place.String()}
}

// handlerName names a handler that has been converted.
func handlerName(h ContextHandler) string {
	if name, ok := ownName(h); ok {
		return name
	}
	switch h := h.(type) {
	case nil, *builtin:
		return ""
	case *vanilla:
		return nameOf(h.Handler)
	case *failing:
		return nameOf(h.handle)
	case erring:
		return nameOf(h.mux.errorHandler())
	}
	return nameOf(h)
}

// ownName returns the name that a handler gives itself, if it does.
func ownName(h ContextHandler) (name string, ok bool) {
	registered := any(h)
	if v, vanilla := registered.(*vanilla); vanilla {
		registered = v.Handler
	}
	own, ok := registered.(interface{ HandlerName() string })
	if ok {
		name = own.HandlerName()
	}
	return name, ok
}

// Scopes returns all middleware and then all afterware: static scopes and then those with params, each before what lies
// below it, and within a scope in the order of registration. Those of mounted Muxes are not among them.
func (m *Mux) Scopes() iter.Seq[Scope] {
	p := m.plan()
	return func(yield func(Scope) bool) {
		for _, r := range slices.Concat(registered(&p.middleware), registered(&p.afterware)) {
			if !yield(r.Scope) {
				return
			}
		}
	}
}

// ware is middleware or afterware.
type ware interface{ registration() registration }

func (m *middleware) registration() registration {
	r := m.as("middleware")
	r.ReadOnly = m.readOnly
	return r
}

func (a *afterware) registration() registration { return a.as("afterware") }

// registration is a [Scope] and its pattern.
type registration struct {
	Scope
	pattern treemux.Pattern
}

func (e entry) as(kind string) registration {
	pattern, _ := treemux.Parse(e.path) // which it was registered with, so there is no error
	return registration{Scope{Kind: kind, Path: e.path, Name: e.name, Place: e.place.String()}, pattern}
}

// registered returns what is registered in the scopes.
func registered[T ware](s *scopes[T]) []registration {
	var all []registration
	for _, tree := range []treemux.Tree[*scope[T]]{s.static, s.wild} {
		scopes := slices.SortedFunc(tree.All, func(a, b *scope[T]) int {
			return slices.CompareFunc(a.pattern.Segments, b.pattern.Segments, compareSegments)
		})
		for _, found := range scopes {
			for _, step := range slices.Concat(found.prefix, found.exact) {
				all = append(all, step.ware.registration())
			}
		}
	}
	return all
}

func compareSegments(a, b treemux.Segment) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), strings.Compare(a.Text, b.Text))
}

// Explain says what runs for a request, and why: its route, or what is answered without one, and all middleware and
// afterware with their scopes. It decides as ServeHTTP does, and runs nothing that was registered. Path is what stands in
// a request's first line, so it has its escapes and may have a query. It is an error if no such request can be made.
// It goes on into a mounted Mux. Of what other handlers do it says nothing.
func (m *Mux) Explain(method, path string) (Explanation, error) {
	if m == nil {
		return Explanation{}, errors.New("kami: Explain: the Mux is nil")
	}
	u, err := target(method, path)
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
	mirrored := slices.Clone(after.steps) // the plan's own stay as they are
	slices.Reverse(mirrored)
	all := decided.readings(p.depth)
	e := decided.explain(method, path)
	e.Middleware = explainSteps(&p.middleware, before.steps, all)
	e.Afterware = explainSteps(&p.afterware, mirrored, all)
	return decided.explainWithin(e, u)
}

// target returns the URL of a request with this first line.
func target(method, path string) (*url.URL, error) {
	if !isToken(method) {
		return nil, fmt.Errorf("%.100q: %w", method, errMethod)
	}
	if strings.Contains(path, " ") {
		return nil, fmt.Errorf("%.100q is no path of a request (RFC 9112, section 3.2): it ends at a space, which is %%20 in it", path)
	}
	if method == http.MethodConnect && !strings.HasPrefix(path, "/") { // it is host:port, which net/http reads like this
		path = "http://" + path
	}
	u, err := url.ParseRequestURI(path)
	if err != nil {
		return nil, fmt.Errorf("%.100q is no path of a request (RFC 9112, section 3.2): %w", path, errors.Unwrap(err))
	}
	return u, nil
}

// explain says what has been decided.
func (d *decision) explain(method, path string) Explanation {
	e := Explanation{Method: method, Path: path}
	if d.routed() {
		r := d.route.describe()
		e.Route = &r
		var params params
		path, _ := cutSlash(d.path)
		params.set(path, d.decode != nil, &d.spans)
		for i, name := range d.route.names {
			e.Params = append(e.Params, PathParam{name.text, params.value(d.route, i)})
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

// explainSteps says why the steps run. The reading that brought one in is the first that alone does.
func explainSteps[T ware](s *scopes[T], steps []step[T], all []reading) []Step {
	alone := make([][]step[T], len(all))
	for i := range all {
		alone[i] = s.chain(all[i:i+1], false).steps
	}
	var explained []Step
	for _, st := range steps {
		same := func(other step[T]) bool {
			return any(st.ware) == any(other.ware) && slices.Equal(st.view.params(), other.view.params())
		}
		by := all[slices.IndexFunc(alone, func(chain []step[T]) bool { return slices.ContainsFunc(chain, same) })]
		explained = append(explained, Step{Scope: st.ware.registration().Scope, Reading: by.shown(), How: by.how, Params: st.view.params()})
	}
	return explained
}

// shown returns the path as it is routed, or else decoded, in which some readings differ from that.
func (r *reading) shown() string {
	if r.how == "" {
		return r.Text
	}
	return r.Plain
}

// params returns the params of the view, which may be nil.
func (v *view) params() []PathParam {
	if v == nil {
		return nil
	}
	params := make([]PathParam, len(v.names))
	for i, name := range v.names {
		params[i] = PathParam{name, v.values[i]}
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
// Their order is that in which all of it runs.
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

// printable returns text on one line, whatever was registered or asked.
func printable(text string) string {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.QuoteToGraphic(text)
	}
	return text
}

// MarshalJSON gives programs what String gives people.
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
