package main

import (
	"fmt"
	"io"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

// page writes the page while it is measured.
type page struct {
	out   io.Writer
	rows  *regexp.Regexp
	turns int
}

// rival is a contestant. Run does the work n times for each caller.
type rival struct {
	name string
	run  func(n int)
}

func (p *page) printf(format string, args ...any) { must2(fmt.Fprintf(p.out, format, args...)) }

func must2(_ int, err error) { must(err) }

// rows are the names of all rows, as the page shows them and -rows chooses them.
var rows = []string{
	"calls, 1 × 1", "calls, 1 × 16", "calls, 16 × 16", "connections",
	"remote calls, 1 callers", "remote calls, 8 callers", "remote calls, 64 callers", "remote calls, 256 callers",
	"forwarded calls", "broadcasts", "views of 1,000 servers",
}

// wants reports whether a row with the prefix is to be measured.
func (p *page) wants(prefix string) bool {
	return slices.ContainsFunc(rows, func(row string) bool { return strings.HasPrefix(row, prefix) && p.rows.MatchString(row) })
}

// compare has rivals work in turns, and writes a table. The first rival is the floor and the second is kami. The callers of a turn
// make some hundred calls together. Most is the limit for kami's ratio to the floor. It returns the times of each rival, or nil if
// the row is not wanted.
func (p *page) compare(row string, callers int, most float64, rivals []rival) [][]float64 {
	if !slices.Contains(rows, row) {
		panic("no row is named " + row)
	}
	if !p.rows.MatchString(row) {
		return nil
	}
	units := max(25, 400/callers)
	for _, r := range rivals {
		r.run(units) // warm
	}
	times, allocs := make([][]float64, len(rivals)), make([]float64, len(rivals))
	var before, after runtime.MemStats
	for range p.turns {
		for i, r := range rivals {
			runtime.ReadMemStats(&before)
			start := time.Now()
			r.run(units)
			times[i] = append(times[i], float64(time.Since(start))/float64(units*callers))
			runtime.ReadMemStats(&after)
			allocs[i] += float64(after.Mallocs - before.Mallocs)
		}
	}
	p.printf("\n### %s\n\n%.2f of by hand, at most %.2f: %s.\n\n| | µs each | : by hand | middle half | kami : it | allocations |\n|---|--:|--:|--:|--:|--:|\n", row,
		median(ratios(times[1], times[0])), most, held(median(ratios(times[1], times[0])), most))
	for i, r := range rivals {
		toFloor, toKami := ratios(times[i], times[0]), ratios(times[1], times[i])
		p.printf("| %s | %.1f | %.2f | %.2f to %.2f | %.2f | %.0f |\n", r.name, median(times[i])/1e3, median(toFloor),
			quantile(toFloor, 0.25), quantile(toFloor, 0.75), median(toKami), allocs[i]/float64(p.turns*units*callers))
	}
	return times
}

// verdict writes a figure, its limit, and whether it is held.
func (p *page) verdict(what string, got, most float64, unit string) {
	p.printf("| %s | %s | %s | %s |\n", what, number(got, unit), number(most, unit), held(got, most))
}

func held(got, most float64) string {
	if got > most {
		return "**not held**"
	}
	return "held"
}

func number(v float64, unit string) string {
	return strings.TrimSpace(strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", v), "0"), ".") + " " + unit)
}

func ratios(of, to []float64) (all []float64) {
	for i := range of {
		all = append(all, of[i]/to[i])
	}
	return all
}

func median(values []float64) float64 { return quantile(values, 0.5) }

func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
