// Package program runs the example programs in their tests, each in a process of its own.
package program

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// RunLimit is how long a program may run.
const RunLimit = time.Minute

// variable, in the environment, makes the program of the test's own.
const variable = "EXAMPLE_PROGRAM"

// Main is for TestMain. It runs the tests, or main in a process that Start has started: the test has the program in it, so
// that there is nothing to build.
func Main(m *testing.M, main func()) {
	if os.Getenv(variable) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// Program is a program that serves.
type Program struct {
	Shell   string          // the command by which a shell runs it
	Address string          // where it listens
	Log     *bufio.Reader   // what it logs behind the line that says so
	Context context.Context // ends with the program's time

	t       *testing.T
	command *exec.Cmd
}

// Start starts the program that Main has been given, on a port of the system's choice. The test ends it if it has not
// done so itself. Where programs cannot be sent signals the test is skipped.
func Start(t *testing.T, args ...string) *Program {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be sent a signal on Windows")
	}
	path, err := os.Executable()
	require.NoError(t, err)
	p := &Program{Shell: variable + "=1 '" + path + "'", t: t}
	ctx, cancel := context.WithTimeout(t.Context(), RunLimit)
	p.Context = ctx
	p.command = exec.CommandContext(ctx, path, args...)
	p.command.Env = append(os.Environ(), "GOJI_BIND=127.0.0.1:0", variable+"=1", "GORACE=atexit_sleep_ms=0")
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
