package auth_test

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/auth"
)

// hardware hides the type of a key: only its crypto.Signer interface is visible, as with a hardware key.
type hardware struct{ crypto.Signer }

func TestIssuer(t *testing.T) {
	logs(t)
	for kid, key := range map[string]crypto.Signer{"ed": edKey, "p256": p256Key, "rsa": rsaKey} {
		for range 20 { // because the length of an ES256 signature's parts varies
			for _, key := range []crypto.Signer{key, hardware{key}} {
				issuer := &auth.Issuer{Name: "me", KeyID: kid, Key: key}
				token, err := issuer.Token(t.Context(), auth.Identity{Subject: "greg", Audience: "chat", Claims: M{"role": "admin"}}, time.Minute)
				require.NoError(t, err)
				id, err := identify(t, auth.JWT(set(), auth.WithIssuer("me"), auth.WithAudience("chat")), token)
				require.NoError(t, err)
				assert.Equal(t, "greg", id.Subject)
				assert.Equal(t, "admin", id.Claims["role"])
			}
		}
	}
}

func TestIssuerRoundsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logs(t)
		source := (&auth.Issuer{KeyID: "ed", Key: edKey}).Source(auth.Identity{Subject: "greg"}, 1500*time.Millisecond)
		start := time.Now()
		for _, test := range []struct{ at, want time.Duration }{
			{0, 2 * time.Second}, {1, 2 * time.Second}, {500 * time.Millisecond, 2 * time.Second}, {500*time.Millisecond + 1, 3 * time.Second},
		} {
			time.Sleep(time.Until(start.Add(test.at)))
			scheme, token, expires, err := source(t.Context())
			require.NoError(t, err)
			assert.Equal(t, "Bearer", scheme)
			assert.Equal(t, start.Add(test.want), expires)
			id, err := identify(t, auth.JWT(set()), token)
			require.NoError(t, err)
			assert.True(t, expires.Equal(id.Expires))
		}
	})
}

// TestIssuerSourceRenews checks that the source returns a new token each time, with a later end.
func TestIssuerSourceRenews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := (&auth.Issuer{KeyID: "ed", Key: edKey}).Source(auth.Identity{Subject: "greg"}, time.Minute)
		_, first, firstEnd, err := source(t.Context())
		require.NoError(t, err)
		time.Sleep(50 * time.Second)
		_, second, secondEnd, err := source(t.Context())
		require.NoError(t, err)
		assert.NotEqual(t, first, second)
		assert.Equal(t, 50*time.Second, secondEnd.Sub(firstEnd))
	})
}

func TestIssuerClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().Unix()
		claims := func(issuer auth.Issuer, id auth.Identity) (claims M) {
			issuer.KeyID, issuer.Key = "ed", edKey
			id.Subject = "greg"
			token, err := issuer.Token(t.Context(), id, time.Minute)
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(must(b64Decode(strings.Split(token, ".")[1])), &claims))
			return claims
		}
		old := M{"iss": "old", "sub": "root", "exp": 1, "iat": 1, "aud": []string{"a", "b"}, "jti": "7"}
		base := M{"sub": "greg", "iat": float64(now), "exp": float64(now + 60)}
		assert.Equal(t, base, claims(auth.Issuer{}, auth.Identity{}))
		assert.Equal(t, with(with(base, "aud", []any{"a", "b"}), "jti", "7"), claims(auth.Issuer{}, auth.Identity{Claims: old, Issuer: "old"}))
		assert.Equal(t, with(with(with(base, "aud", "c"), "jti", "7"), "iss", "me"), claims(auth.Issuer{Name: "me"}, auth.Identity{Claims: old, Audience: "c"}))
		assert.Equal(t, "root", old["sub"], "the map of the identity is left alone")
	})
}

// crooked is a key that returns a given signature or error instead of signing.
type crooked struct {
	crypto.Signer
	signature []byte
	err       error
}

