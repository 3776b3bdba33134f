package main

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/guregu/kami/examples/internal/program"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { program.Main(m, main) }

// TestProgram runs all commands of the README, up to the signal that stops the server.
func TestProgram(t *testing.T) {
	p := program.Start(t)
	// If its output is not a terminal, curl shows its progress.
	replacer := strings.NewReplacer("go run ./examples/sum", p.Shell, "localhost:8000", p.Address, "curl ", "curl -s ")
	_, curl := exec.LookPath("curl")
	for _, c := range readme(t) {
		if curl != nil && strings.HasPrefix(c.command, "curl") {
			continue
		}
		assert.Equal(t, c.want, run(p.Context, replacer.Replace(c.command)), "%s", c.command)
	}

	p.Signal(syscall.SIGTERM)
	rest := p.End()
	assert.Contains(t, rest, `INFO answered request="POST /sum" status=200 size=10`+"\n")
	assert.Contains(t, rest, "kami stopped\n")
}

// example is a command of the README, and what it prints.
type example struct{ command, want string }

// readme returns the commands that the README shows with their output.
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

// run returns the command's output, and its exit status in go run's words.
func run(ctx context.Context, command string) string {
	output, err := exec.CommandContext(ctx, "sh", "-c", command).CombinedOutput()
	text := strings.TrimRight(string(output), "\n")
	if err != nil {
		text += "\n" + err.Error()
	}
	return text
}
