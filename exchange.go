package kami

import (
	"context"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/guregu/kami/internal/incoming"
	"github.com/guregu/kami/internal/lifetime"
	"github.com/guregu/kami/mutil"
)

// exchange is the context that a request begins with in a Mux, and the copy of the request that shows it. It is immutable once other
// code holds it; until then only request is filled in. User code may keep both.
//
// optimization: context, params and request are one allocation. It holds only what a context that outlives its request can still be
// asked for; everything else lives on the stack, see way and reached (BenchmarkServe/Param).
type exchange struct {
	in, base context.Context     // the incoming request's, and Mux.Context
	route    *route              // the Mux's unrouted if none answers
	chain    *chain[*middleware] // nil unless the context may be asked for it
	request  http.Request
}

// withParams is an exchange with a route that has params.
//
// optimization: those without are smaller (BenchmarkServe/Static).
type withParams struct {
	exchange
	params
}

// watched is an exchange with room for the proxy of the response's writer.
//
// optimization: the proxy is part of the allocation, so user code that keeps the context keeps the writer, which net/http has emptied by
// then: a kilobyte or so (BenchmarkServe/Observed).
type watched struct {
	withParams
	place mutil.Place
}

// kept is an exchange with what the goroutines of one request share.
type kept struct {
	watched
	chain chain[*middleware]
	rare  rare
}

// newExchange returns an exchange, the context that it is, and its params, nil if it has none. The chain may be nil. The request
// is the copy of r, which shows the pattern of the route by now, or where r is nil it is to be made yet.
func newExchange(in, base context.Context, c *chain[*middleware], d *decision, r *http.Request) (
	*exchange, context.Context, *params,
) {
	if len(d.route.names) == 0 {
		x := new(exchange)
		x.init(in, base, c, d)
		if r != nil {
			x.request = *r.WithContext(x)
		}
		return x, x, nil
	}
	x := new(withParams)
	x.init(in, base, c, d)
	path, _ := cutSlash(d.path)
	x.params.set(path, d.decode != nil, &d.spans)
	if r != nil {
		x.request = *r.WithContext(x)
	}
	return &x.exchange, x, &x.params
}

func (x *exchange) init(in, base context.Context, c *chain[*middleware], d *decision) {
	x.in, x.base, x.route = in, base, d.route
	if c != nil && (c.wraps || c.rare != nil) {
		x.chain = c
	}
}

// fill is newExchange for one that is there.
func (x *withParams) fill(in, base context.Context, c *chain[*middleware], d *decision) (
	*exchange, context.Context, *params,
) {
	x.init(in, base, c, d)
	if len(d.route.names) == 0 {
		return &x.exchange, &x.exchange, nil
	}
	path, _ := cutSlash(d.path)
	x.params.set(path, d.decode != nil, &d.spans)
	return &x.exchange, x, &x.params
}

// way is what has been decided about a request: the steps of its chain, what they lead to, and what begins and ends with it. What
// changes while the steps run is in reached.
type way struct {
	x       *exchange
	params  *params // nil if the route has none
	steps   []step[*middleware]
	end     ContextHandler
	from    *http.Request // the incoming one
	pattern string        // that requests show
	deep    bool          // whether its copy must be deep, for the sake of path values
	finish  func()        // what ends the context; nil if nothing is to
}

// rare is what the goroutines of one request share: standard middleware may run the rest of the chain in a goroutine that nobody
// waits for (http.TimeoutHandler). It also has the time, for loggers that ask for it. Most requests have none.
type rare struct {
	end      ContextHandler
	started  time.Time // zero if nobody asks
	formed   bool      // whether the request may have a form
	observed bool      // whether something runs after the chain

	// Of what runs within standard middleware, as far as those outside may know:
	changing sync.Mutex
	runs     []*reached                      // the runs of the chain under way, if there may be a form
	form     atomic.Pointer[multipart.Form]  // what of a form had been parsed when the last one began
	branched atomic.Pointer[context.Context] // what the context has become, if something runs after the chain
}

// reached is how far a request has come.
type reached struct {
	ctx     context.Context // what its context has become
	odd     bool            // whether that is no pointer, and so may be one that cannot be compared
	r       *http.Request   // what was last seen of it; nil if nobody has seen it
	stale   bool            // whether that may not have the context
	changed bool            // whether other code has made the context, which may not derive from kami's last one then
	view    *view           // that it is seen with

	within *rare           // nil outside of standard middleware, or if all is as usual
	from   int             // the step of the chain with which that goes on in it
	began  *http.Request   // what that began with
	form   *multipart.Form // what had been parsed before that
	handed *http.Request   // what standard middleware got, which it may have left to others; nil if there was none
}

