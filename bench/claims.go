package main

import (
	"fmt"
	"math"
	"time"
)

// claim is what kami is to hold beside the rows, as one run has it.
type claim struct {
	Row, Of      string
	Limit, Value float64
	AtLeast      bool // whether Limit is the least that is asked, not the most
}

func (c claim) holds() bool { return c.Value == c.Limit || c.AtLeast == (c.Value > c.Limit) }

// claims measures what is claimed, of kami without its peers.
func (o options) claims() ([]claim, error) {
	var trips []trip
	var growths []growth
	var err error
	if o.rows.MatchString(endToEnd) {
		trips, err = o.loopback([]peer{kamiPeer})
	}
	if err == nil && o.rows.MatchString(growing) {
		growths, err = o.growths([]peer{kamiPeer})
	}
	return claimsOf(trips, growths), err
}

func claimsOf(trips []trip, growths []growth) (all []claim) {
	for _, t := range trips {
		if t.Name == ours {
			all = append(all, claim{endToEnd, "kami : net/http in requests a second, at least", 0.98, cents(t.Ratio), true})
		}
	}
	for _, g := range growths {
		if g.lines[0].name != ours {
			continue
		}
		row, at, first, last := fmt.Sprintf("%s: %s", growing, g.name), g.lines[0].at, 0, len(g.sizes)-1
		if g.routes {
			first = min(1, last)
		}
		to := at[last]
		all = append(all, claim{row, fmt.Sprintf("time at %s : at %s", thousands(g.sizes[last]), thousands(g.sizes[first])),
			2, cents(ratioInTurn(to.slices, at[first].slices)), false})
		if g.routes {
			ms := math.Round(float64(to.register) / float64(time.Millisecond))
			all = append(all, claim{row, "bytes a route", 300, math.Round(to.bytes), false},
				claim{row, "ms to register " + thousands(g.sizes[last]), 300, ms, false})
		}
	}
	return all
}

// claimed is a claim as all runs have it.
type claimed struct {
	claim     // of the medians
	held  int // in so many runs
	runs  int
}

// sumUp sums up the claims of all runs, each of which makes the same ones.
func sumUp(runs [][]claim) (sums []claimed) {
	if len(runs) == 0 {
		return nil
	}
	for i, c := range runs[0] {
		sum := claimed{claim: c, runs: len(runs)}
		var values []float64
		for _, claims := range runs {
			values = append(values, claims[i].Value)
			if claims[i].holds() {
				sum.held++
			}
		}
		sum.Value = median(values)
		sums = append(sums, sum)
	}
	return sums
}
