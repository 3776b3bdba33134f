package kami

import (
	"fmt"

	"github.com/guregu/kami/internal/where"
)

// refuse panics with the rule that a registration breaks.
func refuse(what string, at place, rule error) {
	panic(fmt.Sprintf("kami: %s (%s): %v", what, at, rule))
}

// place is where something was registered.
type place = where.Place

// entry describes a registration: its path, the name of what was registered, and the place.
type entry struct {
	path, name string
	place      place
}

// caller returns the place of the call into this package.
func caller() place { return where.Caller() }
