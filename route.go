package kami

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unique"

	"github.com/guregu/kami/internal/half"
	"github.com/guregu/kami/internal/pathparams"
)

// route is one registered handler, or one of the two routes of a mount. Routes whose paths differ only in names and a trailing slash are a
// list, by method: a leaf of the tree. A mount's route is alone in its list. It is immutable.
type route struct {
	mux     *Mux
	method  string
	handler ContextHandler
	names   []pathparams.Name
	either  bool // whether it takes paths with and without a slash at the end

	// The same for all of a list:
	slash bool                  // whether one of the paths ends with a slash, which then counts for all
	allow unique.Handle[string] // the Allow header: their methods, and those that come with them

	path  string // as registered, or "/p/" and "/p/*" for what is mounted at /p
	place place
	next  *route // in the list
}

// common is what the routes of a Mux have in common.
//
// optimization: in one piece of memory it stays in the processor's caches, however many routes there are (bench, Growth), and
// what is known need not be made again (BenchmarkC27Register100000).
type common struct {
	names pathparams.Names
	allow map[string]unique.Handle[string] // the Allow headers of lists of one, by its method
}

// allowOf returns the Allow header of a list.
func (c *common) allowOf(list []*route) unique.Handle[string] {
	if len(list) > 1 {
		return unique.Make(allowed(list))
	}
	method := list[0].method
	if known, ok := c.allow[method]; ok {
		return known
	}
	if c.allow == nil {
		c.allow = make(map[string]unique.Handle[string])
	}
	c.allow[method] = unique.Make(allowed(list))
	return c.allow[method]
}

// with returns the list with one more route. It may be nil, for none so far.
func (r *route) with(added *route, c *common) (*route, error) {
	all := append(make([]*route, 0, 8), added)
	for old := r; old != nil; old = old.next {
		if old.method == added.method || old.method == anyMethod || added.method == anyMethod {
			return nil, conflict(added, old)
		}
		copied := *old
		all = append(all, &copied)
	}
	slices.SortFunc(all, func(a, b *route) int { return strings.Compare(a.method, b.method) })
	allow := c.allowOf(all)
	slash := added.slash || r != nil && r.slash
	for i, own := range all {
		own.slash, own.allow, own.next = slash, allow, nil
		if i+1 < len(all) {
			own.next = all[i+1]
		}
	}
	return all[0], nil
}

// conflict is the error of a route that matches the same paths as another.
func conflict(added, old *route) error {
	other := old.registered()
	if old.method == added.method && old.method != anyMethod {
		other = strconv.Quote(old.path)
	}
	return fmt.Errorf("kami: %s (%s) conflicts with %s (%s): both match the same paths",
		added.registered(), added.place, other, old.place)
}

// all returns the list's routes.
func (r *route) all() (all []*route) {
	for ; r != nil; r = r.next {
		all = append(all, r)
	}
	return all
}

// find returns the list's route for the method, or nil. HEAD is served by GET's.
func (r *route) find(method string) *route {
	var get *route
	for ; r != nil; r = r.next {
		if r.method == method {
			return r
		}
		switch r.method {
		case http.MethodGet:
			get = r
		case anyMethod:
			return r
		}
	}
	if method == http.MethodHead {
		return get
	}
	return nil
}

// allowed returns the Allow header for paths of the routes (RFC 9110, section 10.2.1).
func allowed(routes []*route) string {
	methods := append(make([]string, 0, 16), http.MethodOptions)
	for _, r := range routes {
		methods = append(methods, r.method)
		if r.method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	slices.Sort(methods)
	return strings.Join(slices.Compact(methods), ", ")
}

// Fail answers an error as one of a handler of the route is answered.
func (r *route) Fail(ctx context.Context, w http.ResponseWriter, request *http.Request, err error) {
	r.mux.fail(ctx, half.Telling(w), request, err)
}
