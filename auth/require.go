package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/guregu/kami"
)

// Require is middleware that lets only identified requests pass. It answers 401 without an identity, with one that has
// expired, and with one of a token whose key is no longer the one that its KeySource has by that id; and 503 if the
// KeySource cannot say. So it holds too for the messages of a connection that was opened before.
func Require(ctx context.Context, w http.ResponseWriter, r *http.Request) context.Context {
	s := stateOf(ctx)
	if err := s.identity.check(ctx); err != nil {
		return s.answer(ctx, w, r, err)
	}
	return ctx
}

// RequireAudience returns middleware that does what [Require] does, and lets only those pass whose audience covers the path. It
// answers all others with 403.
//
// The path names the place behind the middleware, in parts: "/user/env/name". An audience covers a path if its parts are the first
// parts of the path: "/user" covers all of a user, and "/" everything. An empty part of an audience is equal to any, as in
// "/user//name": an issuer must not leave out a part by mistake. An audience that does not begin with a slash covers nothing. A token
// with several audiences passes if one of them covers the path.
//
// It panics if the path does not begin with a slash, or has an empty part.
func RequireAudience(path string) kami.Middleware {
	parts := audienceParts(path)
	if !strings.HasPrefix(path, "/") || path != "/"+strings.Join(parts, "/") || slices.Contains(parts, "") {
		panic(fmt.Sprintf("auth: RequireAudience(%q): a path is a slash and parts that are not empty, as in /user/env/name", path))
	}
	return func(ctx context.Context, w http.ResponseWriter, r *http.Request) context.Context {
		if ctx = Require(ctx, w, r); ctx == nil {
			return nil
		}
		s := stateOf(ctx)
		covering := func(audience string) bool { return covers(audience, parts) }
		if !slices.ContainsFunc(s.identity.audiences(), covering) {
			return s.answer(ctx, w, r, errAudience)
		}
		return ctx
	}
}

var errAudience = errors.New("the identity's audience does not cover this path")

// answer answers a request whose identity does not do, and halts.
func (s *state) answer(ctx context.Context, w http.ResponseWriter, r *http.Request, reason error) context.Context {
	scheme, subject := "", ""
	if s.identity != nil {
		scheme, subject = s.identity.Scheme, s.identity.Subject
	}
	refused := s.schemes.refuse(scheme, reason)
	if errors.Is(reason, errAudience) {
		refused = &refusal{status: http.StatusForbidden, reason: reason}
	}
	if refused.status < 500 {
		logRefusal(ctx, refused, slog.String("scheme", scheme), slog.String("subject", subject), slog.String("remote", r.RemoteAddr))
	}
	kami.HandleError(ctx, w, r, refused.forClient(scheme))
	return nil
}

// audiences returns all audiences of the identity: those of its token, unless somebody has given it another one.
func (id *Identity) audiences() []string {
	list, err := stringsOf(id.Claims["aud"])
	if err != nil || !slices.Contains(list, id.Audience) {
		return []string{id.Audience}
	}
	return list
}

// audienceParts splits a path. Empty parts at its end say nothing.
func audienceParts(path string) []string {
	path = strings.TrimRight(strings.TrimPrefix(path, "/"), "/")
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

// covers reports whether an audience covers the path with these parts.
func covers(audience string, path []string) bool {
	parts := audienceParts(audience)
	if !strings.HasPrefix(audience, "/") || len(parts) > len(path) {
		return false
	}
	for i, part := range parts {
		if part != "" && part != path[i] {
			return false
		}
	}
	return true
}
