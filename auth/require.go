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

// Require is middleware that lets only identified requests pass. It answers 401 if there is no identity, if the identity has
// expired, or if its token's key is no longer the KeySource's key with that id. It answers 503 if the KeySource fails. It checks each
// message of a connection, however long ago that was opened.
func Require(ctx context.Context, w http.ResponseWriter, r *http.Request) context.Context {
	s := stateOf(ctx)
	if err := s.identity.check(ctx); err != nil {
		return s.answer(ctx, w, r, err)
	}
	return ctx
}

// RequireAudience returns middleware that does what [Require] does, and answers 403 if the identity's audience does not cover the path.
//
// The path names the resource that the middleware guards, in parts: "/user/env/name". An audience covers a path if its parts are the first
// parts of the path: "/user" covers all of a user, and "/" everything. An empty part of an audience covers any part, as in
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

// answer answers a request that may not pass, and halts.
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

// audiences returns all audiences of the identity: its token's, unless its Audience was changed.
func (id *Identity) audiences() []string {
	list, err := stringsOf(id.Claims["aud"])
	if err != nil || !slices.Contains(list, id.Audience) {
		return []string{id.Audience}
	}
	return list
}

// audienceParts splits a path. Empty parts at its end do not count.
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
