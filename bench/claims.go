package main

import (
	"fmt"
	"time"
)

// claim is what kami is to hold beside the rows, as one run has it.
type claim struct {
	Row, Of      string
	Limit, Value float64
	AtLeast      bool // whether Limit is the least that is asked, not the most
}

func (c claim) holds() bool {
	if c.AtLeast {
		return c.Value >= c.Limit
	}
	return c.Value <= c.Limit
}

// claims measures what is claimed, of kami alone.
func (o options) claims() ([]claim, error) {
	var trips []trip
	var growths []growth
	var err error
	if o.rows.MatchString(endToEnd) {
		if trips, err = o.loopback([]peer{kamiPeer}); err != nil {
			return nil, err
		}
	}
	if o.rows.MatchString(growing) {
		if growths, err = o.growths([]peer{kamiPeer}); err != nil {
			return nil, err
		}
	}
	return claimsOf(trips, growths), nil
}

func claimsOf(trips []trip, growths []growth) (all []claim) {
	for _, t := range trips {
		if t.name == ours {
			all = append(all, claim{endToEnd, "kami : net/http in requests a second, at least", 0.98, cents(t.ratio), true})
		}
	}
	for _, g := range growths {
		last := g.sizes[len(g.sizes)-1]
		to, ok := last.line(ours)
		if !ok {
			continue
		}
		row, first := fmt.Sprintf("%s: %s", growing, g.name), g.sizes[0]
		if g.routes && len(g.sizes) > 1 {
			first = g.sizes[1]
		}
		from, _ := first.line(ours)
		all = append(all, claim{row, fmt.Sprintf("time at %s : at %s", thousands(last.n), thousands(first.n)),
			2, cents(ratioInTurn(to.slices, from.slices)), false})
		if g.routes {
			ms := float64(to.register) / float64(time.Millisecond)
			all = append(all, claim{row, "bytes a route", 300, to.bytes, false},
				claim{row, "ms to register " + thousands(last.n), 300, ms, false})
		}
	}
	return all
}

// held is a claim as all runs have it.
type held struct {
	claim     // of the medians
	hold, all int
}

// claimsHeld sums up the claims of all runs, which are the same ones.
func claimsHeld(runs [][]claim) []held {
	var sums []held
	if len(runs) == 0 {
		return nil
	}
	for i, c := range runs[0] {
		sum := held{claim: c, all: len(runs)}
		var values []float64
		for _, run := range runs {
			values = append(values, run[i].Value)
			if run[i].holds() {
				sum.hold++
			}
		}
		sum.Value = median(values)
		sums = append(sums, sum)
	}
	return sums
}
