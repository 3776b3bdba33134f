//go:build !unix

package kami

import "os"

// upgradeSignals are none: einhorn runs on Unix only.
var upgradeSignals []os.Signal

// checkDescriptor leaves it to the system.
func checkDescriptor(int) error { return nil }
