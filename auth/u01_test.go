package auth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/auth"
)

// tokens has the header and the claims of a token.
type tokens struct{ header, claims M }

func right() tokens {
	now := time.Now().Unix()
	return tokens{
		M{"alg": "EdDSA", "typ": "JWT", "kid": "ed"},
		M{"iss": "me", "aud": "chat", "sub": "greg", "exp": now + 600, "nbf": now, "iat": now},
	}
}

// set returns Keys with a key of each kind.
func set() *auth.Keys {
	keys := new(auth.Keys)
	keys.Set("ed", edKey.Public())
	keys.Set("p256", p256Key.Public())
	keys.Set("p384", p384Key.Public())
	keys.Set("p521", p521Key.Public())
	keys.Set("rsa", rsaKey.Public())
	return keys
}

// guarded returns a mux that has Identify at /, Require at /private/, and handlers that answer with the subject.
func guarded(schemes auth.Schemes) *kami.Mux {
	mux := kami.New()
	mux.Use("/", schemes.Identify)
	mux.Use("/private/", auth.Require)
	greet := func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		if id := auth.FromContext(ctx); id != nil {
			fmt.Fprintf(w, "%s by %s", id.Subject, id.Scheme)
			return
		}
		fmt.Fprint(w, "nobody")
	}
	mux.Post("/private/it", greet)
	mux.Post("/it", greet)
	return mux
}

