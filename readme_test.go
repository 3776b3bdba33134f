package kami_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestReadme has the README show nothing but what is tested: each of its Go blocks is the body of an Example, up to its
// output.
func TestReadme(t *testing.T) {
	source, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	positions := token.NewFileSet()
	file, err := parser.ParseFile(positions, "example_test.go", source, parser.ParseComments)
	require.NoError(t, err)
	var bodies []string
	for _, declaration := range file.Decls {
		f, ok := declaration.(*ast.FuncDecl)
		if ok && strings.HasPrefix(f.Name.Name, "Example") {
			body := string(source[positions.Position(f.Body.Lbrace).Offset+1 : positions.Position(f.Body.Rbrace).Offset])
			code, output, found := strings.Cut(body, "// Output:")
			require.True(t, found && strings.TrimSpace(output) != "", "%s has no output", f.Name)
			code = strings.TrimPrefix(code, "\n\tdefer kami.Reset()\n")
			bodies = append(bodies, strings.TrimSpace(strings.ReplaceAll(code, "\n\t", "\n")))
		}
	}

	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllSubmatch(readme, -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		assert.Contains(t, bodies, string(bytes.TrimSpace(block[1])))
	}
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
