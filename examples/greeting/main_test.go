package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/guregu/kami"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The build has a limit of its own: with an empty build cache it compiles the standard library too.
const (
	buildLimit = 2 * time.Minute
	runLimit   = 30 * time.Second
)

func TestGreet(t *testing.T) {
	t.Cleanup(kami.Reset)
	routes()
	server := httptest.NewServer(kami.Handler())
	t.Cleanup(server.Close)

	checkGreetings(t.Context(), t, server.URL)
}

// TestProgram runs what the README tells people to run, up to the signal that stops it.
func TestProgram(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be sent an interrupt on Windows")
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
	checkGreetings(ctx, t, "http://"+address(t, output))

	require.NoError(t, program.Process.Signal(os.Interrupt))
	rest, err := io.ReadAll(output)
	require.NoError(t, err)
	assert.NoError(t, program.Wait(), "the exit status must be 0")
	assert.Contains(t, string(rest), "kami received signal, gracefully stopping\n")
	assert.Contains(t, string(rest), "kami stopped\n")
}

// build builds the program of this directory and returns its path.
func build(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), buildLimit)
	defer cancel()
	bin := filepath.Join(t.TempDir(), "greeting")
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

// checkGreetings asks the server at the URL for greetings in several languages.
func checkGreetings(ctx context.Context, t *testing.T, url string) {
	t.Helper()
	for _, test := range []struct{ accept, want string }{
		{"ja", "こんにちは, greg!"},
		{"en-US", "Yo, greg!"},
		{"fr, ja;q=0.8, en-US;q=0.5", "こんにちは, greg!"},
		{"fr", "Hello, greg!"},
		{"not a language", "Hello, greg!"},
		{"", "Hello, greg!"},
	} {
		assert.Equal(t, test.want, get(ctx, t, url+"/hello/greg", test.accept), "Accept-Language: %q", test.accept)
	}
}

// get returns the body of a successful GET.
func get(ctx context.Context, t *testing.T, url, acceptLanguage string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	if acceptLanguage != "" {
		r.Header.Set("Accept-Language", acceptLanguage)
	}
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}
