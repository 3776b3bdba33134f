//go:build unix

package restart

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/internal/supervise"
)

var (
	restarts    = flag.Int("restarts", 2, "restarts in each cell")
	connections = flag.Int("connections", 64, "connections in each cell")
)

const limit = 30 * time.Second // for what comes, but not when

func TestMain(m *testing.M) {
	if file := os.Getenv(workerVariable); file != "" {
		serve(file)
		return
	}
	os.Exit(m.Run())
}

// supervisor restarts workers.
type supervisor struct {
	*supervise.Service
	start, again func() error
}

// supervisors are those whose protocols kami knows.
var supervisors = map[string]func(supervise.Program) (supervisor, error){
	"einhorn": func(p supervise.Program) (supervisor, error) {
		e, err := supervise.NewEinhorn(p)
		if err != nil {
			return supervisor{}, err
		}
		return supervisor{e.Service, e.Start, e.Upgrade}, nil
	},
	"systemd": func(p supervise.Program) (supervisor, error) {
		notify, err := supervise.ListenNotify(false)
		if err != nil {
			return supervisor{}, err
		}
		s, err := supervise.NewSystemd(p, notify)
		if err != nil {
			return supervisor{}, err
		}
		return supervisor{s.Service, s.Start, s.Restart}, nil
	},
}

// kinds are the kinds of clients.
var kinds = map[string]kind{"kami's client": newOurs, "a client that knows no goaway": newPlain}

// each runs a test for all supervisors and clients.
func each(t *testing.T, test func(t *testing.T, newSupervisor func(supervise.Program) (supervisor, error), k kind)) {
	for name, newSupervisor := range supervisors {
		for client, k := range kinds {
			t.Run(name+", "+client, func(t *testing.T) { test(t, newSupervisor, k) })
		}
	}
}

// TestP16Restarts restarts the server under load: each call that was begun is answered, none runs twice, and each worker exits with
// status 0.
func TestP16Restarts(t *testing.T) {
	each(t, func(t *testing.T, newSupervisor func(supervise.Program) (supervisor, error), k kind) {
		r, ran := restart(t, newSupervisor, k)
		assert.Zero(t, r.failed, "%s", strings.Join(r.failures, "\n"))
		assert.Greater(t, r.answered, *restarts**connections)
		for id, times := range ran {
			assert.Equal(t, 1, times, "how often %s has run", id)
			assert.True(t, r.ids[id], "%s has run, and was not answered", id)
		}
		assert.Len(t, ran, r.answered)
	})
}

// TestP16WithoutGoaway is TestP16Restarts with Nodes that do not hear of the stop: calls are lost, so that the test above could fail.
func TestP16WithoutGoaway(t *testing.T) {
	each(t, func(t *testing.T, newSupervisor func(supervise.Program) (supervisor, error), k kind) {
		r, _ := restart(t, newSupervisor, k, deafVariable+"=1")
		assert.NotZero(t, r.failed)
	})
}

// restart restarts workers under load. It returns what has become of the calls, and how often each id has run.
func restart(t *testing.T, newSupervisor func(supervise.Program) (supervisor, error), k kind, env ...string) (*result, map[string]int) {
	program, err := os.Executable()
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "ran")
	env = append(env, workerVariable+"="+file, "GORACE=atexit_sleep_ms=0")
	s, err := newSupervisor(supervise.Program{Path: program, Env: env})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	require.NoError(t, s.start())
	warm(t, s.Address())

	ctx, end := context.WithCancel(t.Context())
	results := make(chan *result, 1)
	go func() { results <- load(ctx, *connections, "ws://"+s.Address()+"/kite", k) }()
	for range *restarts {
		pause(t.Context(), 300*time.Millisecond) // of load on each worker
		if err = s.again(); err != nil {
			break
		}
		warm(t, s.Address())
	}
	pause(t.Context(), 300*time.Millisecond)
	end()
	r := <-results
	require.NoError(t, err)
	require.NoError(t, s.Stop(os.Interrupt))
	t.Log(r)
	assert.Len(t, s.Exits, *restarts+1)
	for _, exit := range s.Exits {
		assert.Equal(t, "exit status 0", exit.String())
		t.Log("a worker has ended ", exit.After.Round(time.Millisecond), " after the signal")
	}
	return r, read(t, file)
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

// warm waits until the worker handles its signals, which is so once it serves.
func warm(t *testing.T, address string) {
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
