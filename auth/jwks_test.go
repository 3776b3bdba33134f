package auth_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/auth"
)

// rfc7517 is the set of RFC 7517, A.1.
const rfc7517 = `{"keys":
 [
  {"kty":"EC",
   "crv":"P-256",
   "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
   "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
   "use":"enc",
   "kid":"1"},

  {"kty":"RSA",
   "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
   "e":"AQAB",
   "alg":"RS256",
   "kid":"2011-04-29"}
 ]
}`

func TestJWKSOfTheRFC(t *testing.T) {
	keys := new(auth.Keys)
	require.NoError(t, keys.LoadJWKS([]byte(rfc7517)))
	key, err := keys.Key(t.Context(), "2011-04-29")
	require.NoError(t, err)
	assert.Equal(t, 65537, key.(*rsa.PublicKey).E)
	assert.Equal(t, 2048, key.(*rsa.PublicKey).N.BitLen())
	_, err = keys.Key(t.Context(), "1")
	assert.ErrorIs(t, err, auth.ErrUnknownKey, "which is for encryption")
	require.NoError(t, keys.LoadJWKS([]byte(strings.Replace(rfc7517, `"enc"`, `"sig"`, 1))))
	key, err = keys.Key(t.Context(), "1")
	require.NoError(t, err)
	assert.Equal(t, elliptic.P256(), key.(*ecdsa.PublicKey).Curve)
}

