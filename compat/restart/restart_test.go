//go:build unix

package restart

import (
	"context"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/guregu/kami/compat/rolling"
)

var (
	restarts    = flag.Int("restarts", 2, "restarts in each cell")
	connections = flag.Int("connections", 64, "connections in each cell")
)

const limit = 30 * time.Second // for what comes, but not when

func TestMain(m *testing.M) {
	if !rolling.Serve() && !serveCluster() {
		os.Exit(m.Run())
	}
}

// kinds are the kinds of clients.
var kinds = map[string]kind{"kami's client": newOurs, "a client that knows no goaway": newPlain}

// each runs a test for all supervisors and clients.
func each(t *testing.T, test func(t *testing.T, supervisor string, k kind)) {
	for supervisor := range rolling.Supervisors {
		for client, k := range kinds {
			t.Run(supervisor+", "+client, func(t *testing.T) { test(t, supervisor, k) })
		}
	}
}

// TestP16Restarts restarts the server under load: each call that was begun is answered, none runs twice, and each worker exits with
// status 0.
func TestP16Restarts(t *testing.T) {
	each(t, func(t *testing.T, supervisor string, k kind) {
		r, ran := restart(t, supervisor, k)
		assert.Zero(t, r.failed, "%s", strings.Join(r.failures, "\n"))
		assert.Greater(t, r.answered, *restarts**connections)
		for id, times := range ran {
			assert.Equal(t, 1, times, "how often %s has run", id)
			assert.True(t, r.ids[id], "%s has run, and was not answered", id)
		}
		assert.Len(t, ran, r.answered)
	})
}

// TestP16WithoutGoaway is TestP16Restarts with Nodes that send no goaway. Calls are lost, which shows that the test above can fail.
func TestP16WithoutGoaway(t *testing.T) {
	each(t, func(t *testing.T, supervisor string, k kind) {
		r, _ := restart(t, supervisor, k, rolling.Deaf)
		assert.NotZero(t, r.failed)
	})
}

// restart restarts workers under load. It returns the results of the calls, and how often each id has run.
func restart(t *testing.T, supervisor string, k kind, env ...string) (r *result, ran map[string]int) {
	ran = rolling.Restart(t, supervisor, *restarts, func(ctx context.Context, url string, begun func()) {
		begun()
		r = load(ctx, *connections, url, k)
	}, env...)
	t.Log(r)
	return r, ran
}
