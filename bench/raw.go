package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/dimfeld/httptreemux/v5"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/julienschmidt/httprouter"
)

// lookup finds the route of a request. It returns the number of params, and whether there is such a route.
type lookup func(*request) (params int, ok bool)

// rawRows compare only lookups, of packages that export them.
func rawRows() []*row {
	all := []*row{
		{
			name: "static", job: job{routes: static},
			about: "gin exports no lookup. Its HandleContext, with a handler that does nothing, comes closest. The lookups of " +
				"ServeMux and chi read more than the path.",
		},
		{name: hit, job: job{routes: params1}},
		{name: "GitHub", job: job{routes: github}, targets: []target{{of: ratio, most: 0.8}, {of: allocations, most: 0}}},
	}
	for _, r := range all {
		r.group = rawTree
		r.contestants = func() (field []*contestant) {
			for _, c := range []struct {
				name string
				raw  func([]*route) lookup
			}{
				{ours, rawKami}, {"httprouter", rawHTTPRouter}, {"gin", rawGin}, {"httptreemux", rawHTTPTreeMux},
				{"chi", rawChi}, {serveMux, rawServeMux},
			} {
				field = append(field, rawContestant(c.name, r.routes, c.raw))
			}
			return append(field, r.contestant(floorPeer))
		}
	}
	return all
}

func rawContestant(name string, routes []*route, raw func([]*route) lookup) *contestant {
	find, asked, next, wrong := raw(routes), requests(routes), 0, error(nil)
	return &contestant{
		name: name,
		run: func(n int) {
			for range n {
				q := &asked[next]
				if params, ok := find(q); !ok || params != len(q.params) {
					wrong = fmt.Errorf("%s %s: found %v, %d params", q.method, q.path, ok, params)
				}
				if next++; next == len(asked) {
					next = 0
				}
			}
		},
		check: func() error { return wrong },
	}
}

func rawHTTPRouter(routes []*route) lookup {
	m := newHTTPRouter(&job{routes: routes}).(*httprouter.Router)
	return func(q *request) (int, bool) {
		handle, params, _ := m.Lookup(q.method, q.path)
		return len(params), handle != nil
	}
}

func rawGin(routes []*route) lookup {
	m, params, ok := gin.New(), 0, false
	for _, rt := range routes {
		m.Handle(rt.method, rt.path, func(c *gin.Context) { params, ok = len(c.Params), true })
	}
	c := gin.CreateTestContextOnly(&null{header: http.Header{}}, m)
	c.Request = httptest.NewRequest("GET", "/", nil)
	return func(q *request) (int, bool) {
		ok = false
		c.Request.Method, c.Request.URL.Path = q.method, q.path
		m.HandleContext(c)
		return params, ok
	}
}

func rawHTTPTreeMux(routes []*route) lookup {
	m := newHTTPTreeMux(&job{routes: routes}).(*httptreemux.TreeMux)
	w, r := &null{header: http.Header{}}, httptest.NewRequest("GET", "/", nil)
	return func(q *request) (int, bool) {
		r.Method, r.URL.Path, r.RequestURI = q.method, q.path, q.path
		result, ok := m.Lookup(w, r)
		return len(result.Params), ok
	}
}

func rawChi(routes []*route) lookup {
	m, c := newChi(&job{routes: routes}).(chi.Router), chi.NewRouteContext()
	return func(q *request) (int, bool) {
		c.Reset()
		ok := m.Match(c, q.method, q.path)
		return len(c.URLParams.Keys), ok
	}
}

// rawServeMux takes the number of params from the pattern, because Handler does not return the params.
func rawServeMux(routes []*route) lookup {
	m, r := newServeMux(&job{routes: routes}).(*http.ServeMux), httptest.NewRequest("GET", "/", nil)
	params := map[string]int{}
	for _, rt := range routes {
		params[rt.method+" "+rt.braced()] = len(rt.names)
	}
	return func(q *request) (int, bool) {
		r.Method, r.URL.Path = q.method, q.path
		_, pattern := m.Handler(r)
		return params[pattern], pattern != ""
	}
}
