package kami_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/internal/pages"
)

// TestReadme has the README show nothing but what is tested: each of its Go blocks is the body of an Example, up to its
// output.
func TestReadme(t *testing.T) {
	blocks := goBlocks(t, "README.md")
	require.NotEmpty(t, blocks)
	assert.Subset(t, testedBodies(t, "example_test.go", "peer/example_test.go"), blocks)
}

// TestServingDoc has docs/serving.md show nothing but what compiles: its Go blocks are the bodies of Examples, which do
// not run.
func TestServingDoc(t *testing.T) {
	assert.ElementsMatch(t, exampleBodies(t, "serve_example_test.go"), goBlocks(t, "docs/serving.md"))
}

// TestMessagesDoc has docs/messages.md show nothing but what is tested, as the README does. Its indented blocks, other than the
// imports, are declarations of the Examples.
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

// TestReadmeScopes checks the table of what runs for a request.
func TestReadmeScopes(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	table := regexp.MustCompile(`(?s)\| request +\| what runs, of (.*?)\|\n\|-+\|-+\|\n(.*?)\n\n`).FindSubmatch(readme)
	require.NotNil(t, table)
	quoted := regexp.MustCompile("`(/[^`]*)`")
	names := func(text string) (all []string) {
		for _, match := range quoted.FindAllStringSubmatch(text, -1) {
			all = append(all, match[1])
		}
		return all
	}
	s, ran := newStack(), trail{}
	for _, scope := range names(string(table[1])) {
		s.use(scope, ran.middleware(scope))
	}
	rows := strings.Split(string(table[2]), "\n")
	require.GreaterOrEqual(t, len(rows), 5)
	for _, row := range rows {
		columns := strings.Split(row, "|")
		require.Len(t, columns, 4, row)
		for _, target := range names(columns[1]) {
			s.do("GET", target)
			assert.Equal(t, strings.Join(names(columns[2]), " "), ran.take(), target)
		}
	}
}