// refusals returns tokens that must be refused, and the reasons that are logged.
func refusals() map[string]struct{ token, reason string } {
	r := right()
	ed := func(header, claims any) string { return sign("EdDSA", header, claims, edKey) }
	claim := func(name string, v any) string { return ed(r.header, with(r.claims, name, v)) }
	head := func(name string, v any) string { return ed(with(r.header, name, v), r.claims) }
	good := ed(r.header, r.claims)
	parts := strings.Split(good, ".")
	now := time.Now().Unix()
	rsaPublic := must(x509.MarshalPKIXPublicKey(rsaKey.Public()))
	raw := string(must(jwt.New(jwt.SigningMethodNone).SignedString(jwt.UnsafeAllowNoneSignatureType)))
	flipped := func(i int) string {
		p := append([]string(nil), parts...)
		other := "A"
		if p[i][0] == 'A' {
			other = "B"
		}
		p[i] = other + p[i][1:]
		return strings.Join(p, ".")
	}
	return map[string]struct{ token, reason string }{
		"alg none":                         {sign("none", with(r.header, "alg", "none"), r.claims, jwt.UnsafeAllowNoneSignatureType), `algorithm \"none\" is not one of`},
		"alg none of package jwt":          {raw, "no \\\"kid\\\""},
		"alg None":                         {encode(with(r.header, "alg", "nOnE")) + "." + encode(r.claims) + ".", `algorithm \"nOnE\" is not one of`},
		"alg missing":                      {head("alg", nil), `algorithm \"\" is not one of`},
		"alg a number":                     {head("alg", 1), `algorithm \"\" is not one of`},
		"alg in another case":              {head("alg", "EDDSA"), `algorithm \"EDDSA\" is not one of`},
		"alg ES384, not on the list":       {sign("ES384", M{"alg": "ES384", "kid": "p384"}, r.claims, p384Key), `algorithm \"ES384\" is not one of`},
		"HS256 with the public key":        {sign("HS256", M{"alg": "HS256", "kid": "ed"}, r.claims, []byte(edKey.Public().(ed25519.PublicKey))), `algorithm \"HS256\" is not one of`},
		"HS256 with the DER of an RSA key": {sign("HS256", M{"alg": "HS256", "kid": "rsa"}, r.claims, rsaPublic), `algorithm \"HS256\" is not one of`},
		"HS256 signature, RS256 said":      {sign("HS256", M{"alg": "RS256", "kid": "rsa"}, r.claims, rsaPublic), "the signature is wrong"},
		"kid missing":                      {head("kid", nil), "has no \\\"kid\\\""},
		"kid empty":                        {head("kid", ""), "has no \\\"kid\\\""},
		"kid a number":                     {head("kid", 7), "has no \\\"kid\\\""},
		"kid unknown":                      {head("kid", "../../dev/null"), `kid \"../../dev/null\": auth: there is no such key`},
		"kid of another type of key":       {head("kid", "rsa"), "the algorithm EdDSA needs a key of kind Ed25519, and this one is RSA"},
		"kid of another curve":             {sign("ES256", M{"alg": "ES256", "kid": "p384"}, r.claims, p256Key), "the algorithm ES256 needs a key of kind EC P-256, and this one is EC P-384"},
		"another's key":                    {sign("EdDSA", r.header, r.claims, otherEdKey), "the signature is wrong"},
		"crit":                             {ed(M{"alg": "EdDSA", "kid": "ed", "crit": []string{"exp"}, "exp": 1}, r.claims), "crit"},
		"crit empty":                       {head("crit", []string{}), "crit"},
		"unencoded payload, RFC 7797":      {ed(M{"alg": "EdDSA", "kid": "ed", "crit": []string{"b64"}, "b64": false}, r.claims), "crit"},
		"cty":                              {head("cty", "JWT"), "nested"},
		"enc":                              {head("enc", "A128GCM"), "encrypted"},
		"nested":                           {ed(r.header, good), "the claims: it is not JSON"},
		"JWE":                              {"eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.AA.AA.AA.AA", "not three parts"},
		"typ of a logout token":            {head("typ", "logout+jwt"), "typ"},
		"typ of a proof of possession":     {head("typ", "dpop+jwt"), "typ"},
		"typ a number":                     {head("typ", 1), "typ"},
		"its own key, jwk":                 {sign("EdDSA", with(r.header, "jwk", M{"kty": "OKP", "crv": "Ed25519", "x": b64(otherEdKey.Public().(ed25519.PublicKey))}), r.claims, otherEdKey), "the signature is wrong"},
		"its own key, jku":                 {sign("EdDSA", with(r.header, "jku", "http://127.0.0.1:1/"), r.claims, otherEdKey), "the signature is wrong"},

		"expired":                    {claim("exp", now-31), "token is expired"},
		"exp missing":                {claim("exp", nil), "exp claim is required"},
		"exp null":                   {ed(r.header, `{"sub":"greg","iss":"me","aud":"chat","exp":null}`), `\"exp\" is no date`},
		"exp a string":               {claim("exp", "9999999999"), `\"exp\" is no date`},
		"exp beyond all":             {ed(r.header, `{"sub":"greg","iss":"me","aud":"chat","exp":1e300}`), `\"exp\" is no date`},
		"exp infinite":               {ed(r.header, `{"sub":"greg","iss":"me","aud":"chat","exp":1e400}`), `\"exp\" is no date`},
		"exp negative":               {claim("exp", -1), `\"exp\" is no date`},
		"exp 0":                      {claim("exp", 0), "token is expired"},
		"not yet valid":              {claim("nbf", now+60), "token is not valid yet"},
		"nbf a string":               {claim("nbf", "x"), `\"nbf\" is no date`},
		"issued in the future":       {claim("iat", now+60), "token used before issued"},
		"iat a list":                 {claim("iat", []int{1}), `\"iat\" is no date`},
		"another issuer":             {claim("iss", "you"), "token has invalid issuer"},
		"issuer in another case":     {claim("iss", "Me"), "token has invalid issuer"},
		"iss missing":                {claim("iss", nil), "iss claim is required"},
		"iss a list":                 {claim("iss", []string{"me"}), "iss is invalid"},
		"another audience":           {claim("aud", "mail"), "token has invalid audience"},
		"an audience that begins so": {claim("aud", "chat2"), "token has invalid audience"},
		"other audiences":            {claim("aud", []string{"mail", "news"}), "token has invalid audience"},
		"aud missing":                {claim("aud", nil), "aud claim is required"},
		"aud empty":                  {claim("aud", []string{}), "aud claim is required"},
		"aud an object":              {claim("aud", M{"chat": true}), `\"aud\" is neither a string nor a list`},
		"aud a list of others":       {claim("aud", []any{"chat", 1}), `\"aud\" is neither a string nor a list`},
		"sub missing":                {claim("sub", nil), "the credential has no subject"},
		"sub empty":                  {claim("sub", ""), "the credential has no subject"},
		"sub a number":               {claim("sub", 7), "sub is invalid"},

		"over 8 KB":                {claim("pad", strings.Repeat("x", 8<<10)), "more than 8 KB"},
		"a member of claims twice": {ed(r.header, `{"exp":9999999999,"iss":"me","aud":"chat","sub":"greg","sub":"root"}`), "the claims: an object has a member twice"},
		"a member twice, escaped":  {ed(r.header, `{"exp":9999999999,"iss":"me","aud":"chat","sub":"greg","s\u0075b":"root"}`), "a member twice"},
		"a member twice, within":   {ed(r.header, `{"exp":9999999999,"iss":"me","aud":"chat","sub":"greg","x":[{"a":1,"a":2}]}`), "a member twice"},
		"a member of header twice": {ed(`{"alg":"EdDSA","kid":"rsa","kid":"ed"}`, r.claims), "header: an object has a member twice"},
		"names in another case":    {ed(r.header, `{"EXP":9999999999,"iss":"me","aud":"chat","sub":"greg"}`), "exp claim is required"},
		"claims a list":            {ed(r.header, `["sub","greg"]`), "the claims: it is no JSON object"},
		"claims null":              {ed(r.header, `null`), "the claims: it is no JSON object"},
		"claims empty":             {ed(r.header, ``), "the claims: it is not JSON"},
		"claims twice":             {ed(r.header, `{} {}`), "the claims: it is not JSON"},
		"claims not UTF-8":         {ed(r.header, "{\"sub\":\"\xff\"}"), "the claims: it is not JSON in UTF-8"},
		"claims deep":              {ed(r.header, `{"x":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)+`}`), "nested deeper than 32"},
		"header a string":          {ed(`"EdDSA"`, r.claims), "header: it is no JSON object"},
		"header null":              {ed(`null`, r.claims), "header: it is no JSON object"},

		"header changed":      {flipped(0), "header"},
		"claims changed":      {flipped(1), "the signature is wrong"},
		"signature changed":   {flipped(2), "the signature is wrong"},
		"signature missing":   {parts[0] + "." + parts[1] + ".", "the signature is wrong"},
		"signature short":     {good[:len(good)-2], "the signature is wrong"},
		"signature long":      {good + "AAAA", "the signature is wrong"},
		"two parts":           {parts[0] + "." + parts[1], "not three parts"},
		"four parts":          {good + ".", "not three parts"},
		"padded":              {parts[0] + "." + parts[1] + "=." + parts[2], "not three parts"},
		"base64 of the other": {parts[0] + "." + parts[1] + ".+/" + parts[2][2:], "not three parts"},
		"stray bits":          {good[:len(good)-1] + string(good[len(good)-1]+1), "not three parts"},
		"space within":        {parts[0] + ". " + parts[1] + "." + parts[2], "not three parts"},
		"two tokens":          {good + ", Bearer " + good, "not three parts"},
		"ES256, signature of zeros": {
			encode(M{"alg": "ES256", "kid": "p256"}) + "." + encode(r.claims) + "." + b64(make([]byte, 64)), "the signature is wrong"},
		"ES256, signature in ASN.1": {
			asn1Signed(M{"alg": "ES256", "kid": "p256"}, r.claims), "the signature is wrong"},
		"nothing but dots": {"..", "header: it is not JSON"},
	}
}

// asn1Signed makes a token whose signature is in the ASN.1 form of crypto/ecdsa, which JWT does not accept.
func asn1Signed(header, claims M) string {
	signed := encode(header) + "." + encode(claims)
	return signed + "." + b64(must(crypto.SignMessage(p256Key, rand.Reader, []byte(signed), crypto.SHA256)))
}

func TestU01Refused(t *testing.T) {
	log := logs(t)
	mux := guarded(auth.Schemes{"Bearer": auth.JWT(set(), auth.WithIssuer("me"), auth.WithAudience("chat"))})
	r := right()
	good := authorization("Bearer " + sign("EdDSA", r.header, r.claims, edKey))
	each(t, func(t *testing.T, ask way) {
		for name, test := range refusals() {
			t.Run(name, func(t *testing.T) {
				for _, path := range []string{"/private/it", "/it"} {
					got := ask(t, t.Context(), mux, path, authorization("Bearer "+test.token))
					assert.Equal(t, 401, got.status)
					assert.Equal(t, "Unauthorized\n", got.body)
					assert.Equal(t, []string{`Bearer realm="restricted", error="invalid_token"`}, got.header.Values("WWW-Authenticate"))
					lines := log.lines()
					require.Len(t, lines, 1)
					assert.Contains(t, lines[0], test.reason)
					for _, part := range strings.Split(test.token, ".") {
						if len(part) > 8 {
							assert.NotContains(t, lines[0], part)
						}
					}
				}
			})
		}
		got := ask(t, t.Context(), mux, "/private/it", good)
		assert.Equal(t, "greg by Bearer", got.body)
		assert.Empty(t, log.lines())
	})
}

func TestU01Accepted(t *testing.T) {
	logs(t)
	r := right()
	all := []string{"EdDSA", "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	mux := guarded(auth.Schemes{"Bearer": auth.JWT(set(), auth.WithAlgorithms(all...))})
	for alg, key := range map[string]struct {
		kid string
		key any
	}{
		"EdDSA": {"ed", edKey}, "ES256": {"p256", p256Key}, "ES384": {"p384", p384Key}, "ES512": {"p521", p521Key},
		"RS256": {"rsa", rsaKey}, "RS384": {"rsa", rsaKey}, "RS512": {"rsa", rsaKey},
		"PS256": {"rsa", rsaKey}, "PS384": {"rsa", rsaKey}, "PS512": {"rsa", rsaKey},
	} {
		token := sign(alg, M{"alg": alg, "kid": key.kid}, r.claims, key.key)
		got := ways["message"](t, t.Context(), mux, "/private/it", authorization("Bearer "+token))
		assert.Equal(t, "greg by Bearer", got.body, alg)
	}
	for name, token := range map[string]string{
		"typ of an access token": sign("EdDSA", with(r.header, "typ", "at+JWT"), r.claims, edKey),
		"typ in full":            sign("EdDSA", with(r.header, "typ", "application/jwt"), r.claims, edKey),
		"typ missing":            sign("EdDSA", with(r.header, "typ", nil), r.claims, edKey),
		"several audiences":      sign("EdDSA", r.header, with(r.claims, "aud", []string{"mail", "chat"}), edKey),
		"a fraction":             sign("EdDSA", r.header, with(r.claims, "exp", float64(time.Now().Unix())+60.5), edKey),
		"only what is needed":    sign("EdDSA", M{"alg": "EdDSA", "kid": "ed"}, M{"sub": "greg", "exp": time.Now().Unix() + 9}, edKey),
		"other names":            sign("EdDSA", with(r.header, "jwk", M{}), with(r.claims, "é", []any{1, nil, M{}}), edKey),
	} {
		got := ways["message"](t, t.Context(), mux, "/private/it", authorization("Bearer "+token))
		assert.Equal(t, "greg by Bearer", got.body, name)
	}
}

// identify returns the identity that a Scheme finds in a token.
func identify(t *testing.T, scheme auth.Scheme, token string) (*auth.Identity, error) {
	ctx, err := auth.Schemes{"Bearer": scheme}.Authenticate(t.Context(), "bearer", token)
	if err != nil {
		assert.Nil(t, ctx)
		return nil, err
	}
	return auth.FromContext(ctx), nil
}

func TestU01Identity(t *testing.T) {
	logs(t)
	r := right()
	token := sign("EdDSA", r.header, with(with(r.claims, "aud", []string{"mail", "chat"}), "big", int64(1)<<60+1), edKey)
	id, err := identify(t, auth.JWT(set()), token)
	require.NoError(t, err)
	assert.Equal(t, "greg me mail Bearer", strings.Join([]string{id.Subject, id.Issuer, id.Audience, id.Scheme}, " "))
	assert.Equal(t, r.claims["exp"], id.Expires.Unix())
	assert.Equal(t, "1152921504606846977", fmt.Sprint(id.Claims["big"]), "numbers lose nothing")
	id, err = identify(t, auth.JWT(set(), auth.WithAudience("chat")), token)
	require.NoError(t, err)
	assert.Equal(t, "chat", id.Audience)
	_, err = identify(t, auth.JWT(set()), sign("EdDSA", r.header, with(r.claims, "iss", 1), edKey))
	assert.EqualError(t, errors.Unwrap(err), "invalid type for claim: iss is invalid")
}

// TestU01Leeway checks times at the limits of the leeway.
func TestU01Leeway(t *testing.T) {
	logs(t)
	for _, leeway := range []time.Duration{0, 30 * time.Second, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			scheme := auth.JWT(set(), auth.WithLeeway(leeway))
			now := time.Now()
			token := func(name string, at time.Time) error {
				claims := with(M{"sub": "greg", "exp": now.Add(time.Hour).Unix()}, name, at.Unix())
				_, err := identify(t, scheme, sign("EdDSA", M{"alg": "EdDSA", "kid": "ed"}, claims, edKey))
				return err
			}
			assert.NoError(t, token("exp", now.Add(-leeway+time.Second)))
			assert.ErrorIs(t, token("exp", now.Add(-leeway)), jwt.ErrTokenExpired)
			assert.NoError(t, token("nbf", now.Add(leeway)))
			assert.ErrorIs(t, token("nbf", now.Add(leeway+time.Second)), jwt.ErrTokenNotValidYet)
			assert.NoError(t, token("iat", now.Add(leeway)))
			assert.ErrorIs(t, token("iat", now.Add(leeway+time.Second)), jwt.ErrTokenUsedBeforeIssued)
		})
	}
}

// TestU01KeysOfASource checks that JWT refuses bad keys that a careless KeySource may return.
func TestU01KeysOfASource(t *testing.T) {
	logs(t)
	r := right()
	weak := newWeakRSA()
	//lint:ignore SA1019 a careless source may do so
	offCurve := &ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(1), Y: big.NewInt(1)}
	for name, test := range map[string]struct {
		alg    string
		sign   any
		key    crypto.PublicKey
		reason string
	}{
		"RSA of 1,024 bits":     {"RS256", weak, weak.Public(), "has 1024 bits, and should have from 2048 to 8192"},
		"RSA, exponent 1":       {"RS256", rsaKey, &rsa.PublicKey{N: rsaKey.N, E: 1}, "exponent 1 is not odd, above 2 and below 2^31"},
		"RSA, exponent even":    {"RS256", rsaKey, &rsa.PublicKey{N: rsaKey.N, E: 4}, "exponent 4 is not odd"},
		"RSA, modulus even":     {"RS256", rsaKey, &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 3}, "modulus is negative or even"},
		"RSA, modulus negative": {"RS256", rsaKey, &rsa.PublicKey{N: new(big.Int).Neg(rsaKey.N), E: 65537}, "modulus is negative or even"},
		"RSA nil":               {"RS256", rsaKey, (*rsa.PublicKey)(nil), "the RSA key is nil"},
		"RSA without N":         {"RS256", rsaKey, new(rsa.PublicKey), "the RSA key is nil"},
		"RSA of 8,200 bits":     {"RS256", rsaKey, &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 8199), E: 3}, "has 8200 bits"},
		"EC nil":                {"ES256", p256Key, (*ecdsa.PublicKey)(nil), "the EC key is nil"},
		"EC without curve":      {"ES256", p256Key, new(ecdsa.PublicKey), "the EC key is nil, or has no curve"},
		"EC without point":      {"ES256", p256Key, &ecdsa.PublicKey{Curve: elliptic.P256()}, "has no curve or no point"},
		"EC off the curve":      {"ES256", p256Key, offCurve, "is no point of a curve"},
		"P-224":                 {"ES256", p256Key, newEC(elliptic.P224()).Public(), "curve is none of"},
		"Ed25519, short":        {"EdDSA", edKey, ed25519.PublicKey{1}, "has 1 bytes, and should have 32"},
		"a private key":         {"EdDSA", edKey, edKey, "ed25519.PrivateKey is no public key"},
		"a pointer to the key":  {"EdDSA", edKey, new(ed25519.PublicKey), "*ed25519.PublicKey is no public key"},
		"a shared key":          {"EdDSA", edKey, []byte("secret"), "[]uint8 is no public key"},
		"nil":                   {"EdDSA", edKey, nil, "there is no such key"},
	} {
		keys := source(func(context.Context, string) (crypto.PublicKey, error) { return test.key, nil })
		_, err := identify(t, auth.JWT(keys), sign(test.alg, M{"alg": test.alg, "kid": "k"}, r.claims, test.sign))
		require.EqualError(t, err, "Unauthorized", name)
		assert.ErrorContains(t, errors.Unwrap(err), test.reason, name)
	}
}

func TestU01Options(t *testing.T) {
	keys := new(auth.Keys)
	verify := func(context.Context, *auth.Identity) error { return nil }
	for want, f := range map[string]func(){
		"auth: JWT: the KeySource is nil":                         func() { auth.JWT(nil) },
		"auth: WithIssuer: the name is empty":                     func() { auth.WithIssuer("") },
		"auth: WithAudience: the name is empty":                   func() { auth.WithAudience("") },
		"auth: WithLeeway: -1s is below zero":                     func() { auth.WithLeeway(-time.Second) },
		"auth: WithCache: -1s is below zero":                      func() { auth.WithCache(-time.Second) },
		"auth: WithAlgorithms: name at least one":                 func() { auth.WithAlgorithms() },
		`auth: WithAlgorithms: "none" is no supported algorithm`:  func() { auth.WithAlgorithms("EdDSA", "none") },
		`auth: WithAlgorithms: "HS256" is no supported algorithm`: func() { auth.WithAlgorithms("HS256") },
		"auth: WithVerify: the function is nil":                   func() { auth.WithVerify(nil) },
	} {
		assertPanics(t, want, f)
	}
	assert.NotPanics(t, func() { auth.JWT(keys, auth.WithLeeway(0), auth.WithCache(0), auth.WithVerify(verify)) })
}

func assertPanics(t *testing.T, want string, f func()) {
	t.Helper()
	defer func() { assert.Contains(t, fmt.Sprint(recover()), want) }()
	f()
}

// newWeakRSA returns an RSA key of 1,024 bits, because crypto/rsa no longer makes one.
func newWeakRSA() *rsa.PrivateKey {
	for {
		p, q := must(rand.Prime(rand.Reader, 512)), must(rand.Prime(rand.Reader, 512))
		n := new(big.Int).Mul(p, q)
		one := big.NewInt(1)
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		d := new(big.Int).ModInverse(big.NewInt(65537), phi)
		if n.BitLen() == 1024 && d != nil {
			key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n, E: 65537}, D: d, Primes: []*big.Int{p, q}}
			key.Precompute()
			return key
		}
	}
}

// TestU01KeysForWhichAnybodyCanSign forges tokens for Ed25519 keys of small order, which crypto/ed25519 accepts. JWT and Keys.Set
// must refuse these keys.
func TestU01KeysForWhichAnybodyCanSign(t *testing.T) {
	log := logs(t)
	for _, point := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000", "0000000000000000000000000000000000000000000000000000000000000080",
		"0100000000000000000000000000000000000000000000000000000000000000", "0100000000000000000000000000000000000000000000000000000000000080",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	} {
		key := ed25519.PublicKey(must(hex.DecodeString(point)))
		token, forged := forge(key)
		require.True(t, forged, point)
		keys := source(func(context.Context, string) (crypto.PublicKey, error) { return key, nil })
		_, err := identify(t, auth.JWT(keys), token)
		require.Error(t, err, point)
		assert.Contains(t, log.take(), "one for which anybody can sign", point)
		assertPanics(t, "one for which anybody can sign", func() { new(auth.Keys).Set("k", key) })
	}
	_, forged := forge(edKey.Public().(ed25519.PublicKey))
	assert.False(t, forged, "for a real key this fails")
}

// forge makes a token without the private key. Its signature is the neutral element and zero. It tries other claims until this
// signature is valid by chance.
func forge(key ed25519.PublicKey) (token string, ok bool) {
	signature := append([]byte{1}, make([]byte, 63)...)
	for i := range 1000 {
		signed := encode(M{"alg": "EdDSA", "kid": "k"}) + "." + encode(M{"sub": "root", "exp": farAway, "n": i})
		if ed25519.Verify(key, []byte(signed), signature) {
			return signed + "." + b64(signature), true
		}
	}
	return "", false
}

// TestU01LineBreaks checks that a token with an additional line break, space or "=" is refused. Package base64 ignores line breaks.
func TestU01LineBreaks(t *testing.T) {
	r := right()
	scheme, token := auth.JWT(set()), sign("EdDSA", r.header, r.claims, edKey)
	for i := range len(token) + 1 {
		for _, char := range []string{"\n", "\r", " ", "="} {
			_, err := scheme(t.Context(), token[:i]+char+token[i:])
			require.Error(t, err, "%q at %d", char, i)
		}
	}
}
