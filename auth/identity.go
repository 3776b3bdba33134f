package auth

import (
	"context"
	"errors"
	"maps"
	"time"
)

// Identity is the authenticated sender of a request.
//
// Treat the Identity that [FromContext] returns as read-only: all code for the request shares it, and all messages of a connection.
// Other requests share the nested values of Claims.
type Identity struct {
	Subject  string         // who it is, never empty
	Scheme   string         // the name of its Scheme, as in [Schemes]
	Issuer   string         // who says so: the claim "iss" of a token
	Audience string         // where it may be used: [WithAudience], or the first of the claim "aud"
	Expires  time.Time      // when it ends; zero means never
	Claims   map[string]any // all claims of a token, with numbers as json.Number

	proof *proof // nil if the Identity rests on no key of a KeySource
}

// clone returns a copy whose fields and claims can be set without changing the original.
func (id *Identity) clone() *Identity {
	c := *id
	c.Claims = maps.Clone(id.Claims)
	return &c
}

var (
	errNobody  = errors.New("there is no credential")
	errExpired = errors.New("the identity has expired")
)

// check returns an error unless the identity still holds: it has not expired, and its key is still in use.
func (id *Identity) check(ctx context.Context) error {
	if id == nil {
		return errNobody
	}
	leeway := time.Duration(0)
	if id.proof != nil {
		leeway = id.proof.leeway
	}
	if !id.Expires.IsZero() && !time.Now().Before(id.Expires.Add(leeway)) {
		return errExpired
	}
	return id.proof.check(ctx)
}

// FromContext returns the Identity that [Schemes.Identify] or [Schemes.Authenticate] has put into ctx, or nil. The Identity may have
// expired since: [Require] checks that.
func FromContext(ctx context.Context) *Identity {
	return stateOf(ctx).identity
}

// state is what this package keeps in a context.
type state struct {
	identity *Identity // nil if there is none
	schemes  Schemes   // for the challenges of a 401
}

type stateKey struct{}

var noState = new(state)

func stateOf(ctx context.Context) *state {
	if s, ok := ctx.Value(stateKey{}).(*state); ok {
		return s
	}
	return noState
}
