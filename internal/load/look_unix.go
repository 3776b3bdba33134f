//go:build unix

package load

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// closed reports whether the server has closed an idle connection, without waiting. Bytes on it are an error.
func closed(c net.Conn) (bool, error) {
	// The deadline of the last request may be past, and then nothing would be read at all.
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		return false, err
	}
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return false, err
	}
	var n int
	var readErr error
	err = raw.Read(func(fd uintptr) bool {
		n, readErr = syscall.Read(int(fd), make([]byte, 1))
		return true
	})
	if n > 0 {
		err = errUnasked
	}
	return !errors.Is(readErr, syscall.EAGAIN), err
}
