package main

import (
	"math"
	"math/rand/v2"
	"slices"
)

// newRandom is the same in every run.
func newRandom() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// The figures of nothing are no numbers.

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

// ratioInTurn is the median of the ratios of what was measured in the same turns. The machine is then much the same for both.
func ratioInTurn(of, to []float64) float64 {
	var ratios []float64
	for turn := range min(len(of), len(to)) {
		ratios = append(ratios, of[turn]/to[turn])
	}
	return median(ratios)
}

func cents(x float64) float64 { return math.Round(x*100) / 100 }
