package main

import (
	_ "embed"
	"regexp"
	"strings"
)

// The routes of two real services, a method and a path in each line.
var (
	//go:embed testdata/github.txt
	githubRoutes string
	//go:embed testdata/gplus.txt
	gplusRoutes string
)

// route is a route to register. Its path is in kami's notation: /users/:id.
type route struct {
	method, path string
	*shape
}

// shape is the part of a route that its handler needs. Many routes can share one, so that their handlers do not fill the
// processor's caches.
type shape struct{ names []string } // of the params

// request is a request for a route.
type request struct {
	method, path string
	params       []string // the values that the handler must find
}

// get returns routes for GET.
func get(paths ...string) []*route { return listed("GET " + strings.Join(paths, "\nGET ")) }

// listed reads a list of routes.
func listed(text string) (routes []*route) {
	for line := range strings.Lines(text) {
		method, path, _ := strings.Cut(strings.TrimSpace(line), " ")
		routes = append(routes, newRoute(method, path))
	}
	return routes
}

// param matches a param in a path.
var param = regexp.MustCompile(`:(\w+)`)

func newRoute(method, path string) *route {
	r := &route{method, path, new(shape)}
	for _, found := range param.FindAllStringSubmatch(path, -1) {
		r.names = append(r.names, found[1])
	}
	return r
}

// request returns a request for the route. The value of a param is its name and a 7.
func (r *route) request() request {
	q := request{method: r.method, path: param.ReplaceAllString(r.path, "${1}7")}
	for _, name := range r.names {
		q.params = append(q.params, name+"7")
	}
	return q
}

// requests returns one request for each route.
func requests(routes []*route) (all []request) {
	for _, r := range routes {
		all = append(all, r.request())
	}
	return all
}

// braced is the path in the notation of net/http: /users/{id}.
func (r *route) braced() string { return param.ReplaceAllString(r.path, "{$1}") }
