package main

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"time"
)

// gogcs are the settings of the garbage collector at which rows are measured. At the default, the small heap of a benchmark
// is collected about a thousand times a second, which does not happen in real services.
var gogcs = [2]int{100, 400}

// collectNothing turns the collector off while slices run.
const collectNothing = -1

// line has the figures of a contestant in a row.
type line struct {
	Name   string
	Slices [2][]float64 // the ns of a request in each slice, turn by turn, at each of the gogcs; comparisons use the first
	Allocs float64
	Bytes  float64
}

func (l line) least(g int) float64  { return least(l.Slices[g]) }
func (l line) median(g int) float64 { return median(l.Slices[g]) }

// ratio is the ratio to the other line in the same turns, see [ratioInTurn].
func (l line) ratio(to line, g int) float64 { return ratioInTurn(l.Slices[g], to.Slices[g]) }

// ratioOfLeast is the ratio of the least times.
func (l line) ratioOfLeast(to line, g int) float64 { return l.least(g) / to.least(g) }

// outcome has the figures of a row.
type outcome struct {
	Group, Row string
	Lines      []line
	Failed     string // why there are no lines
}

// pace says how long a contestant runs, and how often.
type pace struct {
	slice  time.Duration
	slices int
}

// measure lets the row's contestants take turns, at each setting of the collector.
func (p pace) measure(r *row, settings ...int) outcome {
	o := outcome{Group: r.group, Row: r.name}
	field := r.field()
	for _, c := range field {
		o.Lines = append(o.Lines, line{Name: c.name})
	}
	for g, gogc := range settings {
		for i, ns := range p.turns(r.title(), field, gogc) {
			o.Lines[i].Slices[g] = ns
		}
	}
	for i, c := range field {
		o.Lines[i].Allocs, o.Lines[i].Bytes = memory(c, perSlice(c, p.slice))
	}
	return o
}

// turns runs a slice of each contestant, again and again and each time in another order, so that other work on the machine and
// garbage left by the contestant before slow all of them alike. It returns the times of each, turn by turn.
func (p pace) turns(title string, field []*contestant, gogc int) [][]float64 {
	defer debug.SetGCPercent(debug.SetGCPercent(gogc))
	n, ns := make([]int, len(field)), make([][]float64, len(field))
	for i, c := range field {
		n[i] = perSlice(c, p.slice)
	}
	random := newRandom()
	for range p.slices {
		for _, i := range random.Perm(len(field)) {
			if gogc == collectNothing {
				runtime.GC()
			}
			field[i].run(n[i]/8 + 1)
			ns[i] = append(ns[i], clock(field[i], n[i]))
		}
	}
	for _, c := range field {
		if err := c.check(); err != nil {
			check(fmt.Errorf("%s, %s: %w", title, c.name, err))
		}
	}
	return ns
}

// clock runs n requests and returns the ns that each took.
func clock(c *contestant, n int) float64 {
	start := time.Now()
	c.run(n)
	return float64(time.Since(start).Nanoseconds()) / float64(n)
}

// perSlice finds how many requests take about as long as a slice. There are at least 256, so that it does not matter which of the
// row's requests come once more than others. It takes the fastest of several tries, because one that other work has delayed
// would give slices so short that most of their time passes before the caches are warm.
func perSlice(c *contestant, slice time.Duration) int {
	const least, tries = 256, 5
	for n := least; ; n *= 2 {
		took := math.Inf(1)
		for range tries {
			took = min(took, clock(c, n)*float64(n))
		}
		if took*4 >= float64(slice) {
			return max(least, int(math.Round(float64(n)*float64(slice)/took)))
		}
	}
}

// memory counts the allocations and bytes of a request, over n of them. Rounding removes the few that the runtime makes.
func memory(c *contestant, n int) (allocs, bytes float64) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c.run(n)
	runtime.ReadMemStats(&after)
	of := float64(n)
	allocs = math.Round(float64(after.Mallocs-before.Mallocs)/of*10) / 10
	bytes = math.Round(float64(after.TotalAlloc-before.TotalAlloc) / of)
	return allocs, bytes
}