func (c crooked) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return c.signature, c.err
}

func TestIssuerErrors(t *testing.T) {
	greg := auth.Identity{Subject: "greg"}
	ended, end := context.WithCancelCause(t.Context())
	end(errors.New("enough"))
	for want, test := range map[string]struct {
		ctx    context.Context
		issuer auth.Issuer
		id     auth.Identity
		ttl    time.Duration
	}{
		"enough":                                    {ended, auth.Issuer{KeyID: "k", Key: edKey}, greg, 1},
		"it has no KeyID":                           {nil, auth.Issuer{Key: edKey}, greg, 1},
		"it has no Key":                             {nil, auth.Issuer{KeyID: "k"}, greg, 1},
		"the RSA key has 1024 bits":                 {nil, auth.Issuer{KeyID: "k", Key: newWeakRSA()}, greg, 1},
		"its Key is EC P-384; accepted: Ed25519":    {nil, auth.Issuer{KeyID: "k", Key: p384Key}, greg, 1},
		"the identity has no subject":               {nil, auth.Issuer{KeyID: "k", Key: edKey}, auth.Identity{}, 1},
		"a token that lives for 0s is never valid":  {nil, auth.Issuer{KeyID: "k", Key: edKey}, greg, 0},
		"a token that lives for -1s is never valid": {nil, auth.Issuer{KeyID: "k", Key: edKey}, greg, -time.Second},
		"unsupported value: NaN":                    {nil, auth.Issuer{KeyID: "k", Key: edKey}, auth.Identity{Subject: "greg", Claims: M{"x": math.NaN()}}, 1},
		"and may have 8192":                         {nil, auth.Issuer{KeyID: "k", Key: edKey}, auth.Identity{Subject: strings.Repeat("x", 8<<10)}, 1},
		"the card is out":                           {nil, auth.Issuer{KeyID: "k", Key: crooked{edKey, nil, errors.New("the card is out")}}, greg, 1},
		"none of P-256":                             {nil, auth.Issuer{KeyID: "k", Key: crooked{p256Key, []byte("x"), nil}}, greg, 1},
	} {
		if test.ctx == nil {
			test.ctx = t.Context()
		}
		token, err := test.issuer.Token(test.ctx, test.id, test.ttl)
		require.ErrorContains(t, err, "auth: Issuer: ", want)
		assert.ErrorContains(t, err, want)
		assert.Empty(t, token)
		_, token, expires, err := test.issuer.Source(test.id, test.ttl)(test.ctx)
		assert.ErrorContains(t, err, want)
		assert.Zero(t, token)
		assert.Zero(t, expires)
	}
}

func TestSecret(t *testing.T) {
	given := map[string]string{"greg": "long and random", "empty": "", "a": "b:c"}
	scheme := auth.Secret(given)
	given["greg"] = "changed later"
	for credential, want := range map[string]string{
		"greg:long and random": "greg", "a:b:c": "a",
		"greg:long and randoM": "", "greg:long and random ": "", "greg:long": "", "greg:": "", "greg": "", ":": "", "": "", "greg:changed later": "",
		"empty:": "", "empty": "", "a:b": "", "Greg:long and random": "", "root:long and random": "", ":long and random": "", "nobody:": "",
	} {
		id, err := scheme(t.Context(), credential)
		if want == "" {
			assert.EqualError(t, err, "the subject is unknown, or the key is wrong", credential)
			assert.Nil(t, id)
			continue
		}
		require.NoError(t, err, credential)
		assert.Equal(t, want, id.Subject)
	}
	for _, subject := range []string{"", "a:b"} {
		assertPanics(t, "is empty or has a colon", func() { auth.Secret(map[string]string{subject: "key"}) })
	}
	for _, none := range []map[string]string{nil, {}} {
		_, err := auth.Secret(none)(t.Context(), "greg:x")
		assert.Error(t, err)
	}
}
