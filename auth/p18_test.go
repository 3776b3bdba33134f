package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/auth"
	"github.com/guregu/kami/message"
)

// failure is a Scheme's error that has a status and headers.
type failure struct {
	status int
	header http.Header
}

func (f failure) Error() string        { return "a failure" }
func (f failure) StatusCode() int      { return f.status }
func (f failure) Headers() http.Header { return f.header }

// several returns schemes that succeed, fail in different ways, or cannot be used.
func several() auth.Schemes {
	fail := func(err error) auth.Scheme {
		return func(context.Context, string) (*auth.Identity, error) { return nil, err }
	}
	return auth.Schemes{
		"Bearer":  auth.JWT(set()),
		"Key":     auth.Secret(map[string]string{"billing": "s3cret:with:colons", "ünï": "pass word", "empty": ""}),
		"Basic":   fail(errors.New("wrong password")),
		"Nil":     nil,
		"N o":     fail(errors.New("whose name nobody can send")),
		"Nothing": func(context.Context, string) (*auth.Identity, error) { return nil, nil },
		"Nobody":  func(context.Context, string) (*auth.Identity, error) { return new(auth.Identity), nil },
		"Busy":    fail(failure{429, http.Header{"Retry-After": {"7"}}}),
		"Down":    fail(fmt.Errorf("database: %w", failure{503, http.Header{"Retry-After": {"9"}}})),
		"Slow":    fail(fmt.Errorf("database: %w", context.DeadlineExceeded)),
		"Found":   fail(failure{404, nil}),
		"Digest":  fail(failure{401, http.Header{"Www-Authenticate": {`Digest realm="x", nonce="y"`}}}),
		"Other":   fail(failure{401, http.Header{"X-Other": {"1"}}}),
	}
}

// all has the challenges of the schemes of several.
var all = []string{
	`Basic realm="restricted", charset="UTF-8"`, `Bearer realm="restricted"`, `Busy realm="restricted"`, `Digest realm="restricted"`,
	`Down realm="restricted"`, `Found realm="restricted"`, `Key realm="restricted"`, `Nobody realm="restricted"`,
	`Nothing realm="restricted"`, `Other realm="restricted"`, `Slow realm="restricted"`,
}

func TestP18Header(t *testing.T) {
	good := bearer(time.Hour).Get("Authorization")[len("Bearer "):]
	none, invalid := []string(nil), append([]string{all[0], all[1] + `, error="invalid_token"`}, all[2:]...)
	for name, test := range map[string]struct {
		headers    []string
		status     int
		body       string
		challenges []string
		reason     string
	}{
		"none":                        {nil, 200, "nobody", none, ""},
		"Bearer":                      {[]string{"Bearer " + good}, 200, "greg by Bearer", none, ""},
		"bearer":                      {[]string{"bearer " + good}, 200, "greg by Bearer", none, ""},
		"BEARER, spaces":              {[]string{"BEARER    " + good}, 200, "greg by Bearer", none, ""},
		"Key":                         {[]string{"KEY billing:s3cret:with:colons"}, 200, "billing by Key", none, ""},
		"Key with other letters":      {[]string{"key ünï:pass word"}, 200, "ünï by Key", none, ""},
		"wrong token":                 {[]string{"Bearer x"}, 401, "", invalid, "not three parts"},
		"wrong key":                   {[]string{"Key billing:"}, 401, "", all, "the subject is unknown, or the key is wrong"},
		"wrong password":              {[]string{"Basic Z3JlZzp4"}, 401, "", all, "wrong password"},
		"unknown scheme":              {[]string{"Negotiate xyz"}, 401, "", all, "the scheme is unknown"},
		"a nil scheme":                {[]string{"Nil xyz"}, 401, "", all, "the scheme is unknown"},
		"a scheme without name":       {[]string{"N o xyz"}, 401, "", all, "the scheme is unknown"},
		"the sign for Kelvin":         {[]string{"\u212aey billing:s3cret:with:colons"}, 401, "", all, "is not a scheme, a space and a credential"},
		"empty":                       {[]string{""}, 401, "", all, "is not a scheme, a space and a credential"},
		"only a scheme":               {[]string{"Bearer"}, 401, "", all, "is not a scheme, a space and a credential"},
		"only a token":                {[]string{good}, 401, "", all, "is not a scheme, a space and a credential"},
		"a colon":                     {[]string{"Bearer: " + good}, 401, "", all, "is not a scheme, a space and a credential"},
		"two":                         {[]string{"Bearer " + good, "Bearer " + good}, 401, "", all, "several headers Authorization"},
		"two, one empty":              {[]string{"", "Bearer " + good}, 401, "", all, "several headers Authorization"},
		"two in one":                  {[]string{"Key a:b, Bearer " + good}, 401, "", all, "the subject is unknown, or the key is wrong"},
		"no verdict":                  {[]string{"Nothing x"}, 401, "", all, "neither an identity nor an error"},
		"no subject":                  {[]string{"Nobody x"}, 401, "", all, "the credential has no subject"},
		"too many":                    {[]string{"Busy x"}, 429, "Too Many Requests", none, "a failure"},
		"down":                        {[]string{"Down x"}, 503, "Service Unavailable", none, "a failure"},
		"slow":                        {[]string{"Slow x"}, 503, "Service Unavailable", none, "context deadline exceeded"},
		"a status of somebody else's": {[]string{"Found x"}, 401, "", all, "a failure"},
		"challenges of its own":       {[]string{"Digest x"}, 401, "", []string{`Digest realm="x", nonce="y"`}, "a failure"},
		"a header of its own":         {[]string{"Other x"}, 401, "", all, "a failure"},
	} {
		t.Run(name, func(t *testing.T) {
			log := logs(t)
			mux := guarded(several())
			each(t, func(t *testing.T, ask way) {
				got := ask(t, t.Context(), mux, "/it", authorization(test.headers...))
				assert.Equal(t, test.status, got.status)
				assert.Equal(t, test.challenges, got.header.Values("WWW-Authenticate"))
				lines := log.lines()
				if test.status == 200 {
					assert.Equal(t, test.body, got.body)
					assert.Empty(t, lines)
					return
				}
				if test.status == 401 {
					test.body = "Unauthorized"
				}
				assert.Equal(t, test.body+"\n", got.body)
				require.Len(t, lines, 1, "one reason")
				assert.Contains(t, lines[0], test.reason)
				assert.NotContains(t, lines[0], strings.Split(good, ".")[1])
				assert.NotContains(t, lines[0], "s3cret")
			})
		})
	}
}

