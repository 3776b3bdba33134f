// Bench compares kami with its peers, and with itself at another revision. From the root of the repository:
//
//	go run ./bench                         measure all, write docs/performance.md and its charts
//	go run ./bench -out ''                 print only
//	go run ./bench -rows 'Same work|Raw'   some rows only: their names are those of the page's headings
//	go run ./bench -quick -out ''          see that all of it works
//	go run ./bench -compare HEAD           compare the working tree with a revision, in turns; -rows and -quick work here too
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

// options are the flags, and what follows from them.
type options struct {
	pace
	extent  extent
	rows    *regexp.Regexp
	runs    int
	quick   bool
	out     string
	json    string
	compare string
	with    linking
}

// extent is how much is measured beside the rows.
type extent struct {
	turn     time.Duration // over loopback
	rounds   int           // of such turns
	most     int           // routes
	requests int           // after which the memory is measured
	profiled time.Duration // of each row
}

// full is that of all runs but quick ones.
var full = extent{turn: 20 * time.Millisecond, rounds: 225, most: 100_000, requests: 1_000_000, profiled: time.Second}

// program is the package of this program.
const program = "github.com/guregu/kami/bench"

func parse(args []string, stderr io.Writer) (options, error) {
	o := options{rows: regexp.MustCompile(""), extent: full}
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
	flags.StringVar(&o.json, "json", "", "write what one run measures to the `file` as JSON, and nothing else, as runs do")
	flags.StringVar(&o.compare, "compare", "",
		"compare kami with this `revision`, in many short runs: by default -slice 250us -slices 61 -runs 40")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if !given["out"] && (given["rows"] || given["quick"]) {
		o.out = ""
	}
	if o.compare != "" {
		for name, value := range map[string]string{"slice": "250us", "slices": "61", "runs": "40"} {
			if !given[name] {
				_ = flags.Set(name, value)
			}
		}
	}
	if o.quick {
		o.pace, o.runs = pace{slice: 50 * time.Microsecond, slices: 2}, 1
		o.extent = extent{turn: 2 * time.Millisecond, rounds: 1, most: 100, requests: 100, profiled: 2 * time.Millisecond}
	}
	if flags.NArg() > 0 || o.slices < 1 || o.runs < 1 || o.slice <= 0 {
		return o, errors.New("unknown arguments, or numbers that are too small; see -help")
	}
	return o, nil
}

func run(args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	switch {
	case err != nil:
		return err
	case o.json != "":
		return o.writeJSON()
	case o.compare != "":
		return o.compareWith(stdout, stderr)
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
	all := rows()
	if o.compare != "" {
		all = comparedRows()
	}
	return slices.DeleteFunc(all, func(r *row) bool { return !o.rows.MatchString(r.title()) })
}

// measureAll measures what was chosen.
func (o options) measureAll(log io.Writer) (*report, error) {
	r := &report{rows: o.chosen(), pace: o.pace, machine: machine()}
	if len(r.rows) == 0 && !slices.ContainsFunc([]string{endToEnd, growing, parallel, memories}, o.rows.MatchString) {
		return nil, fmt.Errorf("no row matches %q", o.rows)
	}
	if err := o.measureRuns(r, log); err != nil {
		return nil, err
	}
	var err error
	if r.Profiles, err = profiles(r.rows, r.series, o.extent.profiled); err != nil {
		return nil, err
	}
	all := append(append([]peer{kamiPeer}, peers...), floorPeer)
	for _, part := range []struct {
		name    string
		measure func() error
	}{
		{endToEnd, func() (err error) { r.Trips, err = o.loopback(all); return err }},
		{growing, func() (err error) { r.Growths, err = o.growths(all); return err }},
		{parallel, func() (err error) { r.Scalings, err = o.scalings(); return err }},
		{memories, func() (err error) { r.Retentions, err = retentions(o.extent.requests); return err }},
	} {
		if o.rows.MatchString(part.name) {
			fmt.Fprintln(log, part.name)
			if err := part.measure(); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

// once is what is measured in each run.
type once struct {
	Rows   []outcome
	Claims []claim
}

// measureRuns measures what is measured in all runs.
func (o options) measureRuns(r *report, log io.Writer) error {
	if len(r.rows) == 0 && !o.rows.MatchString(endToEnd) && !o.rows.MatchString(growing) {
		return nil
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for i := range o.runs {
		var one once
		if o.runs == 1 && o.compare == "" {
			one, err = o.measureOnce(log)
		} else {
			fmt.Fprintf(log, "run %d of %d\n", i+1, o.runs)
			one, err = o.runLinked(dir, i+1, log)
		}
		if err != nil {
			return err
		}
		r.series, r.claims = append(r.series, one.Rows), append(r.claims, one.Claims)
	}
	return nil
}

func (o options) measureOnce(log io.Writer) (one once, err error) {
	if o.compare != "" {
		for _, r := range o.chosen() {
			one.Rows = append(one.Rows, o.compared(r))
		}
		return one, nil
	}
	for _, r := range o.chosen() {
		fmt.Fprintln(log, r.title())
		measured, err := o.measure(r, gogcs[:]...)
		if err != nil {
			return one, err
		}
		one.Rows = append(one.Rows, measured)
	}
	one.Claims, err = o.claims()
	return one, err
}

// linking is how this program is linked for another run.
type linking struct {
	flags []string // more ones for the go command
	env   []string // of it; that of this process if nil
}

// link links this program in another order, for where a function lies in the program makes it faster or slower by some ns.
// It links no symbols, which takes longer.
func (l linking) link(binary string, order int, log io.Writer) error {
	build := exec.Command("go", "build", "-o", binary, fmt.Sprintf("-ldflags=-s -w -randlayout=%d", order))
	build.Args = append(append(build.Args, l.flags...), program)
	build.Env, build.Stdout, build.Stderr = l.env, log, log
	if err := build.Run(); err != nil {
		return fmt.Errorf("go build: %w", err)
	}
	return nil
}

// runLinked links this program in the order and runs it.
func (o options) runLinked(dir string, order int, log io.Writer) (one once, err error) {
	binary, file := filepath.Join(dir, "bench.exe"), filepath.Join(dir, "run.json")
	if err := o.with.link(binary, order, log); err != nil {
		return one, err
	}
	measure := exec.Command(binary, "-json", file, "-rows", o.rows.String(), "-compare", o.compare,
		"-slice", o.slice.String(), "-slices", fmt.Sprint(o.slices))
	measure.Stdout, measure.Stderr = log, log
	if err := measure.Run(); err != nil {
		return one, fmt.Errorf("a run: %w", err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return one, err
	}
	return one, json.Unmarshal(text, &one)
}

// writeJSON is one run.
func (o options) writeJSON() error {
	one, err := o.measureOnce(io.Discard)
	if err != nil {
		return err
	}
	text, err := json.Marshal(one)
	if err != nil {
		return err
	}
	return os.WriteFile(o.json, text, 0o644)
}
