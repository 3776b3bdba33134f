//go:build !unix

package process

import "os"

// upgradeSignals is empty: einhorn runs on Unix only.
var upgradeSignals []os.Signal

// checkDescriptor leaves the check to the system.
func checkDescriptor(int) error { return nil }