// begin begins a way, with a new exchange, and returns the place for a proxy of the writer if that is watched. Bound is as for
// serve; timed means that the time is kept.
func (a *way) begin(
	at *reached, m *Mux, in context.Context, bound, watch, timed bool, d *decision, c *chain[*middleware], r *http.Request,
) (place *mutil.Place) {
	a.steps, a.end, a.from = c.steps, d.end, r
	if d.routed() {
		a.deep = isVanilla(d.end) && len(d.route.names) > 0 && sharesPathValues(r)
		a.pattern = d.route.path
		if d.route.method == anyMethod { // which may mount a Mux
			a.pattern = d.route.innermost(d.message, r.Method, r.URL).path
		}
		if a.pattern != "" {
			r.Pattern = a.pattern
		}
	}
	formed := c.wraps && mayHaveForm(r)
	switch {
	case timed || c.wraps && (watch || formed || !d.routed()):
		k := new(kept)
		k.chain, k.rare.end, k.rare.formed, place = *c, d.end, formed, &k.place
		k.chain.rare = &k.rare
		if timed {
			k.rare.started = time.Now()
		}
		a.x, at.ctx, a.params = k.fill(in, m.base(), &k.chain, d)
	case watch:
		x := new(watched)
		place = &x.place
		a.x, at.ctx, a.params = x.fill(in, m.base(), c, d)
	default:
		a.x, at.ctx, a.params = newExchange(in, m.base(), c, d, nil)
	}
	at.stale = true
	if cancel := m.cancels(); bound || cancel {
		a.finish = m.setEnd(a.x, cancel)
	}
	return place
}

// mayHaveForm reports whether the request may bring a form. ContentLength 0 may mean unknown: requests that were not made by net/http's
// server do not always say -1.
//
// optimization: the header is read by its canonical name (BenchmarkServe/Standard).
func mayHaveForm(r *http.Request) bool {
	return r.ContentLength != 0 || r.Body != nil && r.Body != http.NoBody && len(r.Header["Content-Type"]) > 0
}

// sharesPathValues reports whether the request has path values. Plain copies of it share them.
func sharesPathValues(r *http.Request) bool {
	for _, field := range pathValueFields {
		if reflect.ValueOf(r).Elem().FieldByIndex(field).Len() > 0 {
			return true
		}
	}
	return len(pathValueFields) < 2
}

// pathValueFields are the fields in which net/http keeps path values, which no method lists. If another release lacks them, all
// requests count as having path values.
var pathValueFields = func() (indices [][]int) {
	for _, name := range []string{"matches", "otherValues"} {
		field, ok := reflect.TypeFor[http.Request]().FieldByName(name)
		if ok && (field.Type.Kind() == reflect.Map || field.Type.Kind() == reflect.Slice) {
			indices = append(indices, field.Index)
		}
	}
	return indices
}()

// receive makes the exchange's own request of the incoming one.
func (a *way) receive(ctx context.Context) *http.Request {
	x := a.x
	if a.deep {
		x.request = *a.from.Clone(ctx)
	} else {
		x.request = *a.from.WithContext(ctx)
	}
	x.request.Pattern = a.pattern
	if a.params != nil && isVanilla(a.end) {
		a.setPathValues()
	}
	return &x.request
}

// end is what the chain of a request with standard middleware leads to.
func (x *exchange) end() ContextHandler {
	if x.chain.rare != nil {
		return x.chain.rare.end
	}
	return x.route.handler
}

// setPathValues sets the params for handlers without context.
func (a *way) setPathValues() {
	for i, name := range a.x.route.names {
		if name.text != "" {
			a.x.request.SetPathValue(name.text, a.params.value(a.x.route, i))
		}
	}
}

// run runs the chain from step i on.
func (a *way) run(i int, w http.ResponseWriter, at *reached) {
	for ; i < len(a.steps); i++ {
		s := &a.steps[i]
		if s.view != at.view {
			at.look(a, s.view)
		}
		var ctx context.Context
		switch mw := s.ware; {
		case mw.run != nil:
			ctx = mw.run(at.ctx, w, at.see(a))
		case mw.derive != nil:
			ctx = mw.derive(at.ctx)
		default:
			a.goInto(i, w, at)
			return
		}
		if ctx == nil {
			return
		}
		at.adopt(a.x, s.ware, ctx)
		if at.within != nil && at.within.observed {
			at.within.publish(ctx)
		}
	}
	if at.view != nil {
		at.look(a, routeView)
	}
	r := at.see(a)
	a.end.ServeHTTPContext(at.ctx, w, r)
}

