//go:build unix

package restart

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/internal/load"
	"github.com/guregu/kami/internal/supervise"
)

// newBlockingEinhorn is einhorn, if it were written in Go and passed its socket as net.TCPListener.File returns it.
func newBlockingEinhorn(t *testing.T) *supervise.Einhorn {
	e, err := supervise.NewEinhorn(program())
	require.NoError(t, err)
	t.Cleanup(e.Close)
	require.NoError(t, e.UseFile())
	return e
}

// TestBlockingSocketUnderLoad upgrades while each start makes the socket a blocking one under the worker that is there.
func TestBlockingSocketUnderLoad(t *testing.T) {
	e := newBlockingEinhorn(t)
	c := load.Config{Mode: load.NewConnection, Path: "/echo", Clients: 16, Think: 2 * time.Millisecond}
	restartTimes(t, 2**restarts, c, e, e.Upgrade, e.Service)
}

// TestBlockingSocketWithoutLoad upgrades workers that hang in Accept, on which no connection comes any more.
func TestBlockingSocketWithoutLoad(t *testing.T) {
	e := newBlockingEinhorn(t)
	require.NoError(t, e.Start())
	for range max(1, *restarts/2) {
		old := e.Process()
		require.NoError(t, e.Start())
		e.Block()
		for body := ""; body != strconv.Itoa(old.Pid)+"\n"; { // then it accepts again, on a blocking socket
			body, _ = ask(t, connect(t, e.Address()), "/pid")
		}
		signal(t, old, e.Kick)
		wait(t, old)
	}
	require.NoError(t, e.Stop(os.Interrupt))
	assert.Equal(t, "exit status 0", e.Exits[0].String())
}
