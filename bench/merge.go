package main

import (
	"cmp"
	"math"
	"slices"
)

// series are the outcomes of several runs, all with the same rows.
type series [][]outcome

// merged is a line of all runs: medians of what it is in each. Its arrays are for the gogcs.
type merged struct {
	name          string
	kind          kind
	least, median [2]float64
	ratio         [2]float64 // to the fastest peer
	ofLeast       [2]float64 // the same of the least times
	allocs, bytes float64
}

// faster reports whether m is faster than another line at either GOGC, by either measure.
func (m merged) faster(than merged) bool {
	for g := range gogcs {
		if m.ratio[g] < than.ratio[g] || m.ofLeast[g] < than.ofLeast[g] {
			return true
		}
	}
	return false
}

// merge sums up the i-th row, the fastest line first.
func (s series) merge(i int) []merged {
	var all []merged
	for k, first := range s[0][i].Lines {
		of := func(value func(outcome, line) float64) float64 {
			return s.median(func(run []outcome) float64 { return value(run[i], run[i].Lines[k]) })
		}
		m := merged{name: first.Name, kind: first.Kind}
		m.allocs = of(func(_ outcome, l line) float64 { return l.Allocs })
		m.bytes = of(func(_ outcome, l line) float64 { return l.Bytes })
		for g := range gogcs {
			m.least[g] = of(func(_ outcome, l line) float64 { return l.least(g) })
			m.median[g] = of(func(_ outcome, l line) float64 { return l.median(g) })
			m.ratio[g] = of(func(o outcome, l line) float64 { return o.ratio(l, g) })
			m.ofLeast[g] = of(func(o outcome, l line) float64 { return o.ratioOfLeast(l, g) })
		}
		all = append(all, m)
	}
	slices.SortStableFunc(all, func(a, b merged) int { return cmp.Compare(a.median[0], b.median[0]) })
	return all
}

func (s series) median(of func(run []outcome) float64) float64 {
	each := make([]float64, len(s))
	for i, run := range s {
		each[i] = of(run)
	}
	return median(each)
}

// ratio is that of a line to the fastest peer, to which it is the largest.
func (o outcome) ratio(of line, g int) float64 {
	return o.mostOfPeers(func(peer line) float64 { return of.ratio(peer, g) })
}

// ratioOfLeast is the same of the least times.
func (o outcome) ratioOfLeast(of line, g int) float64 {
	return o.mostOfPeers(func(peer line) float64 { return of.least(g) / peer.least(g) })
}

func (o outcome) mostOfPeers(of func(peer line) float64) (most float64) {
	for _, l := range o.Lines {
		if l.Kind == others {
			most = max(most, of(l))
		}
	}
	return most
}

// line returns the line of that name.
func (o outcome) line(name string) (line, bool) {
	i := slices.IndexFunc(o.Lines, func(l line) bool { return l.Name == name })
	if i < 0 {
		return line{}, false
	}
	return o.Lines[i], true
}

// verdict is how a target fared. Its arrays are for the gogcs.
type verdict struct {
	row     string
	target  target
	value   [2]float64 // the medians of the runs
	hand    [2]float64 // the same of what is done by hand
	handed  bool       // whether something is
	ofLeast float64    // of a ratio: what it is of the least times, at the default GOGC
	held    [2]int     // in so many runs
	runs    int
}

// missed reports whether the target did not hold in all runs.
func (v verdict) missed() bool { return v.held[0] < v.runs || v.held[1] < v.runs }

// verdicts says how the targets of the row fared.
func (s series) verdicts(i int, r *row) []verdict {
	var all []verdict
	for _, t := range r.targets {
		v := verdict{row: r.group + ", " + r.name, target: t, runs: len(s)}
		missing, unhanded := false, false
		for g := range gogcs {
			v.value[g] = s.median(func(run []outcome) float64 {
				value, ok := t.value(run, run[i], g)
				missing = missing || !ok
				if ok && value <= t.limit(g) {
					v.held[g]++
				}
				return value
			})
			v.hand[g] = s.median(func(run []outcome) float64 {
				value, ok := t.ofHand().value(run, run[i], g)
				unhanded = unhanded || !ok
				return value
			})
		}
		if missing {
			continue
		}
		v.handed = !unhanded
		if t.of == ratio {
			v.ofLeast = s.median(func(run []outcome) float64 { return t.ofLeast(run[i]) })
		}
		all = append(all, v)
	}
	return all
}

// ofHand is the target as one of what is done by hand.
func (t target) ofHand() target {
	if t.who == oursPlain {
		t.who = plainHand
	} else {
		t.who = byHand
	}
	return t
}

func (t target) limit(g int) float64 {
	if g == 1 && t.most400 != 0 {
		return t.most400
	}
	return t.most
}

// value is what the target is about, in one run. It is rounded as the page shows it. It has none if a row or a line that it
// needs was not measured.
func (t target) value(run []outcome, o outcome, g int) (value float64, ok bool) {
	of, beside, ok := t.lines(o)
	switch {
	case !ok:
		return 0, false
	case t.of == allocations:
		return of.Allocs, true
	case t.of == above:
		return math.Round(of.least(g) - beside.least(g)), true
	case t.of == hits:
		hitting, ok := hitTime(run, g)
		return cents((of.floors(o, g) - beside.floors(o, g)) / hitting), ok
	case t.beside == "":
		return cents(o.ratio(of, g)), true
	}
	return cents(of.ratio(beside, g)), true
}

// ofLeast is the ratio of the least times, at the default GOGC.
func (t target) ofLeast(o outcome) float64 {
	of, beside, _ := t.lines(o)
	if t.beside == "" {
		return cents(o.ratioOfLeast(of, 0))
	}
	return cents(of.least(0) / beside.least(0))
}

// lines returns the two lines that are compared, and whether they are there. The second is that of nobody if it is beside the
// fastest peer, or nobody.
func (t target) lines(o outcome) (of, beside line, ok bool) {
	of, ok = o.line(cmp.Or(t.who, ours))
	if t.beside == "" || !ok {
		return of, beside, ok
	}
	beside, ok = o.line(t.beside)
	return of, beside, ok
}

func cents(x float64) float64 { return math.Round(x*100) / 100 }

// hitTime is how long a request takes that reaches a handler, in floors.
func hitTime(run []outcome, g int) (float64, bool) {
	i := slices.IndexFunc(run, func(o outcome) bool { return o.Group == bare && o.Row == hit })
	if i < 0 {
		return 0, false
	}
	l, _ := run[i].line(ours)
	return l.floors(run[i], g), true
}

// floors is the line's ratio to the floor of its row: a time that can be compared with those of other rows, which the machine was
// faster or slower for.
func (l line) floors(of outcome, g int) float64 {
	floor, _ := of.line(theFloor)
	return l.ratio(floor, g)
}
