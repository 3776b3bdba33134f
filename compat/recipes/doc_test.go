package recipes

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRecipesDoc checks that docs/recipes.md shows only tested code: each of its Go blocks is in a file of this package, and each
// Example here has a block there.
func TestRecipesDoc(t *testing.T) {
	here, err := os.Getwd()
	require.NoError(t, err)
	// The path is not cleaned, so that it begins with the module's: go test then runs again if the file has changed.
	page, err := os.ReadFile(here + "/../../docs/recipes.md")
	require.NoError(t, err)
	var blocks []string
	for _, block := range regexp.MustCompile("(?s)```go\n(.*?\n)```").FindAllSubmatch(page, -1) {
		blocks = append(blocks, string(block[1]))
	}
	require.NotEmpty(t, blocks)

	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	found := make([]int, len(blocks))
	for _, name := range names {
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		for i, block := range blocks {
			if within(unindent(string(source)), block) || within(string(source), block) {
				found[i]++
			}
		}
		for example, body := range examples(t, name, source) {
			assert.True(t, containsOne(body, blocks), "%s has no block on the page", example)
		}
	}
	for i, block := range blocks {
		assert.Equal(t, 1, found[i], "in how many files this block is:\n%s", block)
	}
}

// unindent removes a tab from each line, by which the body of a function is indented.
func unindent(source string) string { return strings.ReplaceAll(source, "\n\t", "\n") }

// within reports whether the source has the block's complete lines.
func within(source, block string) bool { return strings.Contains("\n"+source, "\n"+block) }

func containsOne(body string, blocks []string) bool {
	for _, block := range blocks {
		if within(body, block) {
			return true
		}
	}
	return false
}

// examples returns the bodies of a file's Examples, by name.
func examples(t *testing.T, name string, source []byte) map[string]string {
	positions := token.NewFileSet()
	file, err := parser.ParseFile(positions, name, source, 0)
	require.NoError(t, err)
	bodies := map[string]string{}
	for _, declaration := range file.Decls {
		if f, ok := declaration.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Example") {
			body := source[positions.Position(f.Body.Lbrace).Offset+1 : positions.Position(f.Body.Rbrace).Offset]
			bodies[f.Name.Name] = unindent(string(body))
		}
	}
	return bodies
}
