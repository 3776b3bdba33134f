package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
)

// refusal is the error that a client may see. Its text says nothing beyond the status. It wraps the reason, for errors.Is.
type refusal struct {
	status int
	header http.Header
	reason error
}

func (r *refusal) Error() string        { return http.StatusText(r.status) }
func (r *refusal) StatusCode() int      { return r.status }
func (r *refusal) Headers() http.Header { return r.header }
func (r *refusal) Unwrap() error        { return r.reason }

// refuse makes a refusal of the reason for which a Scheme does not accept a credential.
func (s Schemes) refuse(scheme string, reason error) *refusal {
	r := &refusal{status: statusOf(reason), header: make(http.Header), reason: reason}
	var headerer interface{ Headers() http.Header }
	if errors.As(reason, &headerer) {
		maps.Copy(r.header, headerer.Headers())
	}
	if r.status == http.StatusUnauthorized && len(r.header.Values("WWW-Authenticate")) == 0 {
		r.header["Www-Authenticate"] = s.challenges(scheme)
	}
	return r
}

// statusOf returns the status for a reason: 401, unless the error says that it is the server's, or that there are too many.
func statusOf(reason error) int {
	var coder interface{ StatusCode() int }
	if errors.As(reason, &coder) {
		if code := coder.StatusCode(); code >= 500 && code <= 599 || code == http.StatusTooManyRequests {
			return code
		}
	}
	return http.StatusUnauthorized
}

// unavailable is the error of a verdict that could not be reached: nothing is known of the credential.
type unavailable struct{ err error }

func (u unavailable) Error() string   { return u.err.Error() }
func (u unavailable) StatusCode() int { return http.StatusServiceUnavailable }
func (u unavailable) Unwrap() error   { return u.err }

// judged returns the error of a Scheme as one with the right status: a Scheme whose context has ended, or that has waited too
// long for others, has reached no verdict.
func judged(err error) error {
	if statusOf(err) == http.StatusUnauthorized && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return unavailable{err}
	}
	return err
}

// logRefusal logs the reason, once for each refusal. It never gets to see a credential.
func logRefusal(ctx context.Context, r *refusal, attrs ...slog.Attr) {
	level := slog.LevelInfo
	switch {
	case r.status >= 500:
		level = slog.LevelError
	case errors.Is(r.reason, errNobody):
		level = slog.LevelDebug // which every visitor causes
	}
	attrs = append(attrs, slog.Int("status", r.status), slog.String("reason", r.reason.Error()))
	slog.LogAttrs(ctx, level, "auth: refused", attrs...)
}

// forClient returns the error that answers a request. Errors from 500 on keep their text: kami logs that, and does not tell it.
func (r *refusal) forClient(scheme string) error {
	if r.status >= 500 {
		return fmt.Errorf("auth: %s: %w", scheme, r.reason)
	}
	return r
}
