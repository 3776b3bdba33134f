package kami_test

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/internal/pages"
)

// TestReadme checks that the README shows only tested code: each of its Go blocks is the body of an Example up to its output, or the
// complete program of examples/.
func TestReadme(t *testing.T) {
	program, err := os.ReadFile("examples/hello/main.go")
	require.NoError(t, err)
	blocks := goBlocks(t, "README.md")
	assert.Contains(t, blocks, strings.TrimSpace(string(program)))
	tested := testedBodies(t, "example_test.go", "peer/example_test.go")
	assert.Subset(t, append(tested, strings.TrimSpace(string(program))), blocks)
}

// TestReadmeScopes asks Explain for each row of the README's table of scopes.
func TestReadmeScopes(t *testing.T) {
	page, err := os.ReadFile("README.md")
	require.NoError(t, err)
	_, page, _ = bytes.Cut(page, []byte("With the routes "))
	routes, table, found := strings.Cut(string(page), "\n|---|---|---|---|\n")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n\n")
	quoted := func(cell string) (all []string) {
		for _, match := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
			all = append(all, match[1])
		}
		return all
	}

	mux := kami.New()
	for _, route := range quoted(routes) {
		mux.Get(route, func(http.ResponseWriter, *http.Request) {})
	}
	for _, scope := range []string{"/", "/users/", "/users/7/edit", "/users/*rest", "/users/:id", "/users/:id/", "/admin", "/admin/"} {
		mux.Use(scope, func(ctx context.Context) context.Context { return ctx })
	}
	for row := range strings.SplitSeq(table, "\n") {
		cells := strings.Split(row, "|")
		e, err := mux.Explain("GET", quoted(cells[1])[0])
		require.NoError(t, err)
		var runs []string
		for _, step := range e.Middleware {
			runs = append(runs, step.Path)
		}
		assert.Equal(t, quoted(cells[3]), runs, row)
		if e.Route != nil {
			assert.Equal(t, quoted(cells[2]), []string{e.Route.Pattern}, row)
		} else {
			assert.Equal(t, strings.TrimSpace(cells[2]), strconv.Itoa(e.Status), row)
		}
		if not := quoted(cells[4]); len(not) > 0 {
			assert.NotContains(t, runs, not[0], row)
		}
	}
}

// TestServingDoc checks that the Go blocks of docs/serving.md are the bodies of Examples. These are compiled, but do not run.
func TestServingDoc(t *testing.T) {
	assert.ElementsMatch(t, exampleBodies(t, "serve_example_test.go"), goBlocks(t, "docs/serving.md"))
}

// TestMessagesDoc checks that docs/messages.md shows only tested code. Its indented blocks, except for the imports, are declarations
// of the Examples.
func TestMessagesDoc(t *testing.T) {
	paths := []string{"message/example_test.go", "component/example_test.go", "session/example_test.go"}
	assert.ElementsMatch(t, testedBodies(t, paths...), goBlocks(t, "docs/messages.md"))
	var sources strings.Builder
	for _, path := range paths {
		source, err := os.ReadFile(path)
		require.NoError(t, err)
		sources.Write(source)
	}

	page, err := os.ReadFile("docs/messages.md")
	require.NoError(t, err)
	declarations := regexp.MustCompile(`(?m)^    (?:type|var|func) .*(?:\n    .+)*`).FindAllString(string(page), -1)
	require.NotEmpty(t, declarations)
	for _, block := range declarations {
		block = strings.TrimPrefix(strings.ReplaceAll(block, "\n    ", "\n"), "    ")
		assert.Contains(t, sources.String(), block)
	}
}

// exampleBodies returns the bodies of a file's Examples.
func exampleBodies(t *testing.T, path string) []string {
	bodies, err := pages.Examples(path)
	require.NoError(t, err)
	return bodies
}

// testedBodies returns the bodies of the files' Examples up to their output, which they must have.
func testedBodies(t *testing.T, paths ...string) (bodies []string) {
	for _, path := range paths {
		for _, body := range exampleBodies(t, path) {
			code, output, found := strings.Cut(body, "// Output:")
			require.True(t, found && strings.TrimSpace(output) != "", "an Example has no output:\n%s", body)
			bodies = append(bodies, strings.TrimSpace(strings.TrimPrefix(code, "defer kami.Reset()\n")))
		}
	}
	return bodies
}

// goBlocks returns the blocks of Go on a page.
func goBlocks(t *testing.T, path string) []string {
	blocks, err := pages.GoBlocks(path)
	require.NoError(t, err)
	return blocks
}
