package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// side is one of the two revisions.
type side struct {
	name    string
	kami    string // the directory of its root module
	work    string // a go.work with that
	results string // what the benchmarks print
}

// suite is a set of benchmarks.
type suite struct {
	pkg, pattern string
	dir          string // where to run it
}

// compareWith runs the root module's benchmarks and kami's rows with kami at the revision and as it is here, in turns,
// and prints what benchstat says. Both revisions get the benchmarks of kami's rows as they are here, so that they do
// the same; those of the root module are each revision's own. Each turn is linked in another order.
func (o options) compareWith(stdout, log io.Writer) error {
	root, err := output("git", "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	tree := filepath.Join(tmp, "then")
	if _, err := output("git", "-C", root, "worktree", "add", "--detach", tree, o.compare); err != nil {
		return err
	}
	defer func() { _, _ = output("git", "-C", root, "worktree", "remove", "--force", tree) }()

	sides := []*side{{name: "then", kami: tree}, {name: "now", kami: root}}
	for _, s := range sides {
		s.work, s.results = filepath.Join(tmp, s.name+".work"), filepath.Join(tmp, s.name+".txt")
		text := fmt.Sprintf("go 1.25.0\n\nuse (\n\t%q\n\t%q\n)\n", s.kami, filepath.Join(root, "bench"))
		if err := os.WriteFile(s.work, []byte(text), 0o644); err != nil {
			return err
		}
	}
	suites := []suite{{pkg: "github.com/guregu/kami", pattern: "."}, {pkg: program, pattern: o.kamiRows()}}
	for turn := range o.count {
		fmt.Fprintf(log, "turn %d of %d\n", turn+1, o.count)
		for _, s := range sides {
			suites[0].dir, suites[1].dir = s.kami, filepath.Join(root, "bench")
			for _, suite := range suites {
				if err := s.run(suite, filepath.Join(tmp, "suite.exe"), turn+1, o); err != nil {
					return fmt.Errorf("%s, %s: %w", suite.pkg, s.name, err)
				}
			}
		}
	}
	benchstat := exec.Command("go", "tool", "benchstat", "then="+sides[0].results, "now="+sides[1].results)
	benchstat.Dir, benchstat.Stdout, benchstat.Stderr = filepath.Join(root, "bench"), stdout, log
	return benchstat.Run()
}

// kamiRows is the pattern of the benchmarks of kami's rows that were chosen.
func (o options) kamiRows() string {
	var patterns []string
	for _, r := range o.chosen() {
		pattern := "^BenchmarkRows$"
		for part := range strings.SplitSeq(r.benchmark(), "/") {
			pattern += "/^" + regexp.QuoteMeta(part) + "$"
		}
		patterns = append(patterns, pattern+"/^kami")
	}
	return strings.Join(patterns, "|")
}

// run links the suite in the order and adds what it prints to the results.
func (s *side) run(suite suite, binary string, order int, o options) error {
	build := exec.Command("go", "test", "-c", "-o", binary, fmt.Sprintf("-ldflags=-randlayout=%d", order), suite.pkg)
	build.Env = append(os.Environ(), "GOWORK="+s.work)
	build.Dir = suite.dir
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	results, err := os.OpenFile(s.results, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	bench := exec.Command(binary, "-test.run", "^$", "-test.benchmem", "-test.bench", suite.pattern,
		"-test.benchtime", (10 * o.slice).String(), "-test.timeout", "10m")
	bench.Dir, bench.Stdout, bench.Stderr = suite.dir, results, os.Stderr
	if err := bench.Run(); err != nil {
		_ = results.Close()
		return err
	}
	return results.Close()
}

// output runs a command and returns what it prints.
func output(name string, args ...string) (string, error) {
	var errs strings.Builder
	command := exec.Command(name, args...)
	command.Stderr = &errs
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, args[0], err, errs.String())
	}
	return strings.TrimSpace(string(out)), nil
}
