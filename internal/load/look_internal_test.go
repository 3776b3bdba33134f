package load

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestLookAfterTheDeadline checks that the deadline of a request does not affect the look before the next one.
func TestLookAfterTheDeadline(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Unix(1, 0)))
	gone, err := closed(conn)
	assert.NoError(t, err)
	assert.False(t, gone)
}
