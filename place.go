package kami

import (
	"errors"
	"fmt"
	"strings"

	"github.com/guregu/kami/internal/where"
)

var errMethod = errors.New("a method must be a token (RFC 9110, section 5.6.2)")

// refuse panics with what is wrong about a registration.
func refuse(what string, at place, rule error) {
	panic(fmt.Sprintf("kami: %s (%s): %v", what, at, rule))
}

// place is where something was registered.
type place = where.Place

// entry is what is known of a registration: for which path, of what, and where.
type entry struct {
	path, name string
	place      place
}

// caller returns the place of the call into this package.
func caller() place { return where.Caller() }

// isToken reports whether s is a token of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	const others = "!#$%&'*+-.^_`|~"
	for i := range len(s) {
		c := s[i]
		letter, digit := 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9'
		if !letter && !digit && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return s != ""
}
