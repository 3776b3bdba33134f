package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
)

// job says what a framework must do in a row.
type job struct {
	routes   []*route
	base     bool // every context has the params and the value of the app's base context
	values   int  // the number of context middlewares, each of which adds a value
	plain    bool // kami's have the type func(ctx) ctx
	standard int  // the number of middlewares of the type func(http.Handler) http.Handler, which pass the request on
	observed bool // a logger sees the status
	slashes  bool // a wrong trailing slash is redirected

	// Only kami has these.
	scopes   []string // of middleware that returns its context
	odd      bool     // middleware returns a context of a type that kami does not know
	fallible bool     // the handlers return errors
}

// odd is the context of such middleware.
type odd struct{ context.Context }

// keys and values are in the contexts: first the app's base value, then the values of middleware. They are pointers, as net/http's
// keys and most apps' values are, because a pointer goes into an interface without an allocation and is compared fast.
var keys, values [9]*value

type value struct{ i int }

func init() {
	for i := range keys {
		keys[i], values[i] = &value{i}, &value{i}
	}
}

// adding returns ctx with value i. All middleware adds values by it.
func adding(ctx context.Context, i int) context.Context {
	return context.WithValue(ctx, keys[i], values[i])
}

// carried is the context that an app would write for a router that passes the params only to its handlers. It holds the params
// and the app's base value in one allocation.
type carried[P any] struct {
	context.Context
	params P
}

type paramsKey struct{}

func (c *carried[P]) Value(key any) any {
	switch key {
	case paramsKey{}:
		return c
	case keys[0]:
		return values[0]
	}
	return c.Context.Value(key)
}

// paramsIn returns the params in the context. Handlers look for them once, and then get each by the router's own function.
func paramsIn[P any](ctx context.Context) (params P) {
	c, ok := ctx.(*carried[P])
	if !ok {
		c, ok = ctx.Value(paramsKey{}).(*carried[P])
	}
	if ok {
		return c.params
	}
	return params
}

// passOn is standard middleware that only calls next.
func passOn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r) })
}

// answered is the status of observed handlers. It is not 200, because a logger could assume that.
const answered = http.StatusAccepted

// exam says what a handler must find. It is the request's body, because every framework passes the body on, and so each request
// can have its own.
type exam struct {
	io.ReadCloser
	params   []string // the values of the route's params
	contexts int      // the number of values in the contexts
	strict   bool     // whether all values and params are looked for in both contexts
	observed bool

	taken  int    // how often a handler ran
	seen   int    // how often a logger saw the status
	failed string // what was wrong
}

// examOf returns the exam that comes with the request, or nil for one that came over the network.
func examOf(r *http.Request) *exam {
	e, _ := r.Body.(*exam)
	return e
}

// param compares the value of the i-th param. It is small enough to be inlined, because wrong is not: the work that is the same
// for all contestants should cost little.
func (e *exam) param(i int, value string) {
	if e != nil && !(i < len(e.params) && e.params[i] == value) {
		e.wrong(i, value)
	}
}

//go:noinline
func (e *exam) wrong(i int, value string) { e.failed = fmt.Sprintf("param %d is %q", i, value) }

// both reports whether the params are to be looked for in the request's context too.
func (e *exam) both() bool { return e != nil && e.strict }

// finish checks the handler's context and the request's, which may be the same, and answers if the job is observed.
func (e *exam) finish(w http.ResponseWriter, ctx, ofRequest context.Context) {
	if e == nil {
		answer(w, ctx, ofRequest)
		return
	}
	e.taken++
	for i := range e.contexts {
		if valueIn(ctx, i) != values[i] || (i == 0 || e.strict) && valueIn(ofRequest, i) != values[i] {
			e.lacks(i)
		}
	}
	if e.observed {
		w.WriteHeader(answered)
	}
}

//go:noinline
func (e *exam) lacks(i int) { e.failed = fmt.Sprintf("a context lacks value %d", i) }

// valueIn returns value i of the context, or nil.
func valueIn(ctx context.Context, i int) *value {
	v, _ := ctx.Value(keys[i]).(*value)
	return v
}

