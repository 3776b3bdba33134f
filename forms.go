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

// release ends a run of the chain. net/http removes the files of the incoming request's form, so the outermost run hands its form to
// that. Files parsed inside standard middleware are removed here, because the outer handler may be gone. The outermost run also ends the
// context, if that ends with the request.
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

// parsedWithin is parsed for a run that gave its copy to standard middleware.
func (a *way) parsedWithin(at *reached) *multipart.Form {
	switch {
	case at.r == nil:
		return nil
	case at.r != at.handed && at.r.MultipartForm != nil:
		return at.r.MultipartForm
	case a.x.chain.shared == nil || !a.x.chain.shared.formed:
		return nil
	case a.x.chain.shared.isHandling(at.handed, at):
		return a.x.chain.shared.form.Load()
	default:
		return at.handed.MultipartForm
	}
}

// runFor is run, inside of standard middleware, for requests that may bring a form.
//
// optimization: runs of requests without a form are not counted (BenchmarkServe/Standard).
func (a *way) runFor(i int, w http.ResponseWriter, at *reached) {
	if at.form = at.r.MultipartForm; at.form != nil {
		at.within.form.Store(at.form)
	}
	at.from, at.began = i, at.r
	defer at.within.begin(at)()
	defer a.release(at)
	a.run(i, w, at)
}

// begin adds a run, and returns the function that removes it.
func (a *shared) begin(run *reached) (end func()) {
	a.changing.Lock()
	defer a.changing.Unlock()
	a.runs = append(a.runs, run)
	return func() {
		a.changing.Lock()
		defer a.changing.Unlock()
		a.runs = slices.DeleteFunc(a.runs, func(other *reached) bool { return other == run })
	}
}

// isHandling reports whether a run inside of outer may be parsing the request, such as one that http.TimeoutHandler does not wait for.
func (a *shared) isHandling(r *http.Request, outer *reached) bool {
	a.changing.Lock()
	defer a.changing.Unlock()
	return slices.ContainsFunc(a.runs, func(other *reached) bool {
		return other != outer && other.from >= outer.from && other.began == r
	})
}
