//go:build unix

package process

import (
	"errors"
	"os"
	"syscall"
)

// upgradeSignals are the signals by which einhorn tells a worker that another one has replaced it.
var upgradeSignals = []os.Signal{syscall.SIGUSR2}

// checkDescriptor returns an error that says why a descriptor is not a listening socket, or nil.
func checkDescriptor(fd int) error {
	listens, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
	switch {
	case errors.Is(err, syscall.EBADF):
		return errors.New("it is not open")
	case errors.Is(err, syscall.ENOTSOCK):
		return errors.New("it is not a socket")
	case err == nil && listens == 0:
		return errors.New("it does not listen")
	}
	return nil
}
