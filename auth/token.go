package auth

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// token is a token in the compact serialization (RFC 7515, 7.1), whose header has been read.
type token struct {
	alg, kid  string
	signed    string // the signed part
	payload   []byte
	signature []byte
}

var (
	errNotCompact = errors.New("the token is not three parts in base64url with dots between them")
	errCritical   = errors.New(`the token's header has "crit", of which nothing is supported`)
	errNested     = errors.New("the token is nested in another one, or encrypted")
	errType       = errors.New(`the token's header "typ" is not JWT or at+jwt`)
	errNoKeyID    = errors.New(`the token's header has no "kid"`)
)

// split reads the header of a token.
func split(compact string) (*token, error) {
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		return nil, errNotCompact
	}
	var decoded [3][]byte
	for i, part := range parts {
		data, err := decodeBase64(part)
		if err != nil {
			return nil, errNotCompact
		}
		decoded[i] = data
	}
	header, err := decodeObject(decoded[0])
	if err != nil {
		return nil, fmt.Errorf("the token's header: %w", err)
	}
	t := &token{signed: parts[0] + "." + parts[1], payload: decoded[1], signature: decoded[2]}
	return t, t.setHeader(header)
}

// setHeader reads the header's members (RFC 7515, 4.1). It ignores members that name a key in other ways than by kid.
func (t *token) setHeader(header map[string]any) error {
	t.alg, _ = header["alg"].(string) // "" names no algorithm
	t.kid, _ = header["kid"].(string)
	if _, ok := header["crit"]; ok {
		return errCritical
	}
	_, nested := header["cty"]
	if _, encrypted := header["enc"]; encrypted || nested {
		return errNested
	}
	if typ, ok := header["typ"]; ok && !isJWT(typ) {
		return errType
	}
	if t.kid == "" {
		return errNoKeyID
	}
	return nil
}

// isJWT reports whether the header "typ" says that the token identifies its bearer. An issuer may sign other tokens with the same keys,
// for example for logging out (RFC 8725, 3.11).
func isJWT(typ any) bool {
	s, _ := typ.(string)
	s = strings.ToLower(s)
	s = strings.TrimPrefix(s, "application/")
	return s == "jwt" || s == "at+jwt"
}

// verify returns an error unless the signature is the key's.
func (t *token) verify(key crypto.PublicKey) error {
	if err := fits(t.alg, key); err != nil {
		return fmt.Errorf("kid %.64q: %w", t.kid, err)
	}
	if err := algorithms[t.alg].method.Verify(t.signed, t.signature, key); err != nil {
		return fmt.Errorf("kid %.64q: the signature is wrong: %w", t.kid, err)
	}
	return nil
}

// decodeBase64 decodes base64url without padding. The package encoding/base64 ignores line breaks, which would give one token many
// spellings.
func decodeBase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, base64.CorruptInputError(strings.IndexAny(s, "\r\n"))
	}
	return base64.RawURLEncoding.Strict().DecodeString(s)
}

// checkDate returns an error if a claim is no date (RFC 7519, 2) before the year 10000. Later dates overflow.
func checkDate(name string, claims map[string]any) error {
	const year10000 = 253402300800
	date, ok := claims[name]
	if !ok {
		return nil
	}
	number, _ := date.(json.Number)
	if seconds, err := number.Float64(); err != nil || seconds < 0 || seconds >= year10000 {
		return fmt.Errorf("the claim %q is no date", name)
	}
	return nil
}
