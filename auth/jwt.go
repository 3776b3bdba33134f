package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// maxToken is how many bytes a token may have.
const maxToken = 8 << 10

// JWTOption is an option of [JWT].
type JWTOption func(*verifier)

// WithIssuer requires the claim "iss" to be name. Without it every token that the keys verify is trusted, whoever issued it. It panics
// if name is empty.
func WithIssuer(name string) JWTOption {
	mustHave(name, "WithIssuer")
	return func(v *verifier) { v.issuer = name }
}

// WithAudience requires the claim "aud" to be, or to contain, name. Without it a token that the same issuer made for another service
// passes, unless [RequireAudience] checks the audience. It panics if name is empty.
func WithAudience(name string) JWTOption {
	mustHave(name, "WithAudience")
	return func(v *verifier) { v.audience = name }
}

// WithLeeway sets by how much the clocks of issuer and server may differ, 30 seconds by default. It panics below zero.
func WithLeeway(d time.Duration) JWTOption {
	mustNotBeNegative(d, "WithLeeway")
	return func(v *verifier) { v.leeway = d }
}

// WithAlgorithms sets which algorithms tokens may have: EdDSA, ES256 and RS256 by default. ES384, ES512, RS384, RS512, PS256, PS384
// and PS512 (RFC 7518, 3.1) are supported as well. It panics for any other algorithm, such as "none" or one with a shared key, and
// without any.
func WithAlgorithms(names ...string) JWTOption {
	if len(names) == 0 {
		panic("auth: WithAlgorithms: name at least one algorithm")
	}
	for _, name := range names {
		if _, ok := algorithms[name]; !ok {
			panic(fmt.Sprintf("auth: WithAlgorithms: %q is no supported algorithm with a public key; supported: %v", name, supported()))
		}
	}
	return func(v *verifier) { v.algorithms = slices.Clone(names) }
}

// WithCache sets for how long a token that was accepted is not verified again, 300 seconds by default, and never beyond its end. Zero
// turns the cache off. For a token in the cache the key is still compared, but the function of [WithVerify] is not called. The cache
// has at most 8,192 tokens, by their SHA-256. WithCache panics below zero.
func WithCache(d time.Duration) JWTOption {
	mustNotBeNegative(d, "WithCache")
	return func(v *verifier) { v.cacheFor = d }
}

// WithVerify adds your own check after all others, for example for revoked tokens. It may change the Identity. Its error refuses the
// token, see [Scheme]. It panics if the function is nil.
//
// The cache keeps its verdict, see [WithCache], and it is not called again for the messages of a connection. A check that uses values
// of ctx, such as a tenant, needs WithCache(0): its verdict would count for other tenants too.
func WithVerify(verify func(context.Context, *Identity) error) JWTOption {
	if verify == nil {
		panic("auth: WithVerify: the function is nil")
	}
	return func(v *verifier) { v.verify = append(v.verify, verify) }
}

func mustHave(name, option string) {
	if name == "" {
		panic("auth: " + option + ": the name is empty, which no token could be refused for; leave the option out to accept any")
	}
}

func mustNotBeNegative(d time.Duration, option string) {
	if d < 0 {
		panic(fmt.Sprintf("auth: %s: %v is below zero", option, d))
	}
}

// verifier is the Scheme of tokens.
type verifier struct {
	keys             KeySource
	algorithms       []string
	issuer, audience string
	leeway, cacheFor time.Duration
	verify           []func(context.Context, *Identity) error

	claims *jwt.Validator
	cache  *verdicts // nil without a cache
}

// JWT returns a Scheme, for "Bearer", of JSON Web Tokens (RFC 7519) that are signed (RFC 7515) with a key of keys:
//
//	schemes := auth.Schemes{"Bearer": auth.JWT(keys, auth.WithIssuer("https://id.example.com"), auth.WithAudience("chat"))}
//
// A token needs a header "kid" that keys knows, an algorithm that is allowed and fits the key, the claims "exp" and "sub", and a
// whole signature. The claims "nbf" and "iat" are checked if they are there. Also refused are tokens over 8 KB, encrypted and nested
// tokens, tokens with a header "crit" or with another "typ" than JWT or at+jwt, and tokens with a member of JSON twice. Keys that a
// token brings along (jwk, jku, x5c, x5u) are never used.
//
// An Identity holds as long as keys has the same key for its kid, on open connections too: see [Require].
// It panics if keys is nil.
func JWT(keys KeySource, opts ...JWTOption) Scheme {
	if keys == nil {
		panic("auth: JWT: the KeySource is nil")
	}
	v := &verifier{
		keys:       keys,
		algorithms: []string{"EdDSA", "ES256", "RS256"},
		leeway:     30 * time.Second,
		cacheFor:   300 * time.Second,
	}
	for _, opt := range opts {
		opt(v)
	}
	if v.cacheFor > 0 {
		v.cache = new(verdicts)
	}
	v.claims = v.validator()
	return v.identify
}

