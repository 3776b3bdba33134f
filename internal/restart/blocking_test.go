//go:build unix

package restart

import (
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/internal/load"
	"github.com/guregu/kami/internal/supervise"
)

// newBlockingEinhorn is like einhorn, but passes its socket in blocking mode, as net.TCPListener.File returns it.
func newBlockingEinhorn(t *testing.T) *supervise.Einhorn {
	e, err := supervise.NewEinhorn(program())
	require.NoError(t, err)
	t.Cleanup(e.Close)
	require.NoError(t, e.UseFile())
	return e
}

// upgradeBlocked starts a new worker, has the old one hang in Accept before it tells it to stop, and waits for its end.
func upgradeBlocked(t *testing.T, e *supervise.Einhorn) error {
	old := e.Process()
	require.NoError(t, e.Start())
	e.Block()
	for body := ""; body != strconv.Itoa(old.Pid)+"\n"; { // then it accepts again, on a blocking socket
		body, _ = ask(t, connect(t, e.Address()), "/pid")
	}
	return e.Retire(old)
}

// TestBlockingSocketUnderLoad upgrades under load that comes in bursts, so that Accept hangs between them.
func TestBlockingSocketUnderLoad(t *testing.T) {
	e := newBlockingEinhorn(t)
	c := load.Config{Mode: load.NewConnection, Path: "/echo", Clients: 16, Think: linger + linger/2}
	restartTimes(t, 2**restarts, c, e, func() error { return upgradeBlocked(t, e) }, e.Service)
}

// TestBlockingSocketWithoutLoad upgrades workers to which no more connections come.
func TestBlockingSocketWithoutLoad(t *testing.T) {
	e := newBlockingEinhorn(t)
	require.NoError(t, e.Start())
	for range max(1, *restarts/2) {
		require.NoError(t, upgradeBlocked(t, e))
	}
	require.NoError(t, e.Stop(os.Interrupt))
	for _, exit := range e.Exits {
		assert.Equal(t, "exit status 0", exit.String())
	}
}