// TestP18HeadersOfAnError checks that the headers of a Scheme's error are in the answer, with each status.
func TestP18HeadersOfAnError(t *testing.T) {
	logs(t)
	for scheme, want := range map[string]string{"Busy": "7", "Down": "9"} {
		got := ways["http"](t, t.Context(), guarded(several()), "/it", authorization(scheme+" x"))
		assert.Equal(t, []string{want}, got.header.Values("Retry-After"))
	}
	assert.Equal(t, []string{"1"}, ways["http"](t, t.Context(), guarded(several()), "/it", authorization("Other x")).header["X-Other"])
}

func TestP18Authenticate(t *testing.T) {
	log := logs(t)
	schemes := several()
	for name, test := range map[string]struct {
		scheme, credential string
		status             int
		reason             string
	}{
		"wrong":           {"Key", "billing:x", 401, "the subject is unknown"},
		"unknown":         {"Kay", "billing:x", 401, "the scheme is unknown"},
		"no scheme":       {"", "billing:x", 401, "the scheme is unknown"},
		"no credential":   {"Key", "", 401, "the credential is empty"},
		"a line break":    {"Key", "billing:s3cret:with:colons\n", 401, "control characters"},
		"a NUL":           {"Key", "billing:s3cret:with:colons\x00", 401, "control characters"},
		"no database":     {"Down", "x", 503, "a failure"},
		"a slow database": {"Slow", "x", 503, "deadline exceeded"},
	} {
		ctx, err := schemes.Authenticate(t.Context(), test.scheme, test.credential)
		assert.Nil(t, ctx, name)
		require.EqualError(t, err, http.StatusText(test.status), name)
		var told interface {
			StatusCode() int
			Headers() http.Header
		}
		require.ErrorAs(t, err, &told)
		assert.Equal(t, test.status, told.StatusCode(), name)
		if test.status == 401 {
			assert.Equal(t, all, told.Headers().Values("WWW-Authenticate"), name)
		}
		lines := log.lines()
		require.Len(t, lines, 1, name)
		assert.Contains(t, lines[0], test.reason, name)
	}
	ctx, err := schemes.Authenticate(t.Context(), "key", "billing:s3cret:with:colons")
	require.NoError(t, err)
	assert.Equal(t, "billing", auth.FromContext(ctx).Subject)
	assert.Empty(t, log.lines())
}