// validator returns a validator of the registered claims of RFC 7519. An empty issuer or audience accepts any.
func (v *verifier) validator() *jwt.Validator {
	opts := []jwt.ParserOption{jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(v.leeway), jwt.WithIssuer(v.issuer)}
	if v.audience != "" {
		opts = append(opts, jwt.WithAudience(v.audience))
	}
	return jwt.NewValidator(opts...)
}

var errTooLong = errors.New("the token has more than 8 KB")

// identify is the Scheme.
func (v *verifier) identify(ctx context.Context, token string) (*Identity, error) {
	if len(token) > maxToken {
		return nil, errTooLong
	}
	if v.cache == nil {
		return v.read(ctx, token)
	}
	sum := sha256.Sum256([]byte(token))
	if id := v.cache.get(sum, time.Now()); id != nil {
		err := id.proof.check(ctx)
		if err == nil {
			return id.clone(), nil
		}
		if statusOf(err) >= 500 {
			return nil, err
		}
	}
	id, err := v.read(ctx, token)
	if err != nil {
		v.cache.drop(sum)
		return nil, err
	}
	v.cache.put(sum, id.clone(), until(id, time.Now().Add(v.cacheFor)))
	return id, nil
}

// until returns the time to which the verdict on a token may be kept.
func until(id *Identity, limit time.Time) time.Time {
	if !id.Expires.IsZero() && id.Expires.Before(limit) {
		return id.Expires
	}
	return limit
}

// read verifies a token: first its header, then its signature, then its claims. Claims are not read before the signature is verified.
func (v *verifier) read(ctx context.Context, token string) (*Identity, error) {
	t, err := split(token)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(v.algorithms, t.alg) {
		return nil, fmt.Errorf("the algorithm %.16q is not one of %v", t.alg, v.algorithms)
	}
	proof := &proof{keys: v.keys, kid: t.kid, alg: t.alg, leeway: v.leeway}
	if proof.key, err = proof.current(ctx); err != nil {
		return nil, err
	}
	if err := t.verify(proof.key); err != nil {
		return nil, err
	}
	proof.key = copyOf(proof.key)
	id, err := v.identityOf(t.payload)
	if err != nil {
		return nil, err
	}
	for _, verify := range v.verify {
		if err := verify(ctx, id); err != nil {
			return nil, err
		}
	}
	id.proof = proof // last, because verify may have replaced the Identity
	return id, nil
}

// identityOf makes an Identity of the payload of a verified token.
func (v *verifier) identityOf(payload []byte) (*Identity, error) {
	claims, err := decodeObject(payload)
	if err != nil {
		return nil, fmt.Errorf("the claims: %w", err)
	}
	audiences, err := stringsOf(claims["aud"])
	if err != nil {
		return nil, fmt.Errorf(`the claim "aud" is %w`, err)
	}
	for _, name := range []string{"exp", "nbf", "iat"} {
		if err := checkDate(name, claims); err != nil {
			return nil, err
		}
	}
	c := jwt.MapClaims(claims)
	if err := v.claims.Validate(c); err != nil {
		return nil, err
	}
	expires, _ := c.GetExpirationTime() // the validator has checked it
	id := &Identity{Expires: expires.Time, Claims: claims, Audience: v.audience}
	if id.Audience == "" && len(audiences) > 0 {
		id.Audience = audiences[0]
	}
	if id.Issuer, err = c.GetIssuer(); err != nil {
		return nil, err
	}
	if id.Subject, err = c.GetSubject(); err == nil && id.Subject == "" {
		err = errNoSubject
	}
	return id, err
}
