package main

import (
	"math"
	"slices"
)

// series are the outcomes of several runs, all with the same rows.
type series [][]outcome

// merged is a line of all runs: medians, and those of the ratios within each run.
type merged struct {
	line
	Ratio  [2]float64 // of the least times to the fastest peer's; 0 for a reference
	Middle [2]float64 // the same of the medians
}

// faster reports whether m is faster than another line at either GOGC, by either measure.
func (m merged) faster(than merged) bool {
	for g := range gogcs {
		if m.Least[g] < than.Least[g] || m.Median[g] < than.Median[g] {
			return true
		}
	}
	return false
}

// merge sums up the i-th row, the fastest line first.
func (s series) merge(i int) []merged {
	var all []merged
	for k, first := range s[0][i].Lines {
		m := merged{line: line{Name: first.Name, Kind: first.Kind, Allocs: first.Allocs, Bytes: first.Bytes}}
		for g := range gogcs {
			m.Least[g] = s.median(func(run []outcome) float64 { return run[i].Lines[k].Least[g] })
			m.Median[g] = s.median(func(run []outcome) float64 { return run[i].Lines[k].Median[g] })
			if first.Kind != reference {
				m.Ratio[g] = s.median(func(run []outcome) float64 {
					return run[i].Lines[k].Least[g] / run[i].fastest().Least[g]
				})
				m.Middle[g] = s.median(func(run []outcome) float64 {
					return run[i].Lines[k].Median[g] / run[i].fastest().Median[g]
				})
			}
		}
		all = append(all, m)
	}
	slices.SortStableFunc(all, func(a, b merged) int { return int(math.Copysign(1, a.Least[0]-b.Least[0])) })
	return all
}

func (s series) median(of func(run []outcome) float64) float64 {
	each := make([]float64, len(s))
	for i, run := range s {
		each[i] = of(run)
	}
	return median(each)
}

// fastest is the line of the fastest peer, at each GOGC and by each measure.
func (o outcome) fastest() line {
	never := [2]float64{math.Inf(1), math.Inf(1)}
	l := line{Name: "the fastest peer", Least: never, Median: never}
	for _, p := range o.Lines {
		for g := range gogcs {
			if p.Kind == others {
				l.Least[g], l.Median[g] = min(l.Least[g], p.Least[g]), min(l.Median[g], p.Median[g])
			}
		}
	}
	return l
}

// line returns the line of that name.
func (o outcome) line(name string) (line, bool) {
	i := slices.IndexFunc(o.Lines, func(l line) bool { return l.Name == name })
	if i < 0 {
		return line{}, false
	}
	return o.Lines[i], true
}

// verdict is how a target fared.
type verdict struct {
	row    string
	target target
	value  [2]float64 // the medians of the runs
	middle float64    // of a ratio: what it is of the median times, at the default GOGC
	held   int        // in so many runs, at both GOGC
	runs   int
}

// verdicts says how the targets of the row fared.
func (s series) verdicts(i int, r *row) []verdict {
	var all []verdict
	for _, t := range r.targets {
		v := verdict{row: r.group + ", " + r.name, target: t, runs: len(s)}
		missing := false
		for g := range gogcs {
			v.value[g] = s.median(func(run []outcome) float64 {
				value, ok := t.value(run, run[i], g)
				missing = missing || !ok
				return value
			})
		}
		if t.of == ratio {
			v.middle = s.median(func(run []outcome) float64 { return t.middle(run[i]) })
		}
		for _, run := range s {
			first, _ := t.value(run, run[i], 0)
			second, _ := t.value(run, run[i], 1)
			if first <= t.limit(0) && second <= t.limit(1) {
				v.held++
			}
		}
		if !missing {
			all = append(all, v)
		}
	}
	return all
}

func (t target) limit(g int) float64 {
	if g == 1 && t.most400 != 0 {
		return t.most400
	}
	return t.most
}

// value is what the target is about, in one run. It is rounded as the page shows it. It has none if a row that it needs
// was not measured.
func (t target) value(run []outcome, o outcome, g int) (float64, bool) {
	of, beside, ok := t.lines(o)
	switch t.of {
	case allocations:
		return of.Allocs, true
	case above:
		return math.Round(of.Least[g] - beside.Least[g]), ok
	case hits:
		answer, _ := o.line(theAnswer)
		hitting, ok := hitTime(run, g)
		return cents((of.Least[g] - answer.Least[g]) / hitting), ok
	}
	return cents(of.Least[g] / beside.Least[g]), ok
}

// middle is the ratio of the medians, at the default GOGC.
func (t target) middle(o outcome) float64 {
	of, beside, _ := t.lines(o)
	return cents(of.Median[0] / beside.Median[0])
}

// lines returns the two lines that are compared, and whether there is the second one.
func (t target) lines(o outcome) (of, beside line, ok bool) {
	who := t.who
	if who == "" {
		who = ours
	}
	of, _ = o.line(who)
	if t.beside == "" {
		return of, o.fastest(), true
	}
	beside, ok = o.line(t.beside)
	return of, beside, ok
}

func cents(x float64) float64 { return math.Round(x*100) / 100 }

// hitTime is how long a request takes that reaches a handler.
func hitTime(run []outcome, g int) (float64, bool) {
	i := slices.IndexFunc(run, func(o outcome) bool { return o.Group == bare && o.Row == hit })
	if i < 0 {
		return 0, false
	}
	l, ok := run[i].line(ours)
	return l.Least[g], ok
}
