//go:build unix

package peers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/guregu/kami/compat/rolling"
)

var (
	restarts    = flag.Int("restarts", 2, "restarts in each cell of TestP16NodeRestarts")
	connections = flag.Int("connections", 64, "connections in each cell of TestP16NodeRestarts")
)

func TestMain(m *testing.M) {
	if !rolling.Serve() {
		os.Exit(m.Run())
	}
}

// loaded is what testdata/load.mjs prints.
type loaded struct {
	Answered    []string // their ids
	Failed      int
	Failures    []string // some of them
	Disordered  int      // how often the pushes of a client were others than the calls that were answered, in their order
	Slowest     float64  // milliseconds
	Connections int      // that were made
}

// TestP16NodeRestarts restarts the server of many kami.js in Node: each call is answered, none runs twice, the pushes come in order,
// and each worker exits with status 0.
func TestP16NodeRestarts(t *testing.T) {
	needNode(t)
	for supervisor := range rolling.Supervisors {
		for _, kind := range []string{"node", "ws"} {
			t.Run(supervisor+" "+kind, func(t *testing.T) {
				r, ran := restart(t, supervisor, kind)
				assert.Zero(t, r.Failed, "%s", strings.Join(r.Failures, "\n"))
				assert.Zero(t, r.Disordered)
				assert.Greater(t, len(r.Answered), *restarts**connections)
				assert.GreaterOrEqual(t, r.Connections, (*restarts+1)**connections)
				for _, id := range r.Answered {
					assert.Equal(t, 1, ran[id], "how often %s has run", id)
				}
				assert.Len(t, ran, len(r.Answered))
			})
		}
	}
}

// TestP16NodeWithoutGoaway has Nodes that do not hear of the stop: calls are lost, so that the test above could fail.
func TestP16NodeWithoutGoaway(t *testing.T) {
	needNode(t)
	r, _ := restart(t, "systemd", "ws", rolling.Deaf)
	assert.NotZero(t, r.Failed)
}

// restart restarts workers while kami.js calls them. It returns what has become of the calls, and how often each id has run.
func restart(t *testing.T, supervisor, kind string, env ...string) (r loaded, ran map[string]int) {
	ran = rolling.Restart(t, supervisor, *restarts, func(ctx context.Context, url string, begun func()) {
		if output, err := load(ctx, url, kind, begun); assert.NoError(t, err, "%s", output) {
			assert.NoError(t, json.Unmarshal(output, &r))
		}
	}, env...)
	t.Logf("%d failed, %d answered, the slowest in %.0f ms; %d connections were made", r.Failed, len(r.Answered), r.Slowest, r.Connections)
	return r, ran
}

// load runs testdata/load.mjs until ctx ends, and the calls that have begun then. It returns what that prints.
func load(ctx context.Context, url, kind string, begun func()) (output []byte, err error) {
	command := exec.Command("node", "--experimental-websocket", "--no-warnings", "load.mjs", url, kind, strconv.Itoa(*connections))
	command.Dir = "testdata"
	var errors bytes.Buffer
	command.Stderr = &errors
	input, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	pipe, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err = command.Start(); err != nil {
		return nil, err
	}
	killer := time.AfterFunc(limit, func() { _ = command.Process.Kill() })
	defer killer.Stop()
	printed := bufio.NewReader(pipe)
	if line, _ := printed.ReadString('\n'); line == "connected\n" {
		begun()
		killer.Stop()
		<-ctx.Done()
		killer.Reset(limit)
	}
	_ = input.Close()
	output, _ = io.ReadAll(printed)
	if err = command.Wait(); err != nil {
		return errors.Bytes(), err
	}
	return output, nil
}
