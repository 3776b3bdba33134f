package main

import (
	"cmp"
	"net/http"
)

// row is one comparison: the same work for everyone.
type row struct {
	group, name string
	about       string // more about the work, if the name does not say it all
	job
	requests    []request            // one for each route if nil
	status      int                  // of the answer, if the framework gives it and no handler runs
	answer      http.HandlerFunc     // only gives that answer
	served      bool                 // the request's context holds what net/http's server puts there
	contestants func() []*contestant // instead of kami and its peers
	targets     []target
}

// contestant takes part in a row.
type contestant struct {
	name  string
	run   func(requests int)
	check func() error // returns what was wrong since the last check
}

// target is a limit for kami in a row, at the default GOGC and at 400.
type target struct {
	of      measure
	who     string // kami if empty
	beside  string // the fastest peer if empty
	most    float64
	most400 float64 // most if zero
}

// measure is what a target limits, in the page's words.
type measure string

const (
	ratio       measure = " : "                         // of the times
	above       measure = ": ns above "                 // the difference of the least times
	hits        measure = " without the answer : a hit" // the time less the time of only the answer, as a ratio to a hit's time
	allocations measure = ": allocations"               // for each request
)

// text says what the target limits.
func (t target) text() string {
	text := cmp.Or(t.who, ours) + string(t.of)
	if t.of == ratio || t.of == above {
		text += cmp.Or(t.beside, "the fastest peer")
	}
	return text
}

const (
	bare     = "Bare"
	sameWork = "Same work"
	rawTree  = "Raw tree"
	alone    = "Kami alone"
)

var (
	static  = get("/users")
	params1 = get("/users/:id")
	params5 = get("/:a/:b/:c/:d/:e")
	github  = listed(githubRoutes)
	gplus   = listed(gplusRoutes)
)

// hit is the row that is measured for the time of a hit.
const hit = "1 param"

// rows are all rows of the page.
func rows() []*row {
	work := func(routes []*route) job { return job{routes: routes, base: true} }
	values := func(routes []*route, n int) job { return job{routes: routes, base: true, values: n} }
	fastest := []target{{of: ratio, most: 1}}
	all := []*row{
		{group: bare, name: "static", job: job{routes: static}, targets: bareTargets(1.4, 0.95)},
		{group: bare, name: hit, job: job{routes: params1}, targets: bareTargets(1.2, 0.85)},
		{group: bare, name: "5 params", job: job{routes: params5}},
		{group: bare, name: "GitHub", job: job{routes: github}, targets: bareTargets(1.0, 0.60)},
		{group: bare, name: "Google+", job: job{routes: gplus}},
		{
			group: bare, name: "404", job: job{routes: params1}, targets: missTargets,
			requests: asking("GET", "/nothing/is/here"), status: http.StatusNotFound, answer: http.NotFound,
		},
		{
			group: bare, name: "405", job: job{routes: params1}, targets: missTargets,
			requests: asking("POST", "/users/7"), status: http.StatusMethodNotAllowed, answer: notAllowed,
		},
		{
			group: bare, name: "redirect", job: job{routes: get("/users/"), slashes: true}, targets: missTargets,
			requests: asking("GET", "/users"), status: http.StatusMovedPermanently, answer: redirected,
			about: "`/users` to `/users/`, with the peers' middleware where that is not built in; chi's goes the other way.",
		},
		{group: sameWork, name: "static", job: work(static), targets: workTargets(0.93, 0.90)},
		{group: sameWork, name: hit, job: work(params1), targets: workTargets(0.90, 0.82)},
		{group: sameWork, name: "5 params", job: work(params5), targets: workTargets(0.75, 0.70)},
		{group: sameWork, name: "GitHub", job: work(github), targets: workTargets(0.82, 0.72)},
		{
			group: sameWork, name: "1 param, served", job: work(params1), served: true,
			about: "The incoming context holds what net/http puts into it, and kami's lookups of values pass there first.",
		},
		{
			group: sameWork, name: "3 context middlewares", job: values(params1, 3), targets: valueTargets(3),
			about: "Each adds a value to the context. kami has middleware with the request and without.",
		},
		{group: sameWork, name: "5 context middlewares", job: values(params1, 5), targets: valueTargets(5)},
		{group: sameWork, name: "GitHub, 3 context middlewares", job: values(github, 3), targets: valueTargets(3)},
		{
			group: sameWork, name: "3 standard middlewares", job: job{routes: params1, base: true, standard: 3}, targets: fastest,
			about: "Of the type `func(http.Handler) http.Handler`; they pass on what they got.",
		},
		{
			group: sameWork, name: "observed", job: job{routes: params1, base: true, observed: true}, targets: fastest,
			about: "The handler answers 202, and a logger sees that: for kami afterware and LogHandler, for chi, gin and echo " +
				"middleware with their own writers, for the others the small wrapper that most apps have.",
		},
	}
	return append(all, rawRows()...)
}

