package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// LoadJWKS replaces all keys, including the keys of [Keys.Set], by a JSON Web Key Set (RFC 7517, 7518 and 8037). If it returns an
// error, which says which key is wrong, the keys are as they were.
//
// It takes Ed25519 keys, EC keys with P-256, P-384 and P-521, and RSA keys from 2048 to 8192 bits. Keys that are not for verifying
// signatures by their "use" or "key_ops", and those whose "kty", "crv" or "alg" is unknown, are left out. A key with an "alg"
// verifies tokens of that algorithm alone. These are errors: private and symmetric keys, which do not belong in a public set, so that
// their owner should replace them; keys without a "kid", or with the "kid" of another key; and a set without any key to take.
func (k *Keys) LoadJWKS(data []byte) error {
	set, err := decodeObject(data)
	if err != nil {
		return fmt.Errorf("auth: LoadJWKS: %w", err)
	}
	list, ok := set["keys"].([]any)
	if !ok {
		return errors.New(`auth: LoadJWKS: there is no list "keys"`)
	}
	entries := make(map[string]entry, len(list))
	for i, v := range list {
		key, _ := v.(map[string]any) // nil has no kty
		if err := jwk(key).load(entries); err != nil {
			return fmt.Errorf("auth: LoadJWKS: key %d (kid %v): %w", i, key["kid"], err)
		}
	}
	if len(entries) == 0 {
		return fmt.Errorf("auth: LoadJWKS: none of the %d keys is one for signatures that is supported", len(list))
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.entries.Store(&entries)
	return nil
}

// jwk is a JSON Web Key.
type jwk map[string]any

// load adds the key to entries, unless it is for something else.
func (j jwk) load(entries map[string]entry) error {
	for _, member := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
		if _, ok := j[member]; ok {
			return fmt.Errorf("its member %q is secret; publish the public half alone, and replace the key, for it has been seen", member)
		}
	}
	if used, err := j.used(); err != nil || !used {
		return err
	}
	key, err := j.key()
	if err != nil || key == nil {
		return err
	}
	alg, err := j.optional("alg")
	if err != nil {
		return err
	}
	if _, known := algorithms[alg]; alg != "" && !known {
		return nil
	}
	return j.add(entries, entry{key, alg})
}

// add adds the entry, or returns what is wrong with it.
func (j jwk) add(entries map[string]entry, e entry) error {
	if _, err := kindOf(e.key); err != nil {
		return err
	}
	if e.alg != "" {
		if err := fits(e.alg, e.key); err != nil {
			return err
		}
	}
	kid, err := j.required("kid")
	if err != nil {
		return err
	}
	if _, ok := entries[kid]; ok {
		return errors.New("another key has this kid")
	}
	entries[kid] = e
	return nil
}

// used reports whether the key is for verifying signatures (RFC 7517, 4.2 and 4.3).
func (j jwk) used() (bool, error) {
	use, err := j.optional("use")
	if err != nil {
		return false, err
	}
	ops, listed := j["key_ops"]
	list, err := stringsOf(ops)
	if _, ok := ops.([]any); listed && !ok || err != nil {
		return false, errors.New(`its member "key_ops" is no list of strings`)
	}
	return (use == "" || use == "sig") && (!listed || slices.Contains(list, "verify")), nil
}

// key returns the public key, nil if its type or curve is unknown.
func (j jwk) key() (crypto.PublicKey, error) {
	kty, err := j.required("kty")
	if err != nil {
		return nil, err
	}
	switch kty {
	case "OKP":
		return j.okp()
	case "EC":
		return j.ec()
	case "RSA":
		return j.rsa()
	}
	return nil, nil
}

// okp returns a key of RFC 8037.
func (j jwk) okp() (crypto.PublicKey, error) {
	crv, err := j.required("crv")
	if err != nil || crv != "Ed25519" {
		return nil, err
	}
	x, err := j.bytes("x", ed25519.PublicKeySize)
	return ed25519.PublicKey(x), err
}

var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

// ec returns a key of RFC 7518, 6.2.1.
func (j jwk) ec() (crypto.PublicKey, error) {
	crv, err := j.required("crv")
	curve := curves[crv]
	if err != nil || curve == nil {
		return nil, err
	}
	size := (curve.Params().BitSize + 7) / 8
	x, err := j.bytes("x", size)
	if err != nil {
		return nil, err
	}
	y, err := j.bytes("y", size)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
	if err != nil {
		return nil, fmt.Errorf("its x and y are no point of %s", crv)
	}
	return key, nil
}

// rsa returns a key of RFC 7518, 6.3.1.
func (j jwk) rsa() (crypto.PublicKey, error) {
	n, err := j.bytes("n", 0)
	if err != nil {
		return nil, err
	}
	e, err := j.bytes("e", 0)
	if err != nil {
		return nil, err
	}
	exponent := new(big.Int).SetBytes(e)
	if exponent.BitLen() > 31 {
		return nil, errors.New(`its member "e" has more than 31 bits`)
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent.Int64())}, nil
}

// bytes returns a member in base64url, of that size unless it is 0.
func (j jwk) bytes(member string, size int) ([]byte, error) {
	s, err := j.required(member)
	if err != nil {
		return nil, err
	}
	data, err := decodeBase64(s)
	switch {
	case err != nil:
		return nil, fmt.Errorf("its member %q is not base64url without padding", member)
	case size != 0 && len(data) != size:
		return nil, fmt.Errorf("its member %q has %d bytes, and should have %d", member, len(data), size)
	}
	return data, nil
}

// required returns a member that must be a string that is not empty.
func (j jwk) required(member string) (string, error) {
	s, err := j.optional(member)
	if err == nil && s == "" {
		err = fmt.Errorf("it has no member %q", member)
	}
	return s, err
}

// optional returns a member that is a string if it is there.
func (j jwk) optional(member string) (string, error) {
	v, ok := j[member]
	s, isString := v.(string)
	if ok && !isString {
		return "", fmt.Errorf("its member %q is no string", member)
	}
	return s, nil
}
