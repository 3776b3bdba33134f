package peers

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// skip skips a test for which a program is missing. In CI, which installs it, the test fails, unless Node itself is missing.
func skip(t *testing.T, why string) {
	t.Helper()
	if _, err := exec.LookPath("node"); err == nil && os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// needNode skips the test without Node 20 or later, or without the packages from npm.
func needNode(t *testing.T) {
	t.Helper()
	version, err := exec.Command("node", "--version").Output()
	if err != nil {
		skip(t, "there is no node that works in PATH")
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(string(version), "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < 20 {
		skip(t, "node must be version 20 or later; it is "+string(version))
	}
	if _, err := os.Stat("testdata/node_modules"); err != nil {
		skip(t, "testdata/node_modules is missing: npm --prefix compat/peers/testdata ci --ignore-scripts")
	}
}

// node runs a program of testdata and returns what it prints. It must end by itself: nothing may keep Node alive.
func node(t *testing.T, args ...string) []byte {
	t.Helper()
	needNode(t)
	command := exec.CommandContext(t.Context(), "node", append([]string{"--experimental-websocket", "--no-warnings"}, args...)...)
	command.Dir = "testdata"
	var output, errors bytes.Buffer
	command.Stdout, command.Stderr = &output, &errors
	require.NoError(t, command.Start())
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	select {
	case err := <-ended:
		require.NoError(t, err, "%s%s", &output, &errors)
	case <-time.After(limit):
		_ = command.Process.Kill()
		<-ended
		t.Fatalf("node %s has not ended within %v:\n%s%s", strings.Join(args, " "), limit, &output, &errors)
	}
	if errors.Len() > 0 {
		t.Logf("stderr of node %s:\n%s", strings.Join(args, " "), &errors)
	}
	return output.Bytes()
}

// run has a program of testdata run one of its cases with the server, and compares the result.
func run(t *testing.T, program, name, url, want string, args ...string) {
	t.Helper()
	got := node(t, append([]string{"run.mjs", program, name, url}, args...)...)
	var indented bytes.Buffer
	require.NoError(t, json.Indent(&indented, got, "", "\t"), "%s", got)
	assert.JSONEq(t, want, string(got), "%s", &indented)
}
