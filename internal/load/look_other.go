//go:build !unix

package load

import (
	"errors"
	"net"
	"os"
	"time"
)

// closed reports whether the server has closed an idle connection. It waits a moment, for it cannot look without that.
// Bytes on the connection are an error.
func closed(c net.Conn) (bool, error) {
	if err := c.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return false, err
	}
	n, err := c.Read(make([]byte, 1))
	if n > 0 {
		return false, errUnasked
	}
	return !errors.Is(err, os.ErrDeadlineExceeded), nil
}