// TestP18Replaced checks that Authenticate replaces the identity for later messages, that a message can have a separate
// credential, and that a message with a wrong credential is refused.
func TestP18Replaced(t *testing.T) {
	logs(t)
	schemes := several()
	mux := guarded(schemes)
	conn := open(t, schemes, authorization("Key billing:s3cret:with:colons"))
	body := func(ctx context.Context, header http.Header) string {
		return ways["message"](t, ctx, mux, "/private/it", header).body
	}
	assert.Equal(t, "billing by Key", body(conn, nil))
	next, err := schemes.Authenticate(conn, "Bearer", bearer(time.Hour).Get("Authorization")[len("Bearer "):])
	require.NoError(t, err)
	assert.Equal(t, "greg by Bearer", body(next, nil))
	assert.Equal(t, "billing by Key", body(conn, nil), "the context before is what it was")
	assert.Equal(t, "billing by Key", body(next, authorization("Key billing:s3cret:with:colons")), "a message may have a credential of its own")
	assert.Equal(t, "Unauthorized\n", body(next, authorization("Key billing:x")), "a wrong one is not passed over")
}

// TestP18DisableAuthentication checks that Require affects only the scope that it was registered for.
func TestP18DisableAuthentication(t *testing.T) {
	logs(t)
	each(t, func(t *testing.T, ask way) {
		mux := guarded(several())
		got := ask(t, t.Context(), mux, "/private/it", nil)
		assert.Equal(t, 401, got.status)
		assert.Equal(t, all, got.header.Values("WWW-Authenticate"))
		assert.Equal(t, "nobody", ask(t, t.Context(), mux, "/it", nil).body)
		assert.Equal(t, 401, ask(t, t.Context(), mux, "/private/none", nil).status, "what is there is not told either")
	})
}

// TestP18RequireAlone checks that Require answers with a challenge if no Identify runs before it, because a 401 must have one.
func TestP18RequireAlone(t *testing.T) {
	log := logs(t)
	mux := kami.New()
	mux.Use("/", auth.Require)
	each(t, func(t *testing.T, ask way) {
		got := ask(t, t.Context(), mux, "/it", bearer(time.Hour))
		assert.Equal(t, 401, got.status)
		assert.Equal(t, []string{`Bearer realm="restricted"`}, got.header.Values("WWW-Authenticate"))
	})
	assert.Empty(t, log.lines(), "a visitor without a credential is no news")
}

// TestP18ErrorHandler checks that the ErrorHandler answers refusals too, and that its error does not say the reason.
func TestP18ErrorHandler(t *testing.T) {
	logs(t)
	mux := guarded(several())
	mux.ErrorHandler = func(_ context.Context, w http.ResponseWriter, _ *http.Request, err error) {
		w.WriteHeader(418)
		fmt.Fprint(w, err)
	}
	each(t, func(t *testing.T, ask way) {
		got := ask(t, t.Context(), mux, "/private/it", authorization("Bearer x"))
		assert.Equal(t, 418, got.status)
		assert.Equal(t, "Unauthorized", got.body)
	})
}

func TestP18NamesOfSchemes(t *testing.T) {
	logs(t)
	say := func(subject string) auth.Scheme {
		return func(context.Context, string) (*auth.Identity, error) { return &auth.Identity{Subject: subject}, nil }
	}
	mux := guarded(auth.Schemes{"key": say("second"), "KEY": say("first"), "kEy": nil, "x-2": say("third")})
	for range 20 { // because maps have no order
		got := ways["message"](t, t.Context(), mux, "/it", authorization("Key x"))
		assert.Equal(t, "first by KEY", got.body)
		got = ways["message"](t, t.Context(), mux, "/it", authorization("Other x"))
		assert.Equal(t, []string{`KEY realm="restricted"`, `x-2 realm="restricted"`}, got.header.Values("WWW-Authenticate"))
	}
}

// TestP18SharedIdentity checks that Identify does not write to the identity that a Scheme returns.
func TestP18SharedIdentity(t *testing.T) {
	logs(t)
	shared := &auth.Identity{Subject: "greg"}
	mux := guarded(auth.Schemes{"Key": func(context.Context, string) (*auth.Identity, error) { return shared, nil }})
	assert.Equal(t, "greg by Key", ways["message"](t, t.Context(), mux, "/it", authorization("key x")).body)
	assert.Empty(t, shared.Scheme)
}

func TestP18NoIdentity(t *testing.T) {
	assert.Nil(t, auth.FromContext(t.Context()))
	reply := message.Serve(t.Context(), guarded(nil), &message.Message{Route: "private.it"})
	assert.Equal(t, 401, reply.Status)
}

