package main

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// series are the outcomes of several runs, all with the same rows.
type series [][]outcome

// merged is a line of the page's table: the medians of all runs. Its arrays have a value for each of the gogcs.
type merged struct {
	name          string
	least, median [2]float64
	ratio         [2]float64 // to the fastest peer
	ofLeast       [2]float64 // the ratio of the least times
	allocs, bytes float64
}

// merge sums up the i-th row, the fastest line first.
func (s series) merge(i int) []merged {
	var all []merged
	for k, first := range s[0][i].Lines {
		of := func(value func(outcome, line) float64) float64 {
			return s.median(func(run []outcome) float64 { return value(run[i], run[i].Lines[k]) })
		}
		m := merged{name: first.Name}
		m.allocs = of(func(_ outcome, l line) float64 { return l.Allocs })
		m.bytes = of(func(_ outcome, l line) float64 { return l.Bytes })
		for g := range gogcs {
			m.least[g] = of(func(_ outcome, l line) float64 { return l.least(g) })
			m.median[g] = of(func(_ outcome, l line) float64 { return l.median(g) })
			m.ratio[g] = of(func(o outcome, l line) float64 { return o.ratio(l, "", g, line.ratio) })
			m.ofLeast[g] = of(func(o outcome, l line) float64 { return o.ratio(l, "", g, line.ratioOfLeast) })
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

// ratio is the ratio, by that measure, of a line to the one with the name. Without a name it is the ratio to the fastest peer,
// which is the largest of the ratios to peers.
func (o outcome) ratio(of line, to string, g int, by func(of, to line, g int) float64) (most float64) {
	if to != "" {
		return by(of, o.line(to), g)
	}
	for _, l := range o.Lines {
		if kindOf(l.Name) == others {
			most = max(most, by(of, l, g))
		}
	}
	return most
}

// line returns the line with the name, or a line without numbers.
func (o outcome) line(name string) line {
	i := slices.IndexFunc(o.Lines, func(l line) bool { return l.Name == name })
	if i < 0 {
		return line{Allocs: math.NaN()}
	}
	return o.Lines[i]
}

// verdict says whether a target was held. Its arrays have a value for each of the gogcs. What was not measured is NaN.
type verdict struct {
	row     string
	target  target
	value   [2]float64 // the medians of the runs
	hand    [2]float64 // the values for the contestant by hand
	ofLeast float64    // the ratio of the least times at the default GOGC, if the target is a ratio
	held    [2]int     // the number of runs that held the target
}

// verdicts returns a verdict for each target of the row that was measured.
func (s series) verdicts(i int, r *row) (all []verdict) {
	for _, t := range r.targets {
		v := verdict{row: r.group + ", " + r.name, target: t}
		v.ofLeast = s.median(func(run []outcome) float64 { return t.ofLeast(run[i]) })
		for g := range gogcs {
			v.value[g] = s.median(func(run []outcome) float64 {
				value := t.value(run, run[i], g)
				if value <= t.limit(g) {
					v.held[g]++
				}
				return value
			})
			v.hand[g] = s.median(func(run []outcome) float64 { return t.ofHand().value(run, run[i], g) })
		}
		if !math.IsNaN(v.value[0]) {
			all = append(all, v)
		}
	}
	return all
}

// ofHand is the same target for the contestant by hand.
func (t target) ofHand() target {
	t.who = cmp.Or(map[string]string{oursPlain: plainHand}[t.who], byHand)
	return t
}

func (t target) limit(g int) float64 { return [2]float64{t.most, cmp.Or(t.most400, t.most)}[g] }

// value is the target's value in one run, rounded as the page shows it. It is NaN if a row or line that it needs was not
// measured.
func (t target) value(run []outcome, o outcome, g int) float64 {
	of, beside := o.line(cmp.Or(t.who, ours)), o.line(t.beside)
	switch t.of {
	case allocations:
		return of.Allocs
	case above:
		return math.Round(of.least(g) - beside.least(g))
	case hits:
		return cents((o.floors(of, g) - o.floors(beside, g)) / hitTime(run, g))
	}
	return cents(o.ratio(of, t.beside, g, line.ratio))
}

// ofLeast is the ratio of the least times at the default GOGC.
func (t target) ofLeast(o outcome) float64 {
	if t.of != ratio {
		return math.NaN()
	}
	return cents(o.ratio(o.line(cmp.Or(t.who, ours)), t.beside, 0, line.ratioOfLeast))
}

// hitTime is the time of a request that reaches a handler, as a ratio to the floor.
func hitTime(run []outcome, g int) float64 {
	for _, o := range run {
		if o.Group == bare && o.Row == hit {
			return o.floors(o.line(ours), g)
		}
	}
	return math.NaN()
}

// floors is the line's ratio to the floor of its row. It can be compared between rows, although the machine may have been
// faster while one of them was measured.
func (o outcome) floors(of line, g int) float64 { return of.ratio(o.line(theFloor), g) }

// newRandom is the same in every run.
func newRandom() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// least and median of no values are NaN.

func least(all []float64) float64 {
	if len(all) == 0 {
		return math.NaN()
	}
	return slices.Min(all)
}

// median returns the median, which is the mean of the middle two if there are two.
func median(all []float64) float64 {
	if len(all) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(all))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// ratioInTurn divides times of the same turn, in which the machine was equally busy, and returns the median of the ratios.
func ratioInTurn(of, to []float64) float64 {
	var ratios []float64
	for turn := range min(len(of), len(to)) {
		ratios = append(ratios, of[turn]/to[turn])
	}
	return median(ratios)
}

func cents(x float64) float64 { return math.Round(x*100) / 100 }
