package auth_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/guregu/kami/auth"
)

// BenchmarkJWT measures the check of a token, with the cache and without it.
func BenchmarkJWT(b *testing.B) {
	claims := M{"sub": "greg", "iss": "me", "aud": "chat", "exp": time.Now().Add(time.Hour).Unix()}
	for _, test := range []struct {
		name, token string
		opts        []auth.JWTOption
	}{
		{"cached", sign("EdDSA", M{"alg": "EdDSA", "kid": "ed"}, claims, edKey), nil},
		{"EdDSA", sign("EdDSA", M{"alg": "EdDSA", "kid": "ed"}, claims, edKey), []auth.JWTOption{auth.WithCache(0)}},
		{"ES256", sign("ES256", M{"alg": "ES256", "kid": "p256"}, claims, p256Key), []auth.JWTOption{auth.WithCache(0)}},
		{"RS256", sign("RS256", M{"alg": "RS256", "kid": "rsa"}, claims, rsaKey), []auth.JWTOption{auth.WithCache(0)}},
	} {
		b.Run(test.name, func(b *testing.B) {
			scheme := auth.JWT(set(), test.opts...)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := scheme(b.Context(), test.token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRequire measures Identify and Require for a message of a connection that has an identity.
func BenchmarkRequire(b *testing.B) {
	schemes := auth.Schemes{"Bearer": auth.JWT(set())}
	ctx := open(b, schemes, bearer(time.Hour))
	w, r := httptest.NewRecorder(), httptest.NewRequest("POST", "/private/it", nil)
	b.ReportAllocs()
	for b.Loop() {
		if schemes.Identify(ctx, w, r) == nil || auth.Require(ctx, w, r) == nil {
			b.Fatal("refused")
		}
	}
}
