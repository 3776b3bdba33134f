package auth_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/auth"
)

// farAway is the end of the tokens of fuzz tests. It is constant, so that all processes of a fuzz test have the same tokens.
const farAway = 99999999999

// FuzzJWT checks that a token is accepted only if its header and claims are ones that a private key has signed.
func FuzzJWT(f *testing.F) {
	logs(f)
	var signed []string
	for alg, key := range map[string]struct {
		kid string
		key any
	}{"EdDSA": {"ed", edKey}, "ES256": {"p256", p256Key}, "RS256": {"rsa", rsaKey}} {
		token := sign(alg, M{"alg": alg, "kid": key.kid}, M{"sub": "greg", "iss": "me", "aud": "chat", "exp": farAway}, key.key)
		signed = append(signed, token[:strings.LastIndex(token, ".")])
		f.Add(token)
	}
	for _, refused := range refusals() {
		f.Add(refused.token)
	}
	scheme := auth.JWT(set(), auth.WithIssuer("me"), auth.WithAudience("chat"))
	f.Fuzz(func(t *testing.T, token string) {
		id, err := scheme(t.Context(), token)
		assert.Equal(t, err == nil, id != nil)
		if err != nil {
			assert.Less(t, len(err.Error()), 512, "a reason is short")
			return
		}
		assert.Contains(t, signed, token[:strings.LastIndex(token, ".")])
	})
}

// FuzzClaims signs any claims, so that JWT reads them. It checks that JWT accepts only claims that have the right issuer and
// audience, and that have not expired.
func FuzzClaims(f *testing.F) {
	for _, seed := range []string{
		`{"sub":"greg","iss":"me","aud":"chat","exp":99999999999}`, `{"sub":"greg","iss":"me","aud":["x","chat"],"exp":1e11,"nbf":0.5}`,
		`{"sub":"a","sub":"b"}`, `{"aud":{}}`, `{"exp":-0}`, `[]`, `{"exp":1E400}`, `{"sub":"\ud800","exp":99999999999,"iss":"me","aud":"chat"}`,
	} {
		f.Add(seed)
	}
	keys := set()
	scheme := auth.JWT(keys, auth.WithIssuer("me"), auth.WithAudience("chat"), auth.WithCache(0))
	f.Fuzz(func(t *testing.T, claims string) {
		id, err := scheme(t.Context(), sign("EdDSA", M{"alg": "EdDSA", "kid": "ed"}, claims, edKey))
		if err != nil {
			return
		}
		assert.NotEmpty(t, id.Subject)
		assert.Equal(t, "me", id.Issuer)
		assert.Equal(t, "chat", id.Audience)
		assert.True(t, id.Expires.After(time.Now().Add(-31*time.Second)))
		assert.Less(t, id.Expires.Year(), 10000)
		assert.Equal(t, id.Subject, id.Claims["sub"])
	})
}

// FuzzLoadJWKS checks that LoadJWKS changes nothing if it fails, and otherwise loads only keys that can be used.
func FuzzLoadJWKS(f *testing.F) {
	f.Add(rfc7517)
	for _, jwk := range []M{okp(), ec(p256Key), ec(p521Key), rsaJWK(&rsaKey.PublicKey), with(okp(), "d", "AA"), with(okp(), "use", "enc")} {
		f.Add(string(jwks(jwk)))
		f.Add(string(jwks(jwk, with(jwk, "kid", "other"))))
	}
	f.Fuzz(func(t *testing.T, data string) {
		keys := set()
		err := keys.LoadJWKS([]byte(data))
		_, left := keys.Key(t.Context(), "p384")
		if err != nil {
			assert.NoError(t, left, err)
			return
		}
		for _, kid := range []string{"k", "other", "1", "2011-04-29", ""} {
			if key, err := keys.Key(t.Context(), kid); err == nil {
				require.NotEmpty(t, kid)
				new(auth.Keys).Set(kid, key) // Set panics for a bad key
			}
		}
	})
}

// FuzzAuthorization checks that only right credentials are accepted, and that the secret is not logged.
func FuzzAuthorization(f *testing.F) {
	log := logs(f)
	const secret = "Tr0ub4dor&3"
	schemes := auth.Schemes{"Bearer": auth.JWT(set()), "Key": auth.Secret(map[string]string{"greg": secret})}
	mux := guarded(schemes)
	good := "Bearer " + sign("EdDSA", M{"alg": "EdDSA", "kid": "ed"}, M{"sub": "greg", "exp": farAway}, edKey)
	for _, value := range []string{
		"", " ", good, "Key greg:" + secret, "KEY  greg:" + secret + " ", "Key\tgreg:" + secret, "Key:greg:" + secret, "Key greg", ",Key greg:" + secret,
		"Bearer", "Bearer  ", "bearer=" + good, "Basic Z3JlZzpUcjB1YjRkb3ImMw==", "\x00", "Key greg:" + secret + "\x00", secret,
	} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		r, w := httptest.NewRequest("POST", "/private/it", nil), httptest.NewRecorder()
		r.Header = http.Header{"Authorization": {value}}
		mux.ServeHTTP(w, r)
		scheme, credential, _ := strings.Cut(value, " ")
		credential = strings.Trim(credential, " \t")
		right := strings.EqualFold(scheme, "key") && credential == "greg:"+secret ||
			strings.EqualFold(scheme, "bearer") && credential == good[len("Bearer "):]
		assert.Equal(t, right, w.Code == 200, w.Code)
		lines := log.take()
		if !right {
			assert.Equal(t, 401, w.Code)
			assert.Equal(t, 1, strings.Count(lines, "\n"))
		}
		assert.NotContains(t, lines, secret)
		_, err := schemes.Authenticate(t.Context(), scheme, credential)
		assert.Equal(t, right, err == nil)
		log.take()
	})
}
