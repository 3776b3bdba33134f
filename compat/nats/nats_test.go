package nats

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/micro"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/cluster"
	"github.com/guregu/kami/cluster/embed"
	"github.com/guregu/kami/endpoint"
)

// limit is how long a tool may run.
const limit = time.Minute

type findRequest struct {
	Level int `json:"level"`
}

type match struct {
	Room string `json:"room"`
}

func find(_ context.Context, r findRequest) (match, error) {
	if r.Level < 1 {
		return match{}, endpoint.Error(409, "no such level")
	}
	return match{"lobby"}, nil
}

// start starts NATS with two servers of rooms, and returns its URL.
func start(t *testing.T) (url string) {
	t.Helper()
	server, err := embed.Start(embed.Options{Port: -1})
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	nc, err := server.Connect(cluster.Options()...)
	require.NoError(t, err)
	for _, id := range []string{"a", "b"} {
		mux := kami.New()
		mux.Post("/room/match/find", endpoint.JSON(find))
		s, err := cluster.Join(t.Context(), nc, cluster.Config{
			Type: "room", ID: id, Version: "1.2.3", Metadata: map[string]string{"region": "eu"}, Remotes: mux,
		})
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, s.Leave(context.Background())) })
	}
	return server.URL()
}

// skip skips a test for which a program is missing. In CI, which installs it, the test fails.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// run runs a command, and returns what it prints.
func run(t *testing.T, name string, args ...string) (stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	command := exec.CommandContext(ctx, name, args...)
	command.Dir = "testdata"
	command.Env = append(os.Environ(), "XDG_CONFIG_HOME="+t.TempDir()) // no context of the user's
	var out, errors bytes.Buffer
	command.Stdout, command.Stderr = &out, &errors
	require.NoError(t, command.Run(), "%s\n%s", &out, &errors)
	return out.String(), errors.String()
}

// TestD03Tool has the command line tool list and call servers.
func TestD03Tool(t *testing.T) {
	tool, err := filepath.Abs("testdata/bin/nats")
	require.NoError(t, err)
	if _, err := os.Stat(tool); err != nil {
		skip(t, "testdata/bin/nats is missing: see the package's doc comment")
	}
	url := start(t)
	nats := func(args ...string) (stdout, stderr string) {
		t.Helper()
		return run(t, tool, append([]string{"--server", url, "--timeout", "2s"}, args...)...)
	}
	decode := func(into any, args ...string) {
		t.Helper()
		out, _ := nats(args...)
		require.NoError(t, json.Unmarshal([]byte(out), into), "%s", out)
	}

	answer, _ := nats("req", "kami.r.room.match.find", `{"level": 3}`, "--raw")
	assert.JSONEq(t, `{"room": "lobby"}`, answer)
	_, headers := nats("req", "kami.r.room.match.find", `{}`)
	assert.Contains(t, headers, "Nats-Service-Error-Code: 409\n")
	assert.Contains(t, headers, "Nats-Service-Error: no such level\n")

	var all []micro.Info
	decode(&all, "micro", "ls", "--json")
	require.Len(t, all, 2)
	slices.SortFunc(all, func(a, b micro.Info) int { return strings.Compare(a.ID, b.ID) })
	for i, id := range []string{"a", "b"} {
		assert.Equal(t, id, all[i].ID)
		assert.Equal(t, "room", all[i].Name)
		assert.Equal(t, "1.2.3", all[i].Version)
		assert.Equal(t, "eu", all[i].Metadata["region"])
	}
	var one struct{ Info micro.Info }
	decode(&one, "micro", "info", "room", "a", "--json")
	assert.Equal(t, all[0], one.Info)
	var subjects []string
	for _, e := range one.Info.Endpoints {
		subjects = append(subjects, e.Subject)
	}
	assert.Equal(t, []string{"kami.r.room.>", "kami.r.room.match.find"}, subjects)

	var stats []micro.Stats
	decode(&stats, "micro", "stats", "room", "--json")
	requests, failures := 0, 0
	for _, s := range stats {
		for _, e := range s.Endpoints {
			requests, failures = requests+e.NumRequests, failures+e.NumErrors
		}
	}
	assert.Len(t, stats, 2)
	assert.Equal(t, []int{2, 1}, []int{requests, failures}, "requests, and those that have failed")

	pings, _ := nats("micro", "ping", "room")
	assert.Regexp(t, `(?m)^room a +rtt=`, pings)
	assert.Regexp(t, `(?m)^room b +rtt=`, pings)
}

// TestD03JavaScript has the client for JavaScript list and call servers.
func TestD03JavaScript(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("there is no node in PATH")
	}
	if _, err := os.Stat("testdata/node_modules"); err != nil {
		skip(t, "testdata/node_modules is missing: npm --prefix compat/nats/testdata ci --ignore-scripts")
	}
	out, _ := run(t, "node", "nats.mjs", start(t))
	assert.JSONEq(t, `{
		"answer": {"room": "lobby"},
		"error": {"code": 409, "message": "no such level"},
		"missing": {"code": 404, "message": "404 page not found"},
		"nobody": "503",
		"ping": [{"name": "room", "id": "a", "version": "1.2.3", "region": "eu"}, {"name": "room", "id": "b", "version": "1.2.3", "region": "eu"}],
		"info": [
			{"id": "a", "endpoints": ["kami.r.room.>", "kami.r.room.match.find"]},
			{"id": "b", "endpoints": ["kami.r.room.>", "kami.r.room.match.find"]}
		],
		"one": ["a"],
		"stats": {"requests": 3, "errors": 2}
	}`, out)
}
