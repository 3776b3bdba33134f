package kami

import (
	"context"
	"html"
	"io"
	"net/http"
)

// builtin is an answer of this package. No handler was registered for it.
type builtin struct {
	status int
	answer http.HandlerFunc
}

func (b *builtin) ServeHTTPContext(_ context.Context, w http.ResponseWriter, r *http.Request) {
	b.answer(w, r)
}

var (
	defaultNotFound   = &builtin{http.StatusNotFound, http.NotFound}
	defaultNotAllowed = &builtin{http.StatusMethodNotAllowed, methodNotAllowed}
	defaultOptions    = &builtin{http.StatusNoContent, noContent}
	badRequest        = &builtin{http.StatusBadRequest, opaque}
)

func opaque(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "the request's target has no path", http.StatusBadRequest)
}

func noContent(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

func methodNotAllowed(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
}

// isBuiltin reports whether an answer is this package's alone. Then no other code sees its context and its request. The answer reads only
// the request's method.
func isBuiltin(end ContextHandler) bool {
	switch h := end.(type) {
	case *builtin, *redirect:
		return true
	case *notAllowed:
		return isBuiltin(h.answer)
	}
	return false
}

// notAllowed answers a request whose path has routes, none of them for its method.
type notAllowed struct {
	allow  string // the header
	answer ContextHandler
}

func (n *notAllowed) ServeHTTPContext(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Allow", n.allow)
	n.answer.ServeHTTPContext(ctx, w, r)
}

// cleaning shows a handler for 404s the clean path, on which it may act as a file server does.
type cleaning struct {
	answer ContextHandler
	path   string
}

func (c *cleaning) ServeHTTPContext(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	u := *r.URL
	u.Path, u.RawPath = c.path, ""
	shown := r.WithContext(ctx)
	shown.URL = &u
	defer keepForm(r, shown)
	c.answer.ServeHTTPContext(ctx, w, shown)
}

// answerOf returns the handler that an answer without a route leads to.
func answerOf(end ContextHandler) ContextHandler {
	switch h := end.(type) {
	case *notAllowed:
		return h.answer
	case *cleaning:
		return h.answer
	}
	return end
}

// redirect answers with the path of the route that the client meant.
type redirect struct {
	target string
	code   int
	route  *route // that was meant
}

// ServeHTTPContext answers as http.Redirect does, which would parse and clean the target again.
func (d *redirect) ServeHTTPContext(_ context.Context, w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Location", d.target)
	_, typed := header["Content-Type"]
	if !typed && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		header.Set("Content-Type", "text/html; charset=utf-8")
	}
	w.WriteHeader(d.code)
	if !typed && r.Method == http.MethodGet {
		for _, text := range []string{`<a href="`, html.EscapeString(d.target), `">`, http.StatusText(d.code), "</a>.\n\n"} {
			if _, err := io.WriteString(w, text); err != nil {
				return
			}
		}
	}
}
