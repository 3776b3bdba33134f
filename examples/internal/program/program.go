// Package program runs the example programs in their tests, as the README tells people to.
package program

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The build has a limit of its own: with an empty build cache it compiles the standard library too.
const (
	buildLimit = 2 * time.Minute
	// RunLimit is how long a program may run.
	RunLimit = 30 * time.Second
)

// Program is a program that serves.
type Program struct {
	Path    string
	Address string          // where it listens
	Log     *bufio.Reader   // what it logs behind the line that says so
	Context context.Context // ends with the program's time

	t       *testing.T
	command *exec.Cmd
}

// Start builds and starts the program of the test's directory, on a port of the system's choice. The test ends it if it
// has not done so itself. Where programs cannot be sent signals the test is skipped.
func Start(t *testing.T, args ...string) *Program {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be sent a signal on Windows")
	}
	p := &Program{Path: build(t), t: t}
	ctx, cancel := context.WithTimeout(t.Context(), RunLimit)
	p.Context = ctx
	p.command = exec.CommandContext(ctx, p.Path, args...)
	p.command.Env = append(os.Environ(), "GOJI_BIND=127.0.0.1:0")
	stderr, err := p.command.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, p.command.Start())
	// Only matters if the test fails midway: the context ends the process, and this waits for its end.
	t.Cleanup(func() {
		cancel()
		_ = p.command.Wait()
	})
	p.Log = bufio.NewReader(stderr)
	p.Address = After(t, p.Log, "Starting kami on ")
	return p
}

func build(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), buildLimit)
	defer cancel()
	bin := filepath.Join(t.TempDir(), "program")
	output, err := exec.CommandContext(ctx, "go", "build", "-o", bin, ".").CombinedOutput()
	require.NoError(t, err, "%s", output)
	return bin
}

// After reads a log up to a line with the text, and returns what follows that in the line.
func After(t *testing.T, log *bufio.Reader, text string) string {
	t.Helper()
	var before strings.Builder
	for {
		line, err := log.ReadString('\n')
		require.NoError(t, err, "the log has no %q: %s%s", text, &before, line)
		if _, rest, ok := strings.Cut(line, text); ok {
			return strings.TrimSpace(rest)
		}
		before.WriteString(line)
	}
}

// Signal sends the program a signal.
func (p *Program) Signal(sig os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.command.Process.Signal(sig))
}

// End waits for the end of the program, whose exit status must be 0, and returns the rest of its log.
func (p *Program) End() string {
	p.t.Helper()
	rest, err := io.ReadAll(p.Log)
	require.NoError(p.t, err)
	assert.NoError(p.t, p.command.Wait(), "the exit status must be 0")
	return string(rest)
}
