//go:build unix

package peers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"

	"github.com/guregu/kami/compat/browser"
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

// loaded is what testdata/load.mjs returns.
type loaded struct {
	Answered    []string // their ids
	Failed      int
	Failures    []string // some of them
	Disordered  int      // how often the pushes of a client were others than the calls that were answered, in their order
	Slowest     float64  // milliseconds
	Connections int      // that were made
}

// TestP16NodeRestarts restarts the server of many kami.js clients in Node. Each call is answered, none runs twice, the pushes come in
// order, and each worker exits with status 0.
func TestP16NodeRestarts(t *testing.T) {
	needNode(t)
	for supervisor := range rolling.Supervisors {
		for _, kind := range []string{"node", "ws"} {
			t.Run(supervisor+" "+kind, func(t *testing.T) {
				r, ran := restart(t, supervisor, inNode(kind))
				r.lossless(t, ran, *connections)
			})
		}
	}
}

// inPage is how many clients a page has. With many more, Chromium delays their connections by seconds.
const inPage = 4

// TestP16ChromiumRestarts is TestP16NodeRestarts with the clients in a page.
func TestP16ChromiumRestarts(t *testing.T) {
	browser := browser.Start(t)
	for supervisor := range rolling.Supervisors {
		t.Run(supervisor, func(t *testing.T) {
			r, ran := restart(t, supervisor, inChromium(browser, start(t).URL))
			r.lossless(t, ran, inPage)
		})
	}
}

// lossless asserts that the restarts have lost nothing.
func (r *loaded) lossless(t *testing.T, ran map[string]int, clients int) {
	assert.Zero(t, r.Failed, "%s", strings.Join(r.Failures, "\n"))
	assert.Zero(t, r.Disordered)
	assert.Greater(t, len(r.Answered), *restarts*clients)
	assert.Greater(t, r.Connections, clients, "none has come back")
	for _, id := range r.Answered {
		assert.Equal(t, 1, ran[id], "how often %s has run", id)
	}
	assert.Len(t, ran, len(r.Answered))
}

// TestP16NodeWithoutGoaway has Nodes that send no goaway. Calls are lost, which shows that the test above can fail.
func TestP16NodeWithoutGoaway(t *testing.T) {
	needNode(t)
	r, _ := restart(t, "systemd", inNode("ws"), rolling.Deaf)
	assert.NotZero(t, r.Failed)
}

// restart restarts workers while kami.js calls them. It returns the results of the calls, and how often each id has run.
func restart(t *testing.T, supervisor string, load loader, env ...string) (r loaded, ran map[string]int) {
	ran = rolling.Restart(t, supervisor, *restarts, func(ctx context.Context, url string, begun func()) {
		if output, err := load(ctx, url, begun); assert.NoError(t, err, "%s", output) {
			assert.NoError(t, json.Unmarshal(output, &r))
		}
	}, env...)
	t.Logf("%d failed, %d answered, the slowest in %.0f ms; %d connections were made", r.Failed, len(r.Answered), r.Slowest, r.Connections)
	return r, ran
}

// loader runs testdata/load.mjs until ctx and the calls that have begun have ended. It returns the program's result.
type loader func(ctx context.Context, url string, begun func()) (output []byte, err error)

func inNode(kind string) loader {
	return func(ctx context.Context, url string, begun func()) ([]byte, error) {
		return runNode(ctx, url, kind, begun)
	}
}

func inChromium(browser context.Context, page string) loader {
	return func(ctx context.Context, url string, begun func()) (output []byte, err error) {
		tab, cancel := chromedp.NewContext(browser)
		defer cancel()
		do := func(expression string) (result string, err error) {
			ctx, done := context.WithTimeout(tab, limit)
			defer done()
			return chromedp.Run(ctx, chromedp.Evaluate[string](expression, chromedp.EvalAwaitPromise))
		}
		if _, err := chromedp.Run(tab, chromedp.Navigate(page)); err != nil {
			return nil, err
		}
		_, err = do(fmt.Sprintf(`import("/compat/peers/testdata/load.mjs").then(({load}) => new Promise((resolve, reject) => {
			window.result = load(%q, %d, () => resolve("connected"), () => window.over);
			window.result.catch(reject);
		}))`, url, inPage))
		if err != nil {
			return nil, err
		}
		begun()
		<-ctx.Done()
		text, err := do(`window.over = true, window.result.then((result) => JSON.stringify(result))`)
		return []byte(text), err
	}
}

func runNode(ctx context.Context, url, kind string, begun func()) (output []byte, err error) {
	command := exec.Command("node", "--experimental-websocket", "--no-warnings", "restarts.mjs", url, kind, strconv.Itoa(*connections))
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
