package auth

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Issuer makes tokens that [JWT] accepts. Set its fields before it is used. Then many goroutines may use it at once.
type Issuer struct {
	Name  string        // the claim "iss"; empty: none
	KeyID string        // the header "kid", by which a KeySource has the public key
	Key   crypto.Signer // Ed25519 (EdDSA), ECDSA with P-256 (ES256) or RSA from 2048 bits (RS256); one in hardware as well
}

// Token returns a signed token for an identity. The token expires after ttl, rounded up to whole seconds, whenever id itself expires.
// Its claims are id.Claims, with "sub", "aud" if id has one, "iss", "iat" and "exp" set anew.
//
// It returns an error if ctx has ended; if the Issuer has no KeyID, or no Key of such a kind; if id has no Subject; if ttl is not
// above zero; if the claims cannot be encoded; or if the token would have more than 8 KB, which every JWT scheme refuses.
func (i *Issuer) Token(ctx context.Context, id Identity, ttl time.Duration) (string, error) {
	token, _, err := i.token(ctx, id, ttl)
	return token, err
}

// Source returns a function for peer.Token: each call makes a new token for the scheme "Bearer", and says when it expires.
func (i *Issuer) Source(id Identity, ttl time.Duration) func(context.Context) (scheme, credential string, expires time.Time, err error) {
	return func(ctx context.Context) (string, string, time.Time, error) {
		token, expires, err := i.token(ctx, id, ttl)
		return "Bearer", token, expires, err
	}
}

func (i *Issuer) token(ctx context.Context, id Identity, ttl time.Duration) (string, time.Time, error) {
	fail := func(err error) (string, time.Time, error) {
		return "", time.Time{}, fmt.Errorf("auth: Issuer: %w", err)
	}
	if ctx.Err() != nil {
		return fail(context.Cause(ctx))
	}
	alg, err := i.algorithm()
	if err != nil {
		return fail(err)
	}
	switch {
	case id.Subject == "":
		return fail(errors.New("the identity has no subject"))
	case ttl <= 0:
		return fail(fmt.Errorf("a token that lives for %v is never valid", ttl))
	}
	now := time.Now()
	expires := roundUp(now.Add(ttl))
	unsigned := jwt.NewWithClaims(algorithms[alg].method, i.claims(id, now, expires))
	unsigned.Header["kid"] = i.KeyID
	signed, err := unsigned.SigningString()
	if err != nil {
		return fail(err)
	}
	signature, err := i.sign(alg, signed)
	if err != nil {
		return fail(err)
	}
	token := signed + "." + base64.RawURLEncoding.EncodeToString(signature)
	if len(token) > maxToken {
		return fail(fmt.Errorf("the token would have %d bytes, and may have %d", len(token), maxToken))
	}
	return token, expires, nil
}

// roundUp returns t in whole seconds, as claims are.
func roundUp(t time.Time) time.Time {
	if down := t.Truncate(time.Second); !down.Equal(t) {
		return down.Add(time.Second)
	}
	return t
}

func (i *Issuer) claims(id Identity, now, expires time.Time) jwt.MapClaims {
	claims := jwt.MapClaims{}
	maps.Copy(claims, id.Claims)
	claims["sub"], claims["iat"], claims["exp"] = id.Subject, now.Unix(), expires.Unix()
	if id.Audience != "" {
		claims["aud"] = id.Audience
	}
	if delete(claims, "iss"); i.Name != "" {
		claims["iss"] = i.Name
	}
	return claims
}

// algorithm returns the name of the key's algorithm.
func (i *Issuer) algorithm() (string, error) {
	if i.KeyID == "" {
		return "", errors.New("it has no KeyID, and a token without one is refused")
	}
	if i.Key == nil {
		return "", errors.New("it has no Key")
	}
	kind, err := kindOf(i.Key.Public())
	if err != nil {
		return "", err
	}
	for _, alg := range []string{"EdDSA", "ES256", "RS256"} {
		if algorithms[alg].kind == kind {
			return alg, nil
		}
	}
	return "", fmt.Errorf("its Key is %s; accepted: %s, %s, %s", kind, kindEd25519, kindP256, kindRSA)
}

// sign signs by crypto.Signer, the interface of keys in hardware, which package jwt does not use.
func (i *Issuer) sign(alg, signed string) ([]byte, error) {
	hash := crypto.SHA256
	if alg == "EdDSA" {
		hash = 0
	}
	signature, err := crypto.SignMessage(i.Key, rand.Reader, []byte(signed), hash)
	if err != nil || alg != "ES256" {
		return signature, err
	}
	return fixedSize(signature)
}

// fixedSize makes the signature of RFC 7518, 3.4, out of one in ASN.1.
func fixedSize(signature []byte) ([]byte, error) {
	var v struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(signature, &v); err != nil || len(rest) > 0 || v.R.BitLen() > 256 || v.S.BitLen() > 256 {
		return nil, errors.New("the Key has made a signature that is none of P-256")
	}
	fixed := make([]byte, 64)
	v.R.FillBytes(fixed[:32])
	v.S.FillBytes(fixed[32:])
	return fixed, nil
}
