package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
)

// drive sends the requests of a row to a handler, one after the other, again and again.
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
		var ctx context.Context
		ctx, d.end = servedContext()
		d.r = d.r.WithContext(ctx)
	}
	d.r.Body = &d.exam
	return d
}

// servedContext is a context of the shape that net/http gives to a request.
func servedContext() (context.Context, context.CancelFunc) {
	ctx := context.WithValue(context.Background(), http.ServerContextKey, new(http.Server))
	ctx = context.WithValue(ctx, http.LocalAddrContextKey, net.Addr(new(net.TCPAddr)))
	return context.WithCancel(ctx)
}

// run sends n requests. It restores what a framework may have changed in the request: there is one for all.
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

// prove sends all of the requests once, to handlers that look for all params and values in both contexts. Those that are timed look
// for that of the base in both and for those of middleware in their own.
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
