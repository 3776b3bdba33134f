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
	"github.com/guregu/kami/session"
)

// Scheme authenticates the credential of an authentication scheme (RFC 9110, 11.4): the text after the scheme's name in the header
// Authorization. It may be called by many goroutines at once, and must not log the credential.
//
// It returns an Identity with a Subject, or an error. The error is answered with 401, and its text is only logged. If the Scheme
// could not check the credential, for example without its database, the error should have a method StatusCode() int that returns 503
// or another status from 500 to 599: after a 401 a client would throw a good credential away. The status 429 counts too. An error that
// wraps context.Canceled or context.DeadlineExceeded is a 503 by itself. A method Headers() http.Header of the error sets headers
// of the answer; its WWW-Authenticate replaces all challenges.
//
// A Scheme that wraps another one should change the Identity that it gets, and not make a new one: a new one does not know by which
// key it is to be checked later, see [Require].
type Scheme func(ctx context.Context, credential string) (*Identity, error)

// Schemes are authenticators by the name of their scheme, which is compared without regard to case: "Bearer", "Basic", "Key".
// They must not be changed while serving.
type Schemes map[string]Scheme

var (
	errSeveral    = errors.New("there are several headers Authorization")
	errMalformed  = errors.New(`the header Authorization is not a scheme, a space and a credential`)
	errOther      = errors.New("the subject is another than the session's user")
	errUnknown    = errors.New("the scheme is unknown") // without the name, which may be a credential in the wrong place
	errEmpty      = errors.New("the credential is empty")
	errControls   = errors.New("the credential has control characters")
	errNoSubject  = errors.New("the credential has no subject")
	errNoIdentity = errors.New("the scheme has returned neither an identity nor an error")
)

// Identify is middleware that authenticates the header Authorization of a request. The Identity is then in the context, see
// [FromContext], and its subject where transports look for it, see session.Subject.
//
//	mux.Use("/", schemes.Identify)
//	mux.Use("/private/", auth.Require)
//
// A request without the header passes, with the identity that its context may already have, such as a message's from its connection. A
// refused credential is answered with 401 and a WWW-Authenticate header for each scheme, sorted by name, or with 503 if the scheme
// could not check it. [kami.HandleError] writes the answer. The reason is only logged, by slog.Default at the level Info. A message
// of a session that is bound to a user may only have a credential of that user.
func (s Schemes) Identify(ctx context.Context, w http.ResponseWriter, r *http.Request) context.Context {
	headers := r.Header.Values("Authorization")
	if len(headers) == 0 {
		return s.offered(ctx)
	}
	scheme, credential, err := parse(headers)
	if err != nil {
		return s.answer(ctx, w, r, "", err)
	}
	name, id, err := s.identity(ctx, scheme, credential)
	if err == nil && !fitsSession(ctx, id) {
		err = errOther
	}
	if err != nil {
		return s.answer(ctx, w, r, name, err)
	}
	return s.with(ctx, id)
}

// fitsSession reports whether the identity may act in the session of a message. Otherwise a client whose own identity has expired could go on
// with another user's credential.
func fitsSession(ctx context.Context, id *Identity) bool {
	s := session.FromContext(ctx)
	return s == nil || s.UID() == "" || s.UID() == id.Subject
}

// Authenticate returns a context with the identity of a credential, for transports that get the credential in other ways than a request's
// header. It replaces the identity of ctx. The transport must compare the subject with a session's user.
//
// The text of its error is only the text of a status, which its method StatusCode() int returns: 401, 503 if the scheme could
// not check the credential, or the scheme's own status. Its method Headers() http.Header returns the challenges. The error wraps the reason, which
// Authenticate has logged and which the other side must not be told.
func (s Schemes) Authenticate(ctx context.Context, scheme, credential string) (context.Context, error) {
	name, id, err := s.identity(ctx, scheme, credential)
	if err != nil {
		refused := s.refuse(name, err)
		logRefusal(ctx, refused, slog.String("scheme", name))
		return nil, refused
	}
	return s.with(ctx, id), nil
}

