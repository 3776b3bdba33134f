package main

import (
	"fmt"
	"net/http"

	"github.com/dimfeld/httptreemux/v5"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/julienschmidt/httprouter"
)

// rawRows compare the lookups alone, as far as their packages export them.
func rawRows() []*row {
	var all []*row
	for _, r := range []row{
		{
			name: "static", job: job{routes: static},
			about: "gin exports no lookup: its HandleContext on a context of one's own, with a handler that does nothing, " +
				"comes closest. Those of ServeMux and chi read more than the path.",
		},
		{name: hit, job: job{routes: params1}},
		{name: "GitHub", job: job{routes: github}, targets: []target{
			{of: ratio, most: 0.8},
			{of: allocations, most: 0},
		}},
	} {
		r.group = rawTree
		r.contestants = func() []*contestant { return rawField(&r) }
		all = append(all, &r)
	}
	return all
}

// lookup finds the route of a request, and says how many params it has found and whether there is such a route.
type lookup func(*request) (params int, ok bool)

// rawField are the lookups of the row.
func rawField(r *row) []*contestant {
	asked := requests(r.routes)
	return []*contestant{
		rawContestant(ours, asked, rawKami(r.routes)),
		rawContestant("httprouter", asked, rawHTTPRouter(r.routes)),
		rawContestant("gin", asked, rawGin(r.routes)),
		rawContestant("httptreemux", asked, rawHTTPTreeMux(r.routes)),
		rawContestant("chi", asked, rawChi(r.routes)),
		rawContestant(serveMux, asked, rawServeMux(r.routes)),
		r.contestant(floorPeer),
	}
}

func rawContestant(name string, asked []request, find lookup) *contestant {
	next, wrong := 0, ""
	return &contestant{
		name: name,
		run: func(n int) {
			for range n {
				q := &asked[next]
				if params, ok := find(q); !ok || params != len(q.params) {
					wrong = fmt.Sprintf("%s %s: found %v, %d params", q.method, q.path, ok, params)
				}
				if next++; next == len(asked) {
					next = 0
				}
			}
		},
		check: func() error {
			if wrong != "" {
				return fmt.Errorf("%s", wrong)
			}
			return nil
		},
	}
}

func rawHTTPRouter(routes []*route) lookup {
	m := httprouter.New()
	for _, rt := range routes {
		m.Handle(rt.method, rt.path, func(http.ResponseWriter, *http.Request, httprouter.Params) {})
	}
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
	c.Request = blankRequest()
	return func(q *request) (int, bool) {
		ok = false
		c.Request.Method, c.Request.URL.Path = q.method, q.path
		m.HandleContext(c)
		return params, ok
	}
}

func rawHTTPTreeMux(routes []*route) lookup {
	m := httptreemux.New()
	for _, rt := range routes {
		m.Handle(rt.method, rt.path, func(http.ResponseWriter, *http.Request, map[string]string) {})
	}
	w, r := &null{header: http.Header{}}, blankRequest()
	return func(q *request) (int, bool) {
		r.Method, r.URL.Path, r.RequestURI = q.method, q.path, q.path
		result, ok := m.Lookup(w, r)
		return len(result.Params), ok
	}
}

func rawChi(routes []*route) lookup {
	m := chi.NewRouter()
	for _, rt := range routes {
		m.MethodFunc(rt.method, rt.braced(), func(http.ResponseWriter, *http.Request) {})
	}
	c := chi.NewRouteContext()
	return func(q *request) (int, bool) {
		c.Reset()
		ok := m.Match(c, q.method, q.path)
		return len(c.URLParams.Keys), ok
	}
}

// rawServeMux takes the number of params from the pattern, for those that were found do not come out.
func rawServeMux(routes []*route) lookup {
	m, params := http.NewServeMux(), map[string]int{}
	for _, rt := range routes {
		pattern := rt.method + " " + rt.braced()
		m.HandleFunc(pattern, func(http.ResponseWriter, *http.Request) {})
		params[pattern] = len(rt.names)
	}
	r := blankRequest()
	return func(q *request) (int, bool) {
		r.Method, r.URL.Path = q.method, q.path
		_, pattern := m.Handler(r)
		return params[pattern], pattern != ""
	}
}

func blankRequest() *http.Request {
	r, err := http.NewRequest("GET", "/", nil)
	if err != nil {
		panic(err)
	}
	return r
}
