package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

// Kinds of keys. An algorithm has one.
const (
	kindEd25519 = "Ed25519"
	kindP256    = "EC P-256"
	kindP384    = "EC P-384"
	kindP521    = "EC P-521"
	kindRSA     = "RSA"
)

// algorithm is a signature algorithm of RFC 7518 or RFC 8037 with a public key.
type algorithm struct {
	method jwt.SigningMethod
	kind   string
}

// algorithms replaces package jwt's table, because other code can add to that.
var algorithms = map[string]algorithm{
	"EdDSA": {jwt.SigningMethodEdDSA, kindEd25519},
	"ES256": {jwt.SigningMethodES256, kindP256},
	"ES384": {jwt.SigningMethodES384, kindP384},
	"ES512": {jwt.SigningMethodES512, kindP521},
	"RS256": {jwt.SigningMethodRS256, kindRSA},
	"RS384": {jwt.SigningMethodRS384, kindRSA},
	"RS512": {jwt.SigningMethodRS512, kindRSA},
	"PS256": {jwt.SigningMethodPS256, kindRSA},
	"PS384": {jwt.SigningMethodPS384, kindRSA},
	"PS512": {jwt.SigningMethodPS512, kindRSA},
}

func supported() []string { return slices.Sorted(maps.Keys(algorithms)) }

// fits returns an error unless the key is one for the algorithm.
func fits(alg string, key crypto.PublicKey) error {
	kind, err := kindOf(key)
	if err != nil {
		return err
	}
	if want := algorithms[alg].kind; kind != want {
		return fmt.Errorf("the algorithm %s needs a key of kind %s, and this one is %s", alg, want, kind)
	}
	return nil
}

// kindOf returns the kind of a public key, or an error if the key cannot verify signatures safely.
func kindOf(key crypto.PublicKey) (string, error) {
	switch key := key.(type) {
	case ed25519.PublicKey:
		if len(key) != ed25519.PublicKeySize {
			return "", fmt.Errorf("the Ed25519 key has %d bytes, and should have %d", len(key), ed25519.PublicKeySize)
		}
		if hasSmallOrder(key) {
			return "", errors.New("the Ed25519 key is one for which anybody can sign, as one of zeros is")
		}
		return kindEd25519, nil
	case *ecdsa.PublicKey:
		return kindOfEC(key)
	case *rsa.PublicKey:
		return kindRSA, checkRSA(key)
	}
	return "", fmt.Errorf("%T is no public key; accepted: ed25519.PublicKey, *ecdsa.PublicKey, *rsa.PublicKey", key)
}

// smallOrder are the encodings of Ed25519's points of small order, without the sign bit. For such a key anybody can forge a signature in a
// few tries. The encoding of zeros is a key that was never set.
var smallOrder = []string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

func hasSmallOrder(key ed25519.PublicKey) bool {
	unsigned := slices.Clone(key)
	unsigned[len(unsigned)-1] &= 0x7f
	return slices.Contains(smallOrder, hex.EncodeToString(unsigned))
}

// copyOf returns a copy of a key, so that its owner cannot change the key that identities are compared with.
func copyOf(key crypto.PublicKey) crypto.PublicKey {
	switch key := key.(type) {
	case ed25519.PublicKey:
		return slices.Clone(key)
	case *ecdsa.PublicKey:
		own := *key
		return &own
	case *rsa.PublicKey:
		own := *key
		return &own
	}
	return key
}

func kindOfEC(key *ecdsa.PublicKey) (string, error) {
	//lint:ignore SA1019 a key without coordinates makes crypto/ecdsa panic, and there is no other way to see that
	if key == nil || key.Curve == nil || key.X == nil || key.Y == nil {
		return "", errors.New("the EC key is nil, or has no curve or no point")
	}
	if _, err := key.Bytes(); err != nil {
		return "", errors.New("the EC key is no point of a curve that is supported")
	}
	switch key.Curve {
	case elliptic.P256():
		return kindP256, nil
	case elliptic.P384():
		return kindP384, nil
	case elliptic.P521():
		return kindP521, nil
	}
	return "", errors.New("the EC key's curve is none of P-256, P-384 and P-521")
}

// checkRSA refuses keys that are too weak (RFC 7518, 3.3), and keys so large that verifying takes too long.
func checkRSA(key *rsa.PublicKey) error {
	const least, most = 2048, 8192
	if key == nil || key.N == nil {
		return errors.New("the RSA key is nil")
	}
	if bits := key.N.BitLen(); bits < least || bits > most {
		return fmt.Errorf("the RSA key has %d bits, and should have from %d to %d", bits, least, most)
	}
	if key.N.Sign() < 0 || key.N.Bit(0) == 0 {
		return errors.New("the RSA key's modulus is negative or even")
	}
	if key.E < 3 || key.E > math.MaxInt32 || key.E%2 == 0 {
		return fmt.Errorf("the RSA key's exponent %d is not odd, above 2 and below 2^31", key.E)
	}
	return nil
}
