package kami

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/guregu/kami/internal/funcs"
	"github.com/guregu/kami/internal/patterns"
	"github.com/guregu/kami/internal/scopes"
	"github.com/guregu/kami/treemux"
)

// Route is a registered route.
type Route struct {
	Method  string `json:"method"` // "*" for all methods, which mounts have
	Pattern string `json:"pattern"`
	Handler string `json:"handler"` // the name of the function, such as main.greet, or the type, or the result of its method HandlerName
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
	Name  string `json:"name"`  // of the function, such as main.login, or the type
	Place string `json:"place"` // where it was registered, as app/routes.go:31
	// Whether it is middleware of the type http.Handler or func(w, r), which halts only by answering with a status of 400 or more or
	// by hijacking the connection. For example, a redirect does not keep the handler from running.
	ReadOnly bool `json:"readOnly,omitempty"`
}

// String prints the scope for people, on one line.
func (s Scope) String() string { return fmt.Sprintf("%s  %s (%s)", s.Path, s.Name, s.Place) }

// Routes returns all routes, by pattern and then by method. A mounted Mux is listed as its routes that lie below the mount's path.
func (m *Mux) Routes() iter.Seq[Route] {
	return slices.Values(m.plan().describe())
}

// describe returns the routes as [Mux.Routes] has them.
func (p *plan) describe() (all []Route) {
	for _, r := range p.allRoutes() {
		switch inner := r.mounted(); {
		case inner == nil:
			all = append(all, r.describe())
		case r.path != r.mountPath():
			all = append(all, inner.plan().below(r.mountPath())...)
		}
	}
	slices.SortStableFunc(all, func(a, b Route) int { return compareRoutes(a.Pattern, a.Method, b.Pattern, b.Method) })
	return all
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

// below returns the routes for the path of a mount and for paths below it.
func (p *plan) below(mount string) []Route {
	prefix, _ := treemux.Parse(mount) // the registration has parsed it, so there is no error
	return slices.DeleteFunc(p.describe(), func(r Route) bool {
		pattern, _ := treemux.Parse(r.Pattern)
		return !patterns.Reaches(prefix, pattern)
	})
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
		return funcs.NameOf(h.Handler)
	case *failing:
		return funcs.NameOf(h.handle)
	case erring:
		return funcs.NameOf(h.mux.errorHandler())
	}
	return funcs.NameOf(h)
}

// ownName returns the name that a handler gives itself, if it does.
func ownName(h ContextHandler) (name string, ok bool) {
	named, ok := unwrapped(h).(interface{ HandlerName() string })
	if ok {
		name = named.HandlerName()
	}
	return name, ok
}

// unwrapped returns the handler that was registered, which newHandler may have wrapped in a vanilla.
func unwrapped(h ContextHandler) any {
	if v, ok := h.(*vanilla); ok {
		return v.Handler
	}
	return h
}

// Scopes returns all middleware and then all afterware: static scopes and then those with params, each before what lies
// below it, and within a scope in the order of registration. It does not include mounted Muxes.
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
type ware interface {
	scopes.Ware
	registration() registration
}

// registered returns what is registered in the scopes.
func registered[T ware](s *scopes.Set[T]) (all []registration) {
	for _, w := range s.All() {
		all = append(all, w.registration())
	}
	return all
}

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
	pattern, _ := treemux.Parse(e.path) // the registration has parsed it, so there is no error
	return registration{Scope{Kind: kind, Path: e.path, Name: e.name, Place: e.place.String()}, pattern}
}
