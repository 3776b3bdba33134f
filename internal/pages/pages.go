// Package pages is for tests that compare what a page of documentation shows with code that is tested.
package pages

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strings"
)

// Examples returns the bodies of a file's Examples, without indentation.
func Examples(path string) (bodies []string, err error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	positions := token.NewFileSet()
	file, err := parser.ParseFile(positions, path, source, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	for _, declaration := range file.Decls {
		f, ok := declaration.(*ast.FuncDecl)
		if ok && strings.HasPrefix(f.Name.Name, "Example") {
			body := string(source[positions.Position(f.Body.Lbrace).Offset+1 : positions.Position(f.Body.Rbrace).Offset])
			bodies = append(bodies, strings.TrimSpace(strings.ReplaceAll(body, "\n\t", "\n")))
		}
	}
	return bodies, nil
}

// GoBlocks returns the blocks of Go on a page.
func GoBlocks(path string) ([]string, error) { return Blocks(path, "go") }

// Blocks returns the blocks of a language on a page.
func Blocks(path, language string) (blocks []string, err error) {
	page, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	fenced := regexp.MustCompile("(?s)```" + language + "\n(.*?)\n?```")
	for _, block := range fenced.FindAllSubmatch(page, -1) {
		blocks = append(blocks, string(block[1]))
	}
	return blocks, nil
}
