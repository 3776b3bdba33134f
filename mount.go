package kami

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/guregu/kami/treemux"
)

// anyMethod is the method of a mount's routes, which are for all.
const anyMethod = ""

var (
	errMountCatchAll = errors.New("what is mounted gets all paths below it anyway: leave the catch-all out")
	errMountItself   = errors.New("a Mux must not be mounted in itself, nor in one that is mounted in it")
)

// Mount hands all requests for the path and for all paths below it to the handler, whatever their method. The path may have
// params, and a slash at its end makes no difference. The handler sees the whole path: http.StripPrefix takes the prefix off.
//
//	mux.Mount("/admin/", admin)                                 // a Mux whose routes are /admin/stats and so on
//	mux.Mount("/old/", http.StripPrefix("/old", legacy))        // a handler that knows /users as /users
//	                                                            // (for /old itself it gets an empty path)
//	mux.Mount("/t/:tenant/", tenants)                           // its routes are /t/:tenant/users and so on
//
// Routes of this Mux below the path go before the mounted handler, for the methods that they have. Scopes of this Mux run before it,
// so Use("/admin/", guard) guards all of it. A path that is not clean never gets there, as with routes.
// Mount panics as [Mux.Handle] does, also if the path, or a catch-all below it, is a route or a mount already.
//
// If the handler is a *Mux, and not wrapped, r.Pattern is the path of the inner route everywhere: in the scopes and hooks of this
// Mux, and in the request that was passed to it. [Mux.Routes] and [Mux.Explain] include the inner Mux. The inner Mux answers 404,
// 405, redirects and OPTIONS, by its own NotFound and MethodNotAllowed. Its routes are registered with their whole paths.
// Any other handler has the routes "/old/" and "/old/*", with the method "*" for all methods.
//
// An inner Mux has its own scopes, settings and hooks. If its Context and this one's have a value for the same key, handlers get
// this one's, because it belongs to the incoming request. Middleware can set the inner one's:
//
//	inner.Use("/", func(ctx context.Context) context.Context {
//		return context.WithValue(ctx, dbKey{}, innerDB)
//	})
func (m *Mux) Mount(path string, handler HandlerType) {
	place := caller()
	what := fmt.Sprintf("Mount %q", path)
	pattern, err := treemux.Parse(path)
	if err == nil && pattern.CatchAll() {
		err = errMountCatchAll
	}
	var h ContextHandler
	if err == nil {
		h, err = newRouted(handler, m, pattern)
	}
	if inner, ok := h.(*Mux); ok && inner.mounts(m) {
		err = errMountItself
	}
	if err != nil {
		refuse(what, place, err)
	}
	path = strings.TrimSuffix(path, "/") + "/"
	var routes []*route
	var patterns []treemux.Pattern
	for _, path := range []string{path, path + "*"} {
		pattern, _ := treemux.Parse(path) // the path was parsed above, and the rest cannot be wrong
		added := &route{mux: m, method: anyMethod, handler: h, path: path, place: place, either: true}
		routes, patterns = append(routes, added), append(patterns, pattern)
	}
	if err := m.addAll(routes, patterns); err != nil {
		panic(err.Error())
	}
}

// mounts reports whether the Mux is the other one, or that is mounted somewhere in it.
func (m *Mux) mounts(other *Mux) bool {
	return m == other || slices.ContainsFunc(m.plan().allRoutes(), func(r *route) bool {
		inner := r.mounted()
		return inner != nil && inner.mounts(other)
	})
}

// mounted returns the Mux that the route mounts, or nil.
func (r *route) mounted() *Mux {
	if r.method != anyMethod {
		return nil
	}
	inner, _ := r.handler.(*Mux)
	return inner
}

// methods names the methods of the route.
func (r *route) methods() string {
	if r.method == anyMethod {
		return "*"
	}
	return r.method
}

// registered says what was registered, as GET "/users/:id" or Mount "/old/".
func (r *route) registered() string {
	if r.method == anyMethod {
		return fmt.Sprintf("Mount %q", r.mountPath())
	}
	return fmt.Sprintf("%s %q", r.method, r.path)
}

// mountPath returns the path of the mount whose route this is.
func (r *route) mountPath() string { return strings.TrimSuffix(r.path, "*") }

// innermost returns the route that answers a request for the URL: the route itself or, if it mounts a Mux, the route in that. It is an
// unrouted one if none answers there. Message says that the request is a message's.
func (r *route) innermost(message bool, method string, u *url.URL) *route {
	for inner := r.mounted(); inner != nil; inner = r.mounted() {
		within := decision{message: message}
		within.decide(inner.registered(), method, u)
		within.stay()
		r = within.route
	}
	return r
}

// explainWithin adds what the Mux runs that the route mounts, if it mounts one.
func (d *decision) explainWithin(outer Explanation, u *url.URL) Explanation {
	inner := d.route.mounted()
	if inner == nil {
		return outer
	}
	e := inner.plan().explain(outer.Method, outer.Path, u)
	for _, steps := range [][]Step{e.Middleware, e.Afterware} {
		for i := range steps {
			if steps[i].Mount == "" {
				steps[i].Mount = d.route.mountPath()
			}
		}
	}
	e.Middleware = append(outer.Middleware, e.Middleware...)
	e.Afterware = append(e.Afterware, outer.Afterware...)
	for _, param := range outer.Params {
		hidden := slices.ContainsFunc(e.Params, func(own PathParam) bool { return own.Name == param.Name })
		if param.Name != "" && !hidden {
			e.Params = append(e.Params, param)
		}
	}
	return e
}