// identity has the scheme of that name check the credential. It returns the name as it is in the map, "" if it is unknown.
func (s Schemes) identity(ctx context.Context, scheme, credential string) (string, *Identity, error) {
	name := s.find(scheme)
	switch {
	case name == "":
		return "", nil, errUnknown
	case credential == "":
		return name, nil, errEmpty
	case strings.ContainsFunc(credential, isControl):
		return name, nil, errControls
	}
	id, err := s[name](ctx, credential)
	switch {
	case err != nil:
		return name, nil, judged(err)
	case id == nil:
		return name, nil, errNoIdentity
	case id.Subject == "":
		return name, nil, errNoSubject
	}
	own := *id // the scheme may share it with other requests
	own.Scheme = name
	return name, &own, nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// find returns the name of a scheme as it is in the map, or "". If names differ only in case, the first in the order of strings counts.
func (s Schemes) find(scheme string) (found string) {
	if !isToken(scheme) {
		return ""
	}
	for name, authenticate := range s {
		if authenticate != nil && strings.EqualFold(name, scheme) && (found == "" || name < found) {
			found = name
		}
	}
	return found
}

// with returns ctx with an identity, whose subject transports can see.
func (s Schemes) with(ctx context.Context, id *Identity) context.Context {
	ctx = session.WithSubject(ctx, id.Subject)
	return context.WithValue(ctx, stateKey{}, &state{id, s})
}

// offered returns ctx with the schemes that a client may use, for a request without an identity.
func (s Schemes) offered(ctx context.Context) context.Context {
	if stateOf(ctx).identity != nil {
		return ctx
	}
	return context.WithValue(ctx, stateKey{}, &state{schemes: s})
}

// answer answers a request with a refused credential, and halts.
func (s Schemes) answer(ctx context.Context, w http.ResponseWriter, r *http.Request, scheme string, reason error) context.Context {
	refused := s.refuse(scheme, reason)
	if refused.status < 500 {
		logRefusal(ctx, refused, slog.String("scheme", scheme), slog.String("remote", r.RemoteAddr))
	}
	kami.HandleError(ctx, w, r, refused.forClient(scheme))
	return nil
}

// parse splits the header Authorization (RFC 9110, 11.4 and 11.6.2).
func parse(headers []string) (scheme, credential string, err error) {
	if len(headers) > 1 {
		return "", "", errSeveral
	}
	scheme, credential, _ = strings.Cut(headers[0], " ")
	credential = strings.Trim(credential, " \t")
	if !isToken(scheme) || credential == "" {
		return "", "", errMalformed
	}
	return scheme, credential, nil
}

// isToken reports whether s is a token (RFC 9110, 5.6.2), as names of schemes are.
func isToken(s string) bool {
	const others = "!#$%&'*+-.^_`|~"
	for _, c := range []byte(s) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return s != ""
}

// challenges returns the values of WWW-Authenticate (RFC 9110, 11.6.1), sorted by the names of the schemes. Each has a realm, which
// Basic (RFC 7617) must have, and Bearer must have a parameter (RFC 6750, 3). The Bearer challenge says so if it has refused a token.
func (s Schemes) challenges(refusedBy string) []string {
	var all []string
	for name, authenticate := range s {
		if authenticate == nil || s.find(name) != name {
			continue
		}
		all = append(all, challenge(name, name == refusedBy))
	}
	slices.Sort(all)
	if all == nil {
		all = []string{challenge("Bearer", false)} // a 401 must have one
	}
	return all
}

func challenge(name string, refused bool) string {
	c := fmt.Sprintf(`%s realm="restricted"`, name)
	switch {
	case strings.EqualFold(name, "Bearer") && refused:
		c += `, error="invalid_token"`
	case strings.EqualFold(name, "Basic"):
		c += `, charset="UTF-8"`
	}
	return c
}
