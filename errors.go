package kami

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/guregu/kami/internal/incoming"
	"github.com/guregu/kami/mutil"
)

// failing makes a ContextHandler of a function that may return an error.
type failing struct {
	handle func(context.Context, http.ResponseWriter, *http.Request) error
	now    func() settings
}

func (h failing) ServeHTTPContext(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	proxy, ok := w.(mutil.WriterProxy)
	if !ok {
		proxy = mutil.WrapWriter(w)
	}
	err := h.handle(ctx, proxy, r)
	switch {
	case err == nil:
	case proxy.Status() != 0:
		logError(ctx, r, err, "the response had begun")
	case isHijacked(proxy):
		logError(ctx, r, err, "the connection was hijacked")
	default:
		h.now().errorHandler(ctx, proxy, r, err)
	}
}

// statusClientGone is the status of a request whose client has left before there was an answer. Nobody gets it, but logs
// have it, as nginx's do.
const statusClientGone = 499

// DefaultErrorHandler answers the error of a handler. An error, or one that it wraps, with a method StatusCode() int says
// the status if that is from 400 to 599; all others are 500. One with a method Headers() http.Header adds headers.
//
// The client gets the text of an error only if its status is below 500: as application/problem+json (RFC 9457) where the
// request's Accept names that or application/json, else as text/plain. Errors from 500 on go to slog.Default.
//
// The error context.Canceled of a request whose client has left is no failure: its status is 499.
func DefaultErrorHandler(ctx context.Context, w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) && incoming.Context(ctx).Err() != nil {
		w.WriteHeader(statusClientGone)
		return
	}
	code, detail := statusOf(err), err.Error()
	if code >= 500 {
		logError(ctx, r, err, titleOf(code))
		detail = ""
	}
	header := w.Header()
	header.Del("Content-Length") // it was meant for another answer
	var headerer interface{ Headers() http.Header }
	if errors.As(err, &headerer) {
		for name, values := range headerer.Headers() {
			for _, value := range values {
				header.Add(name, value)
			}
		}
	}
	header.Set("X-Content-Type-Options", "nosniff")
	header.Add("Vary", "Accept")
	contentType, body := "text/plain; charset=utf-8", textOf(code, detail)
	if acceptsProblem(r) {
		contentType, body = "application/problem+json", problemOf(code, detail)
	}
	header.Set("Content-Type", contentType)
	w.WriteHeader(code)
	_, _ = w.Write(body)
}

func isHijacked(w mutil.WriterProxy) bool {
	proxy, ok := w.(interface{ Hijacked() bool })
	return ok && proxy.Hijacked()
}

// logError logs an error of which the client does not hear all.
func logError(ctx context.Context, r *http.Request, err error, why string) {
	slog.ErrorContext(ctx, "kami: a handler failed", "method", r.Method, "pattern", r.Pattern, "err", err, "answer", why)
}

// statusOf returns the status that an error asks for.
func statusOf(err error) int {
	var coder interface{ StatusCode() int }
	if errors.As(err, &coder) {
		if code := coder.StatusCode(); code >= 400 && code <= 599 {
			return code
		}
	}
	return http.StatusInternalServerError
}

// titleOf names a status.
func titleOf(code int) string {
	if title := http.StatusText(code); title != "" {
		return title
	}
	return fmt.Sprint("status ", code)
}

func textOf(code int, detail string) []byte {
	if detail == "" {
		detail = titleOf(code)
	}
	return []byte(detail + "\n")
}

// problemOf returns the problem details of RFC 9457, of the type "about:blank".
func problemOf(code int, detail string) []byte {
	text, _ := json.Marshal(struct { // which cannot fail: invalid text becomes U+FFFD
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail,omitempty"`
	}{titleOf(code), code, detail})
	return append(text, '\n')
}

// acceptsProblem reports whether the request's Accept names JSON, with no less weight than text.
func acceptsProblem(r *http.Request) bool {
	var problem, text float64
	for _, accept := range r.Header["Accept"] {
		for part := range strings.SplitSeq(accept, ",") {
			kind, params, err := mime.ParseMediaType(part)
			if err != nil {
				continue
			}
			weight := 1.0
			if q, ok := params["q"]; ok {
				weight, _ = strconv.ParseFloat(q, 64)
			}
			switch kind {
			case "application/problem+json", "application/json":
				problem = max(problem, weight)
			case "text/plain":
				text = max(text, weight)
			}
		}
	}
	return problem > 0 && problem >= text
}