func TestP18RequireAudience(t *testing.T) {
	for name, test := range map[string]struct {
		path     string
		audience any
		status   int
	}{
		"equal":                 {"/acme/prod/math", "/acme/prod/math", 200},
		"a prefix":              {"/acme/prod/math", "/acme/prod", 200},
		"a shorter one":         {"/acme/prod/math", "/acme", 200},
		"everything":            {"/acme/prod/math", "/", 200},
		"a slash at the end":    {"/acme/prod/math", "/acme/", 200},
		"any environment":       {"/acme/prod/math", "/acme//math", 200},
		"any user":              {"/acme/prod/math", "//prod", 200},
		"any but the name":      {"/acme/prod/math", "///math", 200},
		"one of several":        {"/acme/prod/math", []string{"x", "/acme/prod"}, 200},
		"the root":              {"/", "/", 200},
		"another user":          {"/acme/prod/math", "/other/prod/math", 403},
		"another name":          {"/acme/prod/math", "/acme//text", 403},
		"another environment":   {"/acme/prod/math", "/acme/test", 403},
		"below the path":        {"/acme/prod", "/acme/prod/math", 403},
		"below the root":        {"/", "/acme", 403},
		"a part that begins so": {"/acme/prod/math", "/acme/pro", 403},
		"a part that goes on":   {"/acme/prod/math", "/acme/production", 403},
		"another case":          {"/acme/prod/math", "/Acme", 403},
		"dots":                  {"/acme/prod/math", "/acme/x/../prod", 403},
		"an asterisk":           {"/acme/prod/math", "/*", 403},
		"no slash":              {"/acme/prod/math", "acme", 403},
		"empty":                 {"/acme/prod/math", "", 403},
		"a name":                {"/acme/prod/math", "chat", 403},
		"missing":               {"/acme/prod/math", nil, 403},
		"none of several":       {"/acme/prod/math", []string{"x", "/other"}, 403},
		"an empty list":         {"/acme/prod/math", []string{}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			log := logs(t)
			mux := kami.New()
			mux.Use("/", auth.Schemes{"Bearer": auth.JWT(set())}.Identify)
			mux.Use("/it", auth.RequireAudience(test.path))
			mux.Post("/it", func(context.Context, http.ResponseWriter, *http.Request) {})
			claims := with(M{"sub": "greg", "exp": time.Now().Unix() + 60}, "aud", test.audience)
			header := authorization("Bearer " + sign("EdDSA", M{"alg": "EdDSA", "kid": "ed"}, claims, edKey))
			each(t, func(t *testing.T, ask way) {
				got := ask(t, t.Context(), mux, "/it", header)
				assert.Equal(t, test.status, got.status)
				lines := log.lines()
				if test.status == 200 {
					assert.Empty(t, lines)
					return
				}
				assert.Equal(t, "Forbidden\n", got.body)
				require.Len(t, lines, 1)
				assert.Contains(t, lines[0], "the identity's audience does not cover this path")
				assert.Equal(t, 401, ask(t, t.Context(), mux, "/it", nil).status, "nobody")
			})
		})
	}
}

// TestP18NarrowedAudience checks that RequireAudience uses the audience that WithVerify has set, and not the token's.
func TestP18NarrowedAudience(t *testing.T) {
	logs(t)
	jwt := auth.JWT(set(), auth.WithVerify(func(_ context.Context, id *auth.Identity) error {
		id.Audience = "/acme/test"
		return nil
	}))
	mux := kami.New()
	mux.Use("/", auth.Schemes{"Bearer": jwt}.Identify)
	mux.Use("/it", auth.RequireAudience("/acme/prod"))
	claims := M{"sub": "greg", "exp": time.Now().Unix() + 60, "aud": []string{"/", "/acme"}}
	header := authorization("Bearer " + sign("EdDSA", M{"alg": "EdDSA", "kid": "ed"}, claims, edKey))
	assert.Equal(t, 403, ways["message"](t, t.Context(), mux, "/it", header).status)
}

func TestP18PathsOfRequireAudience(t *testing.T) {
	for _, path := range []string{"", "acme", "/acme/", "/acme//math", "//", "//acme"} {
		assertPanics(t, fmt.Sprintf("auth: RequireAudience(%q): a path is a slash and parts that are not empty", path), func() { auth.RequireAudience(path) })
	}
}

// TestP18NestedMux checks that the challenges are the schemes of the innermost Mux, which refuses the request.
func TestP18NestedMux(t *testing.T) {
	logs(t)
	outer := kami.New()
	outer.Use("/", several().Identify)
	outer.Mount("/", guarded(auth.Schemes{"Key": auth.Secret(nil)}))
	each(t, func(t *testing.T, ask way) {
		got := ask(t, t.Context(), outer, "/private/it", nil)
		assert.Equal(t, 401, got.status)
		assert.Equal(t, []string{`Key realm="restricted"`}, got.header.Values("WWW-Authenticate"))
	})
}
