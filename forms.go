package kami

import (
	"mime/multipart"
	"net/http"
	"slices"
)

// mayHaveForm reports whether the request may bring a form. ContentLength 0 may mean unknown: requests that were not made by net/http's
// server do not always say -1.
//
// optimization: the header is read by its canonical name (BenchmarkServe/Standard).
func mayHaveForm(r *http.Request) bool {
	return r.ContentLength != 0 || r.Body != nil && r.Body != http.NoBody && len(r.Header["Content-Type"]) > 0
}

// keepForm hands the form that was parsed in a copy of the incoming request to this, so that its files are removed with it.
func keepForm(from, r *http.Request) {
	if r != nil && r.MultipartForm != nil {
		from.MultipartForm = r.MultipartForm
	}
}

// release ends an exchange. net/http removes the files of the incoming request's form, so this gets the form that was parsed. It also ends
// the context, if that ends with the request.
func (x *exchange) release() {
	if form := x.parsed(); form != nil {
		x.from.MultipartForm = form
	}
	if x.finish != nil {
		x.finish()
	}
}

// parsed returns the form that was parsed during a run, or nil. Where standard middleware got the request, another goroutine may still be
// parsing it, and to read its form would be a race:
//
//	the run                                              the form
//	made no copy of the request                          nil
//	gave its copy to no standard middleware              the copy's
//	has another copy since then, with a form             that copy's
//	gave it away, and a run inside is under way with it  the one that was there before that run
//	gave it away, and no run is                          the copy's
//
// optimization: the first two cases need no call (BenchmarkServe/Observed).
func (x *exchange) parsed() *multipart.Form {
	switch {
	case x.handed != nil:
		return x.parsedWithin()
	case x.r == nil:
		return nil
	default:
		return x.r.MultipartForm
	}
}

// parsedWithin is parsed for a run that gave its copy to standard middleware.
func (x *exchange) parsedWithin() *multipart.Form {
	shared := x.own.sharing()
	switch {
	case x.r != x.handed && x.r.MultipartForm != nil:
		return x.r.MultipartForm
	case shared == nil || !shared.formed:
		return nil
	case shared.isHandling(x.handed, x.inner):
		return shared.form.Load()
	default:
		return x.handed.MultipartForm
	}
}

// innerRun is a run of the steps inside standard middleware, for a request that may have a form.
type innerRun struct {
	first int             // the step that it began with
	began *http.Request   // the request that it began with
	form  *multipart.Form // the form that had been parsed before
}

// runFor is run, inside of standard middleware, for requests that may have a form. It removes the files that were parsed during the run,
// because the outer handler may be gone.
//
// optimization: runs of requests without a form are not counted (BenchmarkServe/Standard).
func (x *exchange) runFor(i int, w http.ResponseWriter, shared *shared) {
	x.inner = &innerRun{i, x.r, x.r.MultipartForm}
	if x.inner.form != nil {
		shared.form.Store(x.inner.form)
	}
	defer shared.begin(x.inner)()
	defer func() {
		if form := x.parsed(); form != nil && form != x.inner.form {
			_ = form.RemoveAll()
		}
	}()
	x.run(i, w)
}

// begin adds a run, and returns the function that removes it.
func (s *shared) begin(run *innerRun) (end func()) {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.runs = append(s.runs, run)
	return func() {
		s.changing.Lock()
		defer s.changing.Unlock()
		s.runs = slices.DeleteFunc(s.runs, func(other *innerRun) bool { return other == run })
	}
}

// isHandling reports whether a run inside of outer, nil for the whole chain, may be parsing the request, such as one that
// http.TimeoutHandler does not wait for.
func (s *shared) isHandling(r *http.Request, outer *innerRun) bool {
	s.changing.Lock()
	defer s.changing.Unlock()
	return slices.ContainsFunc(s.runs, func(other *innerRun) bool {
		return other != outer && (outer == nil || other.first >= outer.first) && other.began == r
	})
}
