// Bench compares kami with its peers, and with itself at another revision. From the root of the repository:
//
//	go run ./bench                         measure all, write docs/performance.md and its charts
//	go run ./bench -out ''                 print only
//	go run ./bench -rows 'Same work|Raw'   some rows only, chosen by the page's headings
//	go run ./bench -quick -out ''          see that all of it works
//	go run ./bench -compare HEAD           compare the working tree with a revision, in turns; -rows and -quick work here too
//	go test -bench 'Rows/Bare' ./bench     the same rows as plain benchmarks
//
// Let the machine rest meanwhile. Other work on it slows all contestants down alike, but makes the figures less exact.
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
	"strings"
	"time"
)

func main() {
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	pace
	rows    *regexp.Regexp
	runs    int
	json    bool
	out     string
	compare string
	turn    time.Duration // of a server over loopback; no flag, as all below
	rounds  int           // of such turns
	sizes   int           // of routes and scopes: how many of the series
}

func parse(args []string, stderr io.Writer) (options, error) {
	o := options{rows: regexp.MustCompile(""), turn: 40 * time.Millisecond, rounds: 101, sizes: 5}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.out, "out", "docs/performance.md",
		"the `file` to write, with its chart beside it; '' prints only, as -rows and -quick do by default")
	flags.Func("rows", "measure only what matches the `regexp`, as 'Same work: 1 param'", func(text string) (err error) {
		o.rows, err = regexp.Compile(text)
		return err
	})
	flags.DurationVar(&o.slice, "slice", 8*time.Millisecond, "how long each contestant runs in its turn")
	flags.IntVar(&o.slices, "slices", 61, "how many turns each contestant has in a run; an odd number has a median of its own")
	flags.IntVar(&o.runs, "runs", 3, "how many runs, each of a program linked in another order; with 1 this program runs")
	quick := flags.Bool("quick", false, "short turns and small sizes, whose figures mean nothing")
	flags.BoolVar(&o.json, "json", false, "print what one run measures as JSON, and nothing else, as runs do")
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
	if o.compare != "" && !given["slice"] {
		o.slice = 250 * time.Microsecond
	}
	if o.compare != "" && !given["runs"] {
		o.runs = 40
	}
	if *quick {
		o.pace, o.runs = pace{slice: 50 * time.Microsecond, slices: 2}, 1
		o.turn, o.rounds, o.sizes = 2*time.Millisecond, 1, 2
	}
	if flags.NArg() > 0 || o.slices < 1 || o.runs < 1 || o.slice <= 0 {
		return o, errors.New("unknown arguments, or numbers that are too small; see -help")
	}
	return o, nil
}

func run(args []string, stdout, stderr io.Writer) (err error) {
	defer func() {
		failed := recover()
		if f, ok := failed.(failure); ok {
			err = f
		} else if failed != nil {
			panic(failed)
		}
	}()
	o, err := parse(args, stderr)
	switch {
	case err != nil:
		return err
	case o.json:
		return json.NewEncoder(stdout).Encode(o.measureOnce(io.Discard))
	case len(o.chosen()) == 0 && (o.compare != "" || !o.rows.MatchString(endToEnd) && !o.rows.MatchString(growing)):
		return fmt.Errorf("no row matches %q", o.rows)
	case o.compare != "":
		return o.compareWith(stdout, stderr)
	}
	must(os.Stat(filepath.Dir(o.out))) // fail now, and not after half an hour
	r, text := o.measureAll(stderr), new(bytes.Buffer)
	if chart := r.chart(); o.out != "" && chart != nil {
		file := strings.TrimSuffix(o.out, filepath.Ext(o.out)) + "-work.svg"
		check(os.WriteFile(file, chart, 0o644))
		r.Chart = filepath.Base(file)
	}
	r.write(text)
	if o.out != "" {
		check(os.WriteFile(o.out, text.Bytes(), 0o644))
	}
	_, err = stdout.Write(text.Bytes())
	return err
}

// failure is an error that ends run.
type failure struct{ error }

func check(err error) {
	if err != nil {
		panic(failure{err})
	}
}

func must[T any](value T, err error) T {
	check(err)
	return value
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
func (o options) measureAll(log io.Writer) *report {
	r := &report{rows: o.chosen(), pace: o.pace, Machine: machine()}
	if len(r.rows) > 0 {
		r.series = o.measureRuns(log)
	}
	all := slices.Concat([]peer{kamiPeer}, peers, []peer{floorPeer})
	for part, measure := range map[string]func(){
		endToEnd: func() { r.Trips = o.loopback(all) },
		growing:  func() { r.Growths = o.growths(all[1:]) },
	} {
		if o.rows.MatchString(part) {
			fmt.Fprintln(log, part)
			measure()
		}
	}
	return r
}

func (o options) measureOnce(log io.Writer) (all []outcome) {
	for _, r := range o.chosen() {
		fmt.Fprintln(log, r.title())
		if o.compare != "" {
			all = append(all, o.compared(r))
		} else {
			all = append(all, o.measure(r, gogcs[:]...))
		}
	}
	return all
}

// measureRuns measures the rows in all runs. Each run links this program in another order, because a function's place in
// the program makes it faster or slower by some ns. It is linked without symbols because that takes less time.
func (o options) measureRuns(log io.Writer) series {
	if o.runs == 1 && o.compare == "" {
		return series{o.measureOnce(log)}
	}
	dir := must(os.MkdirTemp("", "bench"))
	defer func() { _ = os.RemoveAll(dir) }()
	var env []string
	if o.compare != "" {
		env = gather(dir, o.compare, log)
	}
	all, binary := make(series, o.runs), filepath.Join(dir, "bench.exe")
	for i := range all {
		fmt.Fprintf(log, "run %d of %d\n", i+1, o.runs)
		must(output(env, "go", "build", "-o", binary, fmt.Sprintf("-ldflags=-s -w -randlayout=%d", i+1), program))
		check(json.Unmarshal(must(output(nil, binary, "-json", "-rows", o.rows.String(), "-compare", o.compare,
			"-slice", o.slice.String(), "-slices", fmt.Sprint(o.slices))), &all[i]))
	}
	return all
}

// program is the package of this program.
const program = "github.com/guregu/kami/bench"

// output runs a command and returns what it prints. The environment is this process's if env is nil.
func output(env []string, name string, args ...string) ([]byte, error) {
	var errs strings.Builder
	command := exec.Command(name, args...)
	command.Env, command.Stderr = env, &errs
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", command, err, errs.String())
	}
	return out, nil
}