// okp, ec and rsaJWK return valid JSON Web Keys. Tests change their members to make them wrong.
func okp() M {
	return M{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": b64(edKey.Public().(ed25519.PublicKey))}
}

func ec(key *ecdsa.PrivateKey) M {
	point := must(key.PublicKey.Bytes())[1:]
	return M{"kty": "EC", "crv": key.Params().Name, "kid": "k", "x": b64(point[:len(point)/2]), "y": b64(point[len(point)/2:])}
}

func rsaJWK(key *rsa.PublicKey) M {
	return M{"kty": "RSA", "kid": "k", "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes())}
}

func jwks(keys ...any) []byte { return must(json.Marshal(M{"keys": keys})) }

func TestJWKSTakesAllThatIsSupported(t *testing.T) {
	logs(t)
	now := time.Now().Unix()
	for alg, test := range map[string]struct {
		jwk M
		key any
	}{
		"EdDSA": {okp(), edKey}, "ES256": {ec(p256Key), p256Key}, "ES384": {ec(p384Key), p384Key}, "ES512": {ec(p521Key), p521Key},
		"RS256": {rsaJWK(&rsaKey.PublicKey), rsaKey}, "PS512": {rsaJWK(&rsaKey.PublicKey), rsaKey},
	} {
		for _, jwk := range []M{test.jwk, with(test.jwk, "use", "sig"), with(test.jwk, "key_ops", []string{"sign", "verify"}), with(test.jwk, "alg", alg), with(test.jwk, "x5c", []int{1})} {
			keys := new(auth.Keys)
			require.NoError(t, keys.LoadJWKS(jwks(jwk)), alg)
			_, err := identify(t, auth.JWT(keys, auth.WithAlgorithms(alg)), sign(alg, M{"alg": alg, "kid": "k"}, M{"sub": "greg", "exp": now + 60}, test.key))
			assert.NoError(t, err, alg)
		}
	}
}

// TestJWKSAlgorithm checks that a token is refused if its algorithm is not the "alg" of its key.
func TestJWKSAlgorithm(t *testing.T) {
	log := logs(t)
	keys := new(auth.Keys)
	require.NoError(t, keys.LoadJWKS(jwks(with(rsaJWK(&rsaKey.PublicKey), "alg", "PS256"))))
	scheme := auth.JWT(keys, auth.WithAlgorithms("PS256", "RS256"))
	claims := M{"sub": "greg", "exp": time.Now().Unix() + 60}
	_, err := identify(t, scheme, sign("PS256", M{"alg": "PS256", "kid": "k"}, claims, rsaKey))
	assert.NoError(t, err)
	_, err = identify(t, scheme, sign("RS256", M{"alg": "RS256", "kid": "k"}, claims, rsaKey))
	assert.Error(t, err)
	assert.Contains(t, log.take(), "the key is for PS256, and the token's algorithm is RS256")
}

func TestJWKSLeavesOutOthers(t *testing.T) {
	for name, other := range map[string]M{
		"for encryption":          with(okp(), "use", "enc"),
		"for an unknown use":      with(okp(), "use", "x"),
		"for signing alone":       with(okp(), "key_ops", []string{"sign"}),
		"for no operation":        with(okp(), "key_ops", []string{}),
		"an unknown type":         {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA", "kid": "k"},
		"an unknown curve":        with(ec(p256Key), "crv", "secp256k1"),
		"X25519":                  with(okp(), "crv", "X25519"),
		"an algorithm of others":  with(rsaJWK(&rsaKey.PublicKey), "alg", "RSA-OAEP"),
		"the algorithm of shared": with(rsaJWK(&rsaKey.PublicKey), "alg", "HS256"),
	} {
		keys := new(auth.Keys)
		require.NoError(t, keys.LoadJWKS(jwks(other, with(okp(), "kid", "good"))), name)
		_, err := keys.Key(t.Context(), "k")
		assert.ErrorIs(t, err, auth.ErrUnknownKey, name)
		_, err = keys.Key(t.Context(), "good")
		assert.NoError(t, err, name)
		assert.EqualError(t, keys.LoadJWKS(jwks(other)), "auth: LoadJWKS: none of the 1 keys is one for signatures that is supported", name)
		_, err = keys.Key(t.Context(), "good")
		assert.NoError(t, err, name)
	}
}

func TestJWKSAllOrNothing(t *testing.T) {
	small, point := rsaJWK(&newWeakRSA().PublicKey), ec(p256Key)
	for want, jwk := range map[string]any{
		`it has no member "kty"`:                            with(okp(), "kty", nil),
		`its member "kty" is no string`:                     with(okp(), "kty", 1),
		`it has no member "crv"`:                            with(okp(), "crv", nil),
		`its member "crv" is no string`:                     with(point, "crv", 256),
		`it has no member "x"`:                              with(okp(), "x", nil),
		`its member "x" is not base64url`:                   with(okp(), "x", "=="),
		`its member "x" is not base64url `:                  with(okp(), "x", okp()["x"].(string)+"\n"),
		`its member "x" has 31 bytes, and should have 32`:   with(okp(), "x", b64(make([]byte, 31))),
		`its member "y" has 33 bytes, and should have 32`:   with(point, "y", b64(make([]byte, 33))),
		`its member "x" has 1 bytes, and should have 32`:    with(point, "x", "AA"),
		`its x and y are no point of P-256`:                 with(point, "y", point["x"]),
		`its x and y are no point of P-256 `:                with(with(point, "y", b64(make([]byte, 32))), "x", b64(make([]byte, 32))),
		`its member "x" has 48 bytes, and should have 32`:   with(ec(p384Key), "crv", "P-256"),
		`the RSA key has 1024 bits`:                         small,
		`the RSA key has 0 bits`:                            with(small, "n", "AA"),
		`the Ed25519 key is one for which anybody can sign`: with(okp(), "x", b64(make([]byte, 32))),
		`it has no member "n"`:                              with(small, "n", nil),
		`it has no member "e"`:                              with(small, "e", nil),
		`its member "e" has more than 31 bits`:              with(small, "e", b64([]byte{1, 0, 0, 0, 1})),
		`the RSA key's exponent 1 is not odd`:               with(rsaJWK(&rsaKey.PublicKey), "e", "AQ"),
		`its member "d" is secret`:                          with(okp(), "d", "AA"),
		`its member "d" is secret `:                         with(with(okp(), "d", "AA"), "use", "enc"),
		`its member "p" is secret`:                          with(rsaJWK(&rsaKey.PublicKey), "p", "AA"),
		`its member "k" is secret`:                          M{"kty": "oct", "kid": "k", "k": "AA"},
		`its member "priv" is secret`:                       M{"kty": "AKP", "kid": "k", "priv": "AA"},
		`it has no member "kid"`:                            with(okp(), "kid", nil),
		`it has no member "kid" `:                           with(okp(), "kid", ""),
		`its member "kid" is no string`:                     with(okp(), "kid", 7),
		`another key has this kid`:                          with(okp(), "kid", "first"),
		`its member "use" is no string`:                     with(okp(), "use", []string{"sig"}),
		`its member "alg" is no string`:                     with(okp(), "alg", 1),
		`its member "key_ops" is no list of strings`:        with(okp(), "key_ops", "verify"),
		`its member "key_ops" is no list of strings `:       with(okp(), "key_ops", []any{"verify", 1}),
		`the algorithm ES256 needs a key of kind EC P-256`:  with(okp(), "alg", "ES256"),
		`the algorithm ES384 needs a key of kind EC P-384`:  with(point, "alg", "ES384"),
		`it has no member "kty" `:                           "a string",
		`it has no member "kty"  `:                          nil,
	} {
		keys := set()
		err := keys.LoadJWKS(jwks(with(okp(), "kid", "first"), jwk, with(okp(), "kid", "last")))
		require.Error(t, err, want)
		assert.Contains(t, err.Error(), "auth: LoadJWKS: key 1 (kid ", want)
		assert.Contains(t, err.Error(), strings.TrimSpace(want), want)
		_, err = keys.Key(t.Context(), "first")
		assert.ErrorIs(t, err, auth.ErrUnknownKey, want)
		_, err = keys.Key(t.Context(), "rsa")
		assert.NoError(t, err, want)
	}
}

func TestJWKSIsNone(t *testing.T) {
	for data, want := range map[string]string{
		"":                 "it is not JSON in UTF-8",
		"<html>":           "it is not JSON in UTF-8",
		"[]":               "it is no JSON object",
		"null":             "it is no JSON object",
		"{}":               `there is no list "keys"`,
		`{"Keys":[]}`:      `there is no list "keys"`,
		`{"keys":{}}`:      `there is no list "keys"`,
		`{"keys":[]}`:      "none of the 0 keys",
		`{"keys":[]} {}`:   "it is not JSON in UTF-8",
		"{\"a\":\"\xff\"}": "it is not JSON in UTF-8",
		`{"keys":[` + jwkOf("a", edKey) + `],"keys":[]}`:                         "an object has a member twice",
		`{"keys":[{"kty":"oct","kty":"OKP"}]}`:                                   "an object has a member twice",
		strings.Repeat("[", 1_000_000) + strings.Repeat("]", 1_000_000):          "",
		`{"keys":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`: "it is nested deeper than 32 levels",
	} {
		keys := set()
		err := keys.LoadJWKS([]byte(data))
		require.ErrorContains(t, err, "auth: LoadJWKS: "+want)
		_, err = keys.Key(t.Context(), "ed")
		assert.NoError(t, err)
	}
}

func TestKeysSet(t *testing.T) {
	keys := new(auth.Keys)
	keys.Delete("none")
	for want, f := range map[string]func(){
		"auth: Keys.Set: the kid is empty":                             func() { keys.Set("", edKey.Public()) },
		`auth: Keys.Set("k"): ed25519.PrivateKey is no public key`:     func() { keys.Set("k", edKey) },
		`auth: Keys.Set("k"): <nil> is no public key`:                  func() { keys.Set("k", nil) },
		`auth: Keys.Set("k"): []uint8 is no public key; accepted: ed2`: func() { keys.Set("k", []byte("secret")) },
		`auth: Keys.Set("k"): the RSA key has 1024 bits`:               func() { keys.Set("k", newWeakRSA().Public()) },
	} {
		assertPanics(t, want, f)
	}
	_, err := keys.Key(t.Context(), "k")
	assert.ErrorIs(t, err, auth.ErrUnknownKey)
	for i := range 10 {
		keys.Set(fmt.Sprint(i), edKey.Public())
	}
	keys.Delete("3")
	for i := range 10 {
		_, err := keys.Key(t.Context(), fmt.Sprint(i))
		assert.Equal(t, i == 3, err != nil)
	}
}