// answer answers a client on the network.
func answer(w http.ResponseWriter, ctx, ofRequest context.Context) {
	if valueIn(ctx, 0) != values[0] || valueIn(ofRequest, 0) != values[0] {
		w.WriteHeader(http.StatusInternalServerError)
	}
	_, _ = io.WriteString(w, "hello")
}

// logged is the logger hook.
func logged(r *http.Request, status int) {
	e := examOf(r)
	if e == nil {
		return
	}
	e.seen++
	if status != answered {
		e.failed = fmt.Sprint("a logger saw status ", status)
	}
}

// null is a ResponseWriter with the methods of HTTP/1's. It keeps only the status. The nil interfaces are never called.
type null struct {
	header http.Header
	status int
	http.Flusher
	http.Hijacker
}

func (n *null) Header() http.Header                 { return n.header }
func (n *null) Write(p []byte) (int, error)         { return len(p), nil }
func (n *null) WriteString(s string) (int, error)   { return len(s), nil }
func (n *null) ReadFrom(r io.Reader) (int64, error) { return io.Copy(io.Discard, r) }
func (n *null) WriteHeader(status int)              { n.status = status }

// recorder lets a logger see the status on routers whose writer does not tell it: most apps have such a wrapper.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// drive sends the requests of a row to a handler, one after the other.
type drive struct {
	handler  http.Handler
	requests []request
	status   int // of the answers; 0 if a handler answers
	next     int
	sent     int

	w    null
	r    *http.Request
	exam exam
	end  context.CancelFunc // of the request's context; never called
}

func newDrive(r *row, handler http.Handler, requests []request) *drive {
	d := &drive{handler: handler, requests: requests, status: r.status}
	d.w.header = http.Header{}
	d.exam = exam{ReadCloser: http.NoBody, observed: r.observed}
	if r.base {
		d.exam.contexts = 1 + r.values
	}
	d.r = httptest.NewRequest(requests[0].method, requests[0].path, nil)
	if r.served {
		ctx := context.WithValue(context.Background(), http.ServerContextKey, new(http.Server))
		ctx = context.WithValue(ctx, http.LocalAddrContextKey, net.Addr(new(net.TCPAddr)))
		ctx, d.end = context.WithCancel(ctx)
		d.r = d.r.WithContext(ctx)
	}
	d.r.Body = &d.exam
	return d
}

// run sends n requests. All use the same http.Request, so run restores what a framework may have changed in it.
func (d *drive) run(n int) {
	for range n {
		q := &d.requests[d.next]
		d.r.Method, d.r.URL.Path, d.r.RequestURI, d.r.Pattern = q.method, q.path, q.path, ""
		d.exam.params = q.params
		d.w.status = 0
		if len(d.w.header) > 0 {
			clear(d.w.header)
		}
		d.handler.ServeHTTP(&d.w, d.r)
		if d.next++; d.next == len(d.requests) {
			d.next = 0
		}
	}
	d.sent += n
}

// prove sends each request once. Handlers then look for all params and values in both contexts. While the clock runs, they look
// for the base value in both, and for the values of middleware in their own context.
func (d *drive) prove() {
	d.exam.strict = true
	d.run(len(d.requests))
	d.exam.strict = false
}

// check says what was wrong with the answers since the last check.
func (d *drive) check() error {
	sent, e, status := d.sent, d.exam, d.w.status
	d.sent, d.exam.taken, d.exam.seen, d.exam.failed = 0, 0, 0, ""
	switch {
	case e.failed != "":
		return fmt.Errorf("%s", e.failed)
	case d.status != 0 && status/100 == 3 && d.status/100 == 3 && d.w.header.Get("Location") != "":
		return nil // 301, 307 and 308 will all do
	case d.status != 0 && (status != d.status || e.taken != 0):
		return fmt.Errorf("status %d, want %d; the handler ran %d times", status, d.status, e.taken)
	case d.status == 0 && e.taken != sent:
		return fmt.Errorf("the handler ran %d times for %d requests, status %d", e.taken, sent, status)
	case d.exam.observed && e.seen != sent:
		return fmt.Errorf("the logger ran %d times for %d requests", e.seen, sent)
	}
	return nil
}
