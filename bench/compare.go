package main

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

// The revisions of kami in a comparison: the working tree, the revision that it is compared with, and that revision once
// more under another name. Differences between the last two are noise.
const (
	now   = "now"
	then  = "then"
	again = "again"
)

// builds and trees are the contestants of kami.go and kamitree.go, by revision. A comparison copies both files into its
// program for each of the other revisions.
var (
	builds = map[string]func(*job) http.Handler{}
	trees  = map[string]func([]*route) lookup{}
)

// compareWith measures kami's rows with the working tree and with the revision, both in one program and in turns.
func (o options) compareWith(stdout, log io.Writer) error {
	s := o.measureRuns(log)
	fmt.Fprintf(stdout, "now: the working tree; then: %s; medians of %d runs\n\n", o.compare, o.runs)
	return s.writeComparison(stdout)
}

// gather makes a workspace in dir with the revision's kami, twice, and returns the environment to build the program in it.
func gather(dir, revision string, log io.Writer) (env []string) {
	root := strings.TrimSpace(string(must(output(nil, "git", "rev-parse", "--show-toplevel"))))
	archive := must(output(nil, "git", "-C", root, "archive", "--format=zip", revision))
	files := must(zip.NewReader(bytes.NewReader(archive), int64(len(archive))))
	bench := filepath.Join(dir, "bench")
	check(os.CopyFS(bench, os.DirFS(filepath.Join(root, "bench"))))
	use := []string{"work", "init", root, bench}
	for _, name := range []string{then, again} {
		unpack(files, dir, name)
		use = append(use, filepath.Join(dir, name))
	}
	env = append(os.Environ(), "GOWORK="+filepath.Join(dir, "go.work"))
	must(output(env, "go", use...))
	must(output(env, "go", "-C", bench, "mod", "edit", "-replace=github.com/guregu/kami="+root))
	if _, err := output(env, "go", "list", "-export", program); err != nil {
		fmt.Fprintf(log, "%v\nThe rows of the raw tree are left out, for treemux may have had another API.\n", err)
		for _, name := range []string{then, again} {
			check(os.Remove(filepath.Join(bench, name+"kamitree.go")))
		}
	}
	return env
}

// unpack writes a revision to a directory with the name in dir, and copies kami.go and kamitree.go in bench for it. All of it is
// renamed.
func unpack(files *zip.Reader, dir, name string) {
	write := func(from fs.FS, path, to string) {
		check(os.MkdirAll(filepath.Dir(to), 0o700))
		check(os.WriteFile(to, renamed(must(fs.ReadFile(from, path)), name), 0o600))
	}
	for _, file := range []string{"kami.go", "kamitree.go"} {
		write(os.DirFS(dir), "bench/"+file, filepath.Join(dir, "bench", name+file))
	}
	for _, file := range files.File {
		if !file.FileInfo().IsDir() {
			write(files, file.Name, filepath.Join(dir, name, file.Name))
		}
	}
}

// renamed adds the revision's name to names that a program can have only once: kami's module, and its contestants in bench. Only
// the working tree's kami has the flag -bind.
func renamed(text []byte, name string) []byte {
	const module = "github.com/guregu/kami"
	names := strings.NewReplacer(module, module+name, "bind.WithFlag()", "bind.Sniff()",
		"newKami", "newKami"+name, "rawKami", "rawKami"+name, "[now]", "["+name+"]")
	return []byte(names.Replace(string(text)))
}

// comparedRows are the rows of a comparison. Their contestants are the revisions, in a random order because it matters a little
// which of them allocates its memory first.
func comparedRows() (all []*row) {
	for _, r := range append(rows(), aloneRows()...) {
		if r.group == rawTree && len(trees) < len(builds) {
			continue
		}
		all = append(all, r)
		if r.values > 0 {
			plain := *r
			plain.plain, plain.name = true, r.name+", func(ctx) ctx"
			all = append(all, &plain)
		}
	}
	for _, r := range all {
		r.contestants = func() (field []*contestant) {
			for name, build := range builds {
				if r.group == rawTree {
					field = append(field, rawContestant(name, r.routes, trees[name]))
				} else {
					field = append(field, r.contestant(peer{name: name, build: build}))
				}
			}
			return field
		}
	}
	return all
}

// compared measures a row of a comparison, or says why it cannot: an older revision may lack a feature that the row needs.
func (p pace) compared(r *row) (o outcome) {
	defer func() {
		if failed := recover(); failed != nil {
			o = outcome{Group: r.group, Row: r.name, Failed: fmt.Sprint(failed)}
		}
	}()
	return p.measure(r, gogcs[1]) // most slices are short enough to be without a collection
}

// writeComparison writes a table of the rows, each with its verdict.
func (s series) writeComparison(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "\tns, least\t\tns, median\t\tnow : then\t\tthen : then\t\tallocations\t\tbytes\n",
		"row\tnow\tthen\tnow\tthen\tratio\tmiddle half\tratio\tmiddle half\tnow\tthen\tnow\tthen\n")
	for i, o := range s[0] {
		fmt.Fprintf(t, "%s: %s\t", o.Group, o.Row)
		if o.Failed != "" {
			fmt.Fprintf(t, "left out: %s\n", o.Failed)
			continue
		}
		both := func(format string, of func(line) float64) {
			for _, name := range []string{now, then} {
				fmt.Fprintf(t, format+"\t", s.median(func(run []outcome) float64 { return of(run[i].line(name)) }))
			}
		}
		both("%.1f", func(l line) float64 { return l.least(0) })
		both("%.1f", func(l line) float64 { return l.median(0) })
		ratio, control := s.spread(i, now), s.spread(i, again)
		fmt.Fprintf(t, "%s\t%s\t", ratio, control)
		both("%g", func(l line) float64 { return l.Allocs })
		both("%g", func(l line) float64 { return l.Bytes })
		fmt.Fprintln(t, ratio.verdict(control, len(s)))
	}
	return t.Flush()
}

// spread is a ratio in several runs: the median, and the limits of the middle half of the runs.
type spread struct{ low, middle, high float64 }

// spread compares the times of a revision with those of then in the i-th row.
func (s series) spread(i int, name string) spread {
	var each []float64
	for _, run := range s {
		each = append(each, run[i].line(name).ratio(run[i].line(then), 0))
	}
	slices.Sort(each)
	quarter := (len(each) - 1) / 4
	return spread{each[quarter], median(each), each[len(each)-1-quarter]}
}

func (s spread) String() string { return fmt.Sprintf("%.3f\t%.2f to %.2f", s.middle, s.low, s.high) }

// verdict says whether the ratio shows a difference: more than 3 %, more than the control, and in three of four runs.
func (s spread) verdict(control spread, runs int) string {
	if off := math.Abs(s.middle - 1); runs < 4 || off <= 0.03 || off <= math.Abs(control.middle-1) {
		return ""
	}
	switch {
	case s.low > 1:
		return "SLOWER"
	case s.high < 1:
		return "faster"
	}
	return ""
}
