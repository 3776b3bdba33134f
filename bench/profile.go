package main

import (
	"bytes"
	"cmp"
	"fmt"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

// share is how much of the time of a row goes where, as a part of 1.
type share struct {
	where string
	of    float64
}

// profiled is where kami's time goes in a row.
type profiled struct {
	row    string
	shares []share
}

// most shares are shown of a profile.
const mostShares = 8

// profiles measures where kami's time goes in the rows that miss a target of time, for as long for each.
func profiles(rows []*row, all series, long time.Duration) ([]profiled, error) {
	var found []profiled
	for i, r := range rows {
		missed := slices.ContainsFunc(all.verdicts(i, r), func(v verdict) bool {
			return v.target.of != allocations && v.missed()
		})
		if !missed {
			continue
		}
		field := r.field()
		k := slices.IndexFunc(field, func(c *contestant) bool { return c.name == ours })
		shares, err := profileOf(field[k], long)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.title(), err)
		}
		found = append(found, profiled{r.title(), shares})
	}
	return found, nil
}

// profileOf runs the contestant and returns where its time went, the most first.
func profileOf(c *contestant, long time.Duration) ([]share, error) {
	n := perSlice(c, long)
	var taken bytes.Buffer
	if err := pprof.StartCPUProfile(&taken); err != nil {
		return nil, err
	}
	c.run(n)
	pprof.StopCPUProfile()
	p, err := profile.Parse(&taken)
	if err != nil {
		return nil, err
	}
	var sum float64
	times := make(map[string]float64)
	for _, s := range p.Sample {
		ns := float64(s.Value[len(s.Value)-1])
		sum += ns
		times[placeOf(functions(s))] += ns
	}
	var shares []share
	for where, ns := range times {
		shares = append(shares, share{where, ns / sum})
	}
	slices.SortFunc(shares, func(a, b share) int { return cmp.Compare(b.of, a.of) })
	return shares[:min(len(shares), mostShares)], nil
}

// functions returns the names of those on the sample's stack, the innermost first.
func functions(s *profile.Sample) []string {
	var names []string
	for _, l := range s.Location {
		for _, line := range l.Line {
			names = append(names, line.Function.Name)
		}
	}
	return names
}

// placeOf names what a stack belongs to: allocating and collecting as a whole, else the function.
func placeOf(stack []string) string {
	in := func(parts ...string) bool {
		return slices.ContainsFunc(stack, func(name string) bool {
			return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(name, part) })
		})
	}
	switch {
	case in("runtime.gcBgMarkWorker", "runtime.bgsweep", "runtime.bgscavenge", "runtime.gcStart", "runtime.wbBufFlush",
		"runtime.bulkBarrierPreWrite"):
		return "collecting garbage"
	case in("runtime.mallocgc", "runtime.newobject"):
		return "allocating"
	}
	for _, name := range stack {
		if path := ungeneric(name); !strings.HasPrefix(path, "runtime.") && !strings.HasPrefix(path, "internal/") {
			if strings.HasPrefix(path, "main.") || strings.Contains(path, "/bench.") {
				return "the handler and its checks"
			}
			return path[strings.LastIndex(path, "/")+1:]
		}
	}
	return "the rest of the runtime"
}

// ungeneric is the name of a function without the types that it was made for.
func ungeneric(name string) string {
	if begin, end := strings.Index(name, "["), strings.LastIndex(name, "]"); 0 <= begin && begin < end {
		return name[:begin] + name[end+1:]
	}
	return name
}
