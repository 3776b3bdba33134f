package kami

import (
	"fmt"

	"github.com/guregu/kami/internal/where"
)

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
