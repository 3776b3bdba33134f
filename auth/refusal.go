package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
)

// refusal is the error for the client. Its text only names the status. It wraps the reason, for errors.Is.
type refusal struct {
	status int
	header http.Header
	reason error
}

func (r *refusal) Error() string        { return http.StatusText(r.status) }
func (r *refusal) StatusCode() int      { return r.status }
func (r *refusal) Headers() http.Header { return r.header }
func (r *refusal) Unwrap() error        { return r.reason }

// refuse makes a refusal of a Scheme's error.
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

// statusOf returns the status for a reason: 401, unless the error has the status 429 or one of the server's.
func statusOf(reason error) int {
	var coder interface{ StatusCode() int }
	if errors.As(reason, &coder) {
		if code := coder.StatusCode(); code >= 500 && code <= 599 || code == http.StatusTooManyRequests {
			return code
		}
	}
	return http.StatusUnauthorized
}

// unavailable is the error of a credential that could not be checked.
type unavailable struct{ err error }

func (u unavailable) Error() string   { return u.err.Error() }
func (u unavailable) StatusCode() int { return http.StatusServiceUnavailable }
func (u unavailable) Unwrap() error   { return u.err }

// judged returns the error of a Scheme with the right status. A Scheme whose context has ended, or that has waited too long, could not
// check the credential.
func judged(err error) error {
	if statusOf(err) == http.StatusUnauthorized && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return unavailable{err}
	}
	return err
}

// logRefusal logs the reason, once for each refusal. It never gets the credential.
func logRefusal(ctx context.Context, r *refusal, attrs ...slog.Attr) {
	level := slog.LevelInfo
	switch {
	case r.status >= 500:
		level = slog.LevelError
	case errors.Is(r.reason, errNobody):
		level = slog.LevelDebug // every visitor causes one
	}
	attrs = append(attrs, slog.Int("status", r.status), slog.String("reason", r.reason.Error()))
	slog.LogAttrs(ctx, level, "auth: refused", attrs...)
}

// forClient returns the error that answers a request. Errors from 500 on keep their text, which kami logs and does not send.
func (r *refusal) forClient(scheme string) error {
	if r.status >= 500 {
		return fmt.Errorf("auth: %s: %w", scheme, r.reason)
	}
	return r
}