// adopt takes over the context that middleware has returned or, if by is nil, afterware. A context that is no pointer counts as new.
//
// optimization: an unchanged one costs a comparison (BenchmarkServe/Observed), and the request is copied for a new one only when other
// code is to get it (BenchmarkServe/Derive).
func (at *reached) adopt(x *exchange, by *middleware, ctx context.Context) {
	if at.odd || ctx != at.ctx {
		at.take(x, by, ctx)
	}
}

func (at *reached) take(x *exchange, by *middleware, ctx context.Context) {
	if by != nil && !by.descends.Load() {
		by.mustDescend(x, ctx)
	}
	at.ctx, at.odd, at.stale, at.changed = ctx, !isPointer(ctx), true, true
}

// put makes ctx, a pointer of kami's own, the request's context. Stale says whether the request still has another one.
func (at *reached) put(ctx context.Context, stale bool) { at.ctx, at.odd, at.stale = ctx, false, stale }

// publish tells what the context has become within standard middleware.
func (a *rare) publish(ctx context.Context) { a.branched.Store(&ctx) }

// see returns the request with the context that it has come to.
func (at *reached) see(a *way) *http.Request {
	if at.stale {
		at.refresh(a)
	}
	return at.r
}

func (at *reached) refresh(a *way) {
	if at.stale = false; at.r == nil {
		at.r = a.receive(at.ctx)
	} else {
		at.r = at.r.WithContext(at.ctx)
	}
}

// look makes the params of the view the first that the context shows.
func (at *reached) look(a *way, v *view) {
	r := at.see(a)
	seen := &viewed{Context: at.ctx, view: v, x: a.x}
	seen.request = *r.WithContext(seen)
	at.r, at.view = &seen.request, v
	at.put(seen, false)
}

// release ends a run of the chain: it sees to the files of a parsed form. net/http removes those of the incoming request's form. Files
// parsed inside standard middleware are removed here, because the outer handler may be gone. The outermost run also ends the context
// if that ends with the request.
func (a *way) release(at *reached) {
	form := a.parsed(at)
	switch {
	case form == nil:
	case at.within == nil:
		a.from.MultipartForm = form
	case form != at.form:
		_ = form.RemoveAll()
	}
	if a.finish != nil && at.within == nil {
		a.finish()
	}
}

// parsed returns the form that was parsed, as far as may be known.
//
// optimization: most often that is seen without a call (BenchmarkServe/Observed).
func (a *way) parsed(at *reached) *multipart.Form {
	switch {
	case at.handed != nil:
		return a.parsedWithin(at)
	case at.r == nil:
		return nil
	default:
		return at.r.MultipartForm
	}
}

// parsedWithin is parsed where standard middleware got the request.
func (a *way) parsedWithin(at *reached) *multipart.Form {
	switch {
	case at.r == nil:
		return nil
	case at.r != at.handed && at.r.MultipartForm != nil:
		return at.r.MultipartForm
	case a.x.chain.rare == nil || !a.x.chain.rare.formed:
		return nil
	case a.x.chain.rare.isHandling(at.handed, at):
		return a.x.chain.rare.form.Load()
	default:
		return at.handed.MultipartForm
	}
}

// isHandling reports whether a run other than this one, and than those around it, may be parsing the request: one that
// http.TimeoutHandler does not wait for, say.
func (a *rare) isHandling(r *http.Request, outer *reached) bool {
	a.changing.Lock()
	defer a.changing.Unlock()
	return slices.ContainsFunc(a.runs, func(other *reached) bool {
		return other != outer && other.from >= outer.from && other.began == r
	})
}

// begin adds a run, and returns what takes it away.
func (a *rare) begin(run *reached) (end func()) {
	a.changing.Lock()
	defer a.changing.Unlock()
	a.runs = append(a.runs, run)
	return func() {
		a.changing.Lock()
		defer a.changing.Unlock()
		a.runs = slices.DeleteFunc(a.runs, func(other *reached) bool { return other == run })
	}
}

