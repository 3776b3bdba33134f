// Bench compares kami with its peers, and with itself at another revision. From the root of the repository:
//
//	go run ./bench                         measure all, write docs/performance.md and its charts
//	go run ./bench -out ''                 print only
//	go run ./bench -rows 'Same work|Raw'   some rows only: their names are those of the page's headings
//	go run ./bench -quick -out ''          see that all of it works
//	go run ./bench -compare HEAD~1         compare with a revision, by benchstat
//	go test -bench 'Rows/Bare' ./bench     the same rows as plain benchmarks
//
// Other things that the machine does meet all contestants, but they cost time: it is better to let it rest.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"time"
)

func main() {
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	pace
	rows    *regexp.Regexp
	runs    int
	quick   bool
	out     string
	json    string
	compare string
	count   int
}

// program is the package of this program.
const program = "github.com/guregu/kami/bench"

func parse(args []string, stderr io.Writer) (options, error) {
	o := options{rows: regexp.MustCompile("")}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.out, "out", "docs/performance.md",
		"the `file` to write, with charts beside it; '' prints only, as -rows and -quick do by default")
	flags.Func("rows", "measure only what matches the `regexp`, as 'Same work: 1 param'", func(text string) (err error) {
		o.rows, err = regexp.Compile(text)
		return err
	})
	flags.DurationVar(&o.slice, "slice", 8*time.Millisecond, "how long each contestant runs in its turn")
	flags.IntVar(&o.slices, "slices", 61, "how many turns each contestant has in a run; an odd number has a median of its own")
	flags.IntVar(&o.runs, "runs", 3, "how many runs, each of a program linked in another order; with 1 this program runs")
	flags.BoolVar(&o.quick, "quick", false, "short turns and small sizes, whose figures mean nothing")
	flags.StringVar(&o.json, "json", "", "write the rows to the `file` as JSON and nothing else, as runs do")
	flags.StringVar(&o.compare, "compare", "",
		"compare with this `revision`, by the root module's benchmarks and kami's rows")
	flags.IntVar(&o.count, "count", 10, "how many times -compare runs each benchmark")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if !given["out"] && (given["rows"] || given["quick"]) {
		o.out = ""
	}
	if o.quick {
		o.pace, o.runs = pace{slice: 50 * time.Microsecond, slices: 2}, 1
	}
	if flags.NArg() > 0 || o.slices < 1 || o.runs < 1 || o.count < 1 || o.slice <= 0 {
		return o, errors.New("unknown arguments, or numbers that are too small; see -help")
	}
	return o, nil
}

func run(args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	switch {
	case err != nil:
		return err
	case o.compare != "":
		return o.compareWith(stdout, stderr)
	case o.json != "":
		return o.writeJSON()
	}
	if _, err := os.Stat(filepath.Dir(o.out)); err != nil && o.out != "" {
		return err // now, and not after all was measured
	}
	r, err := o.measureAll(stderr)
	if err != nil {
		return err
	}
	if o.out != "" {
		if err := r.draw(o.out); err != nil {
			return err
		}
	}
	var text bytes.Buffer
	if err := r.write(&text); err != nil {
		return err
	}
	if _, err := stdout.Write(text.Bytes()); err != nil || o.out == "" {
		return err
	}
	return os.WriteFile(o.out, text.Bytes(), 0o644)
}

// chosen are the rows to measure.
func (o options) chosen() []*row {
	return slices.DeleteFunc(rows(), func(r *row) bool { return !o.rows.MatchString(r.title()) })
}

// measureAll measures what was chosen.
func (o options) measureAll(log io.Writer) (*report, error) {
	r := &report{rows: o.chosen(), pace: o.pace, machine: machine()}
	var err error
	some := len(r.rows) > 0
	if some {
		if r.series, err = o.measureRows(r.rows, log); err != nil {
			return nil, err
		}
	}
	turn, most, rounds, requests, watched := 20*time.Millisecond, 100_000, rounds, asked, time.Second
	if o.quick {
		turn, most, rounds, requests, watched = 2*time.Millisecond, 100, 1, 100, 2*time.Millisecond
	}
	if r.profiles, err = profiles(r.rows, r.series, watched); err != nil {
		return nil, err
	}
	for _, part := range []struct {
		name    string
		measure func() error
	}{
		{endToEnd, func() (err error) { r.trips, err = loopback(turn, rounds); return err }},
		{growing, func() (err error) { r.growths, err = o.growths(most); return err }},
		{parallel, func() (err error) { r.scalings, err = o.scalings(); return err }},
		{memories, func() (err error) { r.retentions, err = retentions(requests); return err }},
	} {
		if o.rows.MatchString(part.name) {
			some = true
			fmt.Fprintln(log, part.name)
			if err := part.measure(); err != nil {
				return nil, err
			}
		}
	}
	if !some {
		return nil, fmt.Errorf("no row matches %q", o.rows)
	}
	return r, nil
}

// measureRows measures the rows in all runs.
func (o options) measureRows(rows []*row, log io.Writer) (series, error) {
	if o.runs == 1 {
		one, err := o.measureOnce(rows, log)
		return series{one}, err
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var s series
	for i := range o.runs {
		fmt.Fprintf(log, "run %d of %d\n", i+1, o.runs)
		outcomes, err := o.runLinked(dir, i+1, log)
		if err != nil {
			return nil, err
		}
		s = append(s, outcomes)
	}
	return s, nil
}

func (o options) measureOnce(rows []*row, log io.Writer) ([]outcome, error) {
	var outcomes []outcome
	for _, r := range rows {
		fmt.Fprintln(log, r.title())
		measured, err := o.measure(r)
		if err != nil {
			return nil, err
		}
		outcomes = append(outcomes, measured)
	}
	return outcomes, nil
}

// runLinked links this program in another order and runs it, for where a function lies in the program makes it faster
// or slower by some ns.
func (o options) runLinked(dir string, order int, log io.Writer) ([]outcome, error) {
	binary, file := filepath.Join(dir, "bench.exe"), filepath.Join(dir, "rows.json")
	build := exec.Command("go", "build", "-o", binary, fmt.Sprintf("-ldflags=-randlayout=%d", order), program)
	measure := exec.Command(binary, "-json", file, "-rows", o.rows.String(),
		"-slice", o.slice.String(), "-slices", fmt.Sprint(o.slices))
	for _, command := range []*exec.Cmd{build, measure} {
		command.Stdout, command.Stderr = log, log
		if err := command.Run(); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(command.Path), err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var outcomes []outcome
	return outcomes, json.Unmarshal(text, &outcomes)
}

// writeJSON is one run.
func (o options) writeJSON() error {
	outcomes, err := o.measureOnce(o.chosen(), io.Discard)
	if err != nil {
		return err
	}
	text, err := json.Marshal(outcomes)
	if err != nil {
		return err
	}
	return os.WriteFile(o.json, text, 0o644)
}
