package kami

import (
	"context"
	"fmt"
	"mime/multipart"
	"net/http"
	"reflect"
	"time"

	"github.com/guregu/kami/internal/incoming"
)

// exchange is one request on its way through a Mux, and the context that it begins with. Once it is on its way nothing
// in it changes, so whoever holds the context or the request may keep them.
//
// optimization: context, params and request are one allocation, which has but what a kept context may be asked for; all
// else of a request is in its decision and its way (BenchmarkServe/Param). The request's context is the exchange.
type exchange struct {
	in, base context.Context // the incoming request's, and Mux.Context
	params
	outcome *outcome // nil if nothing but the chain is to run
	request http.Request
}

// way is what a request passes on its way.
type way struct {
	steps []step[*middleware]
	end   ContextHandler
	from  *http.Request // the incoming one
}

// receive makes the exchange's own request of the incoming one, and tells both which route it is.
func (x *exchange) receive(r *http.Request) {
	x.request = *r.WithContext(x)
	if x.route != nil {
		if x.route.vanilla {
			x.setPathValues(r)
		}
		r.Pattern = x.route.path
	}
	x.request.Pattern = x.pattern()
}

// pattern is what r.Pattern is for the handlers: that of the route, or none.
func (x *exchange) pattern() string {
	if x.route == nil {
		return ""
	}
	return x.route.path
}

// setPathValues sets the params for handlers without context. The incoming request shares its path values with a plain
// copy, so where it is seen to have some the copy is deep. (Values of other names alone, without a Pattern, cannot be
// seen.)
func (x *exchange) setPathValues(r *http.Request) {
	shared := r.Pattern != ""
	for _, name := range x.route.names {
		shared = shared || r.PathValue(name) != ""
	}
	if shared {
		x.request = *r.Clone(x)
	}
	for i, name := range x.route.names {
		if name != "" {
			x.request.SetPathValue(name, x.value(i))
		}
	}
}

// run runs the chain from step i on. In is the branch that it runs in: within standard middleware, and so perhaps in
// another goroutine, for which nobody waits. It is nil outside.
func (x *exchange) run(along way, i int, w http.ResponseWriter, r *http.Request, in *branch) {
	defer func() { along.release(r, in) }()
	for ; i < len(along.steps); i++ {
		mw, view := along.steps[i].ware, along.steps[i].view
		if i == 0 || view != along.steps[i-1].view {
			r = view.onto(r)
		}
		var ctx context.Context
		switch {
		case mw.standard != nil:
			x.branch(along, i, w, r)
			return
		case mw.derive != nil:
			ctx, i = x.derive(along, i, r.Context())
		default:
			ctx = mw.run(r.Context(), w, r)
		}
		if ctx == nil {
			return
		}
		r = adopt(r, ctx)
		x.reached(r, in)
	}
	if i > 0 && along.steps[i-1].view != nil {
		r = routeView.onto(r)
	}
	along.end.ServeHTTPContext(r.Context(), w, r)
}

// derive runs middleware that sees nothing but the context: the step i, and those that follow it with the same view, as far
// as nothing that runs after the chain is to know the contexts between them. It returns the last step that it has run.
//
// optimization: the request is copied but once, for whoever sees it next (BenchmarkServe/Derive).
func (x *exchange) derive(along way, i int, ctx context.Context) (context.Context, int) {
	for {
		ctx = along.steps[i].ware.derive(ctx)
		next := i + 1
		if ctx == nil || x.outcome != nil || next == len(along.steps) ||
			along.steps[next].ware.derive == nil || along.steps[next].view != along.steps[i].view {
			return ctx, i
		}
		i = next
	}
}

// branch runs standard middleware, the step i, in which the chain may go on with the next step.
func (x *exchange) branch(along way, i int, w http.ResponseWriter, r *http.Request) {
	mw := along.steps[i].ware
	b := &branch{Context: r.Context(), x: x, way: along, of: mw, next: i + 1, form: r.MultipartForm}
	b.request = *r.WithContext(b)
	mw.standard.ServeHTTPContext(b, w, &b.request)
	if !b.entered.Load() { // else the request may be in use still
		along.release(&b.request, b)
	}
}

// release sees to the files of a form that was parsed on the way. net/http removes those of the incoming request when
// that has ended; what a branch leaves goes at once, for it may be that nobody waits for it.
func (along *way) release(r *http.Request, in *branch) {
	if in == nil {
		if r.MultipartForm != nil {
			along.from.MultipartForm = r.MultipartForm
		}
		return
	}
	removeForm(r, in.form)
}

// removeForm removes the files of the request's form, as net/http does, unless it was parsed before.
func removeForm(r *http.Request, before *multipart.Form) {
	if r.MultipartForm != nil && r.MultipartForm != before {
		_ = r.MultipartForm.RemoveAll()
	}
}

// reached tells the outcome what the request has become. In a branch that is its context: handlers that nobody waits for
// may still change the request.
func (x *exchange) reached(r *http.Request, in *branch) {
	switch {
	case x.outcome == nil:
	case in == nil:
		x.outcome.r = r
	default:
		ctx := r.Context()
		x.outcome.branched.Store(&ctx)
	}
}

// adopt returns the request with ctx, which other code has made, as its context. Nowhere else does a request get such.
func adopt(r *http.Request, ctx context.Context) *http.Request {
	if same(ctx, r.Context()) {
		return r
	}
	return r.WithContext(ctx)
}

// same reports whether a and b are one context, for any types that they may have.
//
// optimization: pointers, as most contexts are, need no look at what they hold (BenchmarkServe/Value).
func same(a, b context.Context) bool {
	if a == nil || reflect.TypeOf(a) != reflect.TypeOf(b) {
		return a == b
	}
	pointers := reflect.TypeOf(a).Kind() == reflect.Pointer
	return (pointers || reflect.ValueOf(a).Comparable()) && a == b
}

// onto returns the request as what the view is for sees it. A nil view changes nothing.
func (v *view) onto(r *http.Request) *http.Request {
	if v == nil {
		return r
	}
	seen := &viewed{Context: r.Context(), view: v}
	seen.request = *r.WithContext(seen)
	return &seen.request
}

// Deadline is that of what governs the request.
func (x *exchange) Deadline() (time.Time, bool) { return x.ends().Deadline() }

// Done is that of what governs the request.
func (x *exchange) Done() <-chan struct{} { return x.ends().Done() }

// Err is that of what governs the request.
func (x *exchange) Err() error { return x.ends().Err() }

// Value looks among the incoming request's values first, then among those of the Mux's Context. What the context
// package asks to find out who cancels is for whoever does.
func (x *exchange) Value(key any) any {
	switch key {
	case paramsKey{}:
		return x
	case cancelKey:
		return x.ends().Value(key)
	case incoming.Key{}:
		return incoming.Exchange(x)
	}
	if value := x.in.Value(key); value != nil {
		return value
	}
	return x.base.Value(key)
}

// Incoming returns the context that the request came with, through all Muxes that it came through.
func (x *exchange) Incoming() context.Context { return incoming.Context(x.in) }

// Started returns when the request came, if there is a LogHandler, for which that is.
func (x *exchange) Started() time.Time {
	if x.outcome == nil {
		return time.Time{}
	}
	return x.outcome.started
}

// String names the context when it is printed, which would otherwise print the request with all its headers.
func (x *exchange) String() string {
	return fmt.Sprintf("kami.Context(%s %s)", x.request.Method, x.path)
}
