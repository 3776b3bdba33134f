package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The build has a limit of its own: with an empty build cache it compiles the standard library too.
const (
	buildLimit = 2 * time.Minute
	runLimit   = 30 * time.Second
)

// TestProgram runs all that the README tells people to run, up to the signal that stops the server.
func TestProgram(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be sent a signal on Windows")
	}
	bin := build(t)

	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	t.Cleanup(cancel)
	program := exec.CommandContext(ctx, bin)
	program.Env = append(os.Environ(), "GOJI_BIND=127.0.0.1:0")
	stderr, err := program.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, program.Start())
	// Only matters if the test fails midway: the context ends the process, and this waits for its end.
	t.Cleanup(func() {
		cancel()
		_ = program.Wait()
	})

	output := bufio.NewReader(stderr)
	// Where it does not write to a terminal, curl would show its progress.
	replacer := strings.NewReplacer("go run ./examples/sum", bin, "localhost:8000", address(t, output), "curl ", "curl -s ")
	_, curl := exec.LookPath("curl")
	for _, c := range readme(t) {
		if curl != nil && strings.HasPrefix(c.command, "curl") {
			continue
		}
		assert.Equal(t, c.want, run(ctx, replacer.Replace(c.command)), "%s", c.command)
	}

	require.NoError(t, program.Process.Signal(syscall.SIGTERM))
	rest, err := io.ReadAll(output)
	require.NoError(t, err)
	assert.NoError(t, program.Wait(), "the exit status must be 0")
	assert.Contains(t, string(rest), `INFO answered request="POST /sum" status=200 size=10`+"\n")
	assert.Contains(t, string(rest), "kami stopped\n")
}

// build builds the program of this directory and returns its path.
func build(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), buildLimit)
	defer cancel()
	bin := filepath.Join(t.TempDir(), "sum")
	output, err := exec.CommandContext(ctx, "go", "build", "-o", bin, ".").CombinedOutput()
	require.NoError(t, err, "%s", output)
	return bin
}

// address reads the log up to the line that says where the program listens. The port is of the system's choice.
func address(t *testing.T, log *bufio.Reader) string {
	t.Helper()
	var before strings.Builder
	for {
		line, err := log.ReadString('\n')
		require.NoError(t, err, "the program did not say where it listens: %s%s", &before, line)
		if _, addr, ok := strings.Cut(line, "Starting kami on "); ok {
			return strings.TrimSpace(addr)
		}
		before.WriteString(line)
	}
}

// example is a command of the README, and what it prints.
type example struct{ command, want string }

// readme returns the README's commands that are shown with what they print.
func readme(t *testing.T) (examples []example) {
	t.Helper()
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for i, block := range strings.Split(string(text), "```") {
		block, ok := strings.CutPrefix(block, "console\n")
		if i%2 == 0 || !ok {
			continue
		}
		for _, lines := range strings.Split("\n"+block, "\n$ ")[1:] {
			command, want, _ := strings.Cut(lines, "\n")
			examples = append(examples, example{command, strings.TrimRight(want, "\n")})
		}
	}
	require.NotEmpty(t, examples)
	return examples
}

// run returns what the command prints, and how it ends as go run says it.
func run(ctx context.Context, command string) string {
	output, err := exec.CommandContext(ctx, "sh", "-c", command).CombinedOutput()
	text := strings.TrimRight(string(output), "\n")
	if err != nil {
		text += "\n" + err.Error()
	}
	return text
}
