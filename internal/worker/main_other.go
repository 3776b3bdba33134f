//go:build !unix

package main

import (
	"errors"
	"os"
)

var stopSignals = []os.Signal{os.Interrupt}

// limitDescriptors can only leave it as it is.
func limitDescriptors(n uint64) error {
	if n == 0 {
		return nil
	}
	return errors.ErrUnsupported
}