// aloneRows are for features that only kami has. Only -compare measures them.
func aloneRows() []*row {
	edit, below := get("/users/:id/edit"), []string{"/users/:id/"}
	return []*row{
		{group: alone, name: "7 params", job: job{routes: get("/:a/:b/:c/:d/:e/:f/:g")}},
		{group: alone, name: "catch-all", job: job{routes: get("/files/*path")}, requests: asking("GET", "/files/a/b/c")},
		{group: alone, name: "scopes", job: job{routes: params1, scopes: []string{"/", "/users/", "/users/id7", "/other/"}}},
		{group: alone, name: "wildcard scope", job: job{routes: edit, scopes: below}},
		{group: alone, name: "wildcard scope, odd context", job: job{routes: edit, scopes: below, odd: true}},
		{group: alone, name: "outside a wildcard scope", job: job{routes: get("/books/:id"), scopes: append(below, "/")}},
		{group: alone, name: "1 context middleware", job: job{routes: params1, values: 1}},
		{group: alone, name: "handler with an error", job: job{routes: params1, fallible: true}},
	}
}

// The targets of rows. The numbers are the ratio at each of the gogcs.
func bareTargets(most, most400 float64) []target {
	return append([]target{{of: ratio, beside: serveMux, most: most, most400: most400}, {of: ratio, beside: "chi", most: 0.6}},
		workTargets(0, 0)[1:]...)
}

func workTargets(most, most400 float64) []target {
	return []target{
		{of: ratio, most: most, most400: most400},
		{of: above, beside: theFloor, most: 60},
		{of: allocations, most: 1},
	}
}

// valueTargets are the targets of rows with n middlewares that add a value to the context.
func valueTargets(n int) []target {
	return []target{
		{of: ratio, most: 0.97, most400: 0.92},
		{of: ratio, who: oursPlain, most: 0.60},
		{of: allocations, most: float64(1 + 2*n)},
	}
}

var missTargets = []target{{of: hits, beside: theAnswer, most: 2}}

func asking(method, path string) []request { return []request{{method: method, path: path}} }

func notAllowed(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Allow", "GET, HEAD")
	http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
}

func redirected(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, r.URL.Path+"/", http.StatusMovedPermanently)
}

// title is the row's name on the page, which -rows chooses by.
func (r *row) title() string { return r.group + ": " + r.name }

// field returns the row's contestants, each made anew.
func (r *row) field() []*contestant {
	if r.contestants != nil {
		return r.contestants()
	}
	all := []*contestant{r.contestant(kamiPeer)}
	if r.values > 0 {
		plain := *r
		plain.plain = true
		all = append(all, plain.contestant(peer{name: oursPlain, build: newKami}),
			plain.contestant(peer{name: plainHand, build: newByHand}))
	}
	for _, p := range peers {
		all = append(all, r.contestant(p))
	}
	beside := byHandPeer
	if r.answer != nil {
		beside = peer{name: theAnswer, build: func(*job) http.Handler { return r.answer }}
	}
	return append(all, r.contestant(beside), r.contestant(floorPeer))
}

// contestant sets the peer up for the row.
func (r *row) contestant(p peer) *contestant {
	j, asked := r.job, r.requests
	if asked == nil {
		asked = requests(r.routes)
	}
	if r.slashes && p.strips {
		j.routes, asked = get("/users"), asking("GET", "/users/")
	}
	d := newDrive(r, p.build(&j), asked)
	d.prove()
	return contestantOf(p.name, d)
}

func contestantOf(name string, d *drive) *contestant {
	c := &contestant{name: name, run: d.run, check: d.check}
	if name == theFloor { // no handler sees its requests
		c.check = func() error { return nil }
	}
	return c
}
