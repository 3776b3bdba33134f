//go:build unix

package rolling

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/internal/supervise"
)

const (
	limit = 30 * time.Second       // for what comes, but not when
	stay  = 300 * time.Millisecond // under load, for each worker
)

// Supervisor restarts workers.
type Supervisor struct {
	*supervise.Service
	start, again func() error
}

// Supervisors are those whose protocols kami knows.
var Supervisors = map[string]func(supervise.Program) (Supervisor, error){
	"einhorn": func(p supervise.Program) (Supervisor, error) {
		e, err := supervise.NewEinhorn(p)
		if err != nil {
			return Supervisor{}, err
		}
		return Supervisor{e.Service, e.Start, e.Upgrade}, nil
	},
	"systemd": func(p supervise.Program) (Supervisor, error) {
		notify, err := supervise.ListenNotify(false)
		if err != nil {
			return Supervisor{}, err
		}
		s, err := supervise.NewSystemd(p, notify)
		if err != nil {
			return Supervisor{}, err
		}
		return Supervisor{s.Service, s.Start, s.Restart}, nil
	},
}

// Load calls the peers at a URL until ctx ends. It calls begun when all clients are connected, or about to be.
type Load func(ctx context.Context, url string, begun func())

// Restart starts a worker and a load, and restarts the worker so many times meanwhile. Each worker must exit with status 0. It returns
// how often each id has run in all of them.
func Restart(t *testing.T, supervisor string, restarts int, load Load, env ...string) (ran map[string]int) {
	program, err := os.Executable()
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "ran")
	env = append(env, workerVariable+"="+file, "GORACE=atexit_sleep_ms=0")
	s, err := Supervisors[supervisor](supervise.Program{Path: program, Env: env})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	require.NoError(t, s.start())
	Warm(t, s.Address())

	ctx, end := context.WithCancel(t.Context())
	begun, loaded := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(loaded)
		load(ctx, "ws://"+s.Address()+"/kite", sync.OnceFunc(func() { close(begun) }))
	}()
	select {
	case <-begun:
	case <-loaded: // it has failed
	}
	for range restarts {
		time.Sleep(stay)
		if err = s.again(); err != nil {
			break
		}
		Warm(t, s.Address())
	}
	time.Sleep(stay)
	end()
	<-loaded
	require.NoError(t, err)
	require.NoError(t, s.Stop(os.Interrupt))
	assert.Len(t, s.Exits, restarts+1)
	for _, exit := range s.Exits {
		assert.Equal(t, "exit status 0", exit.String())
		t.Log("a worker has ended ", exit.After.Round(time.Millisecond), " after the signal")
	}
	return read(t, file)
}

// read counts the ids in the file of the workers.
func read(t *testing.T, file string) map[string]int {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	ran := make(map[string]int)
	for _, id := range strings.Fields(string(text)) {
		ran[id]++
	}
	return ran
}

// Warm waits until the worker handles its signals, which is so once it serves.
func Warm(t *testing.T, address string) {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/pid", address), nil)
	require.NoError(t, err)
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
}