// pass runs the chain and the handler of a usual request, as run does for any.
//
// optimization: only the context and the request change on this way (BenchmarkServe/Value and Derive).
func (x *exchange) pass(
	at *reached, steps []step[*middleware], handler HandlerFunc, w http.ResponseWriter, r *http.Request,
) {
	r.Pattern = x.route.path
	for i := range steps {
		var next context.Context
		switch mw := steps[i].ware; {
		case mw.derive != nil:
			next = mw.derive(at.ctx)
		case mw.run != nil:
			if at.stale {
				at.r, at.stale = x.show(at.r, at.ctx, r), false
			}
			next = mw.run(at.ctx, w, at.r)
		default:
			if i > 0 {
				at.ctx, at.stale = x.leading(at.ctx, i, at.stale)
			}
			if at.stale {
				at.r = x.show(at.r, at.ctx, r)
			}
			handed := at.r
			at.r = nil // it may be left to others
			mw.standard.ServeHTTPContext(at.ctx, w, handed)
			return
		}
		if next == nil {
			return
		}
		at.adopt(x, steps[i].ware, next)
	}
	if at.stale {
		at.r, at.stale = x.show(at.r, at.ctx, r), false
	}
	handler(at.ctx, w, at.r)
}

// show returns the request with the context, as a copy of that which was seen last, nil for none, or of the incoming one.
func (x *exchange) show(last *http.Request, ctx context.Context, r *http.Request) *http.Request {
	if last == nil {
		x.request = *r.WithContext(ctx)
		return &x.request
	}
	return last.WithContext(ctx)
}

// keepForm lets whoever made the incoming request see the form that was parsed in a copy of it.
func keepForm(from, r *http.Request) {
	if r != nil && r.MultipartForm != nil {
		from.MultipartForm = r.MultipartForm
	}
}

// isPointer reports whether a context is a pointer. Comparing two values of an uncomparable type panics; contexts that are no pointers
// are rare, so kami never compares them.
func isPointer(ctx context.Context) bool { return reflect.ValueOf(ctx).Kind() == reflect.Pointer }

// Deadline is the deadline of the context that ends this one.
func (x *exchange) Deadline() (time.Time, bool) { return x.Ends().Deadline() }

// Done is closed when the context that ends this one has ended.
func (x *exchange) Done() <-chan struct{} { return x.Ends().Done() }

// Err returns the error of the context that ends this one.
func (x *exchange) Err() error { return x.Ends().Err() }

// Value looks among the incoming request's values first, then among those of the Mux's Context. The context
// package's own key goes to the context that ends this one (see lifetime.CancelKey).
func (x *exchange) Value(key any) any {
	if x.mayOwn(key) {
		if value, ok := x.own(key, x); ok {
			return value
		}
	}
	if value := x.in.Value(key); value != nil {
		return value
	}
	return x.base.Value(key)
}

// mayOwn reports whether a key may be one that the exchange answers itself.
//
// optimization: a type switch rules out almost every key (bench, Same work).
func (x *exchange) mayOwn(key any) bool {
	switch key.(type) {
	case incoming.Key, *middleware:
		return true
	}
	return key == lifetime.CancelKey
}

// own returns the exchange's own value for a key, and whether it answers that. Self is the exchange, or what has its params.
func (x *exchange) own(key any, self context.Context) (value any, ok bool) {
	switch key := key.(type) {
	case incoming.Key:
		if key == incoming.Params {
			return self, true
		}
		return incoming.Exchange(x), true
	case *middleware:
		return x, x.find(key, nil) >= 0
	}
	if key == lifetime.CancelKey {
		return x.Ends().Value(key), true
	}
	return nil, false
}

// Incoming returns the context that the request came with, through all Muxes that it came through.
func (x *exchange) Incoming() context.Context { return incoming.Context(x.in) }

// Started returns when the request came, if a logger asks for that.
func (x *exchange) Started() time.Time {
	if x.chain == nil || x.chain.rare == nil {
		return time.Time{}
	}
	return x.chain.rare.started
}

// HandlerName returns the name that the handler has given itself, "" if it has none. In the place of a mounted Mux it is the handler
// that this has for a request for the URL.
func (x *exchange) HandlerName(method string, u *url.URL) string {
	r := x.route.innermost(incoming.MessageOf(x.in) != nil, method, u)
	name, _ := ownName(r.handler)
	return name
}

// String names the context when it is printed, which would otherwise print the request with all its headers.
func (x *exchange) String() string {
	if x.route.path == "" {
		return "kami.Context"
	}
	return fmt.Sprintf("kami.Context(%s %s)", x.route.methods(), x.route.path)
}

// Value is that of the exchange, but for the params. Its code is the same.
//
// optimization: that spares a call for each lookup (bench, Same work).
func (x *withParams) Value(key any) any {
	if x.mayOwn(key) {
		if value, ok := x.own(key, x); ok {
			return value
		}
	}
	if value := x.in.Value(key); value != nil {
		return value
	}
	return x.base.Value(key)
}

// String names the context, as an exchange's does.
func (x *withParams) String() string {
	return fmt.Sprintf("kami.Context(%s %s)", x.route.methods(), x.path)
}
