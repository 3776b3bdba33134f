package main

import (
	"math/rand/v2"
	"slices"
)

// newRandom is the same in every run.
func newRandom() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// median returns the median, which is the mean of the middle two if there are two.
func median(all []float64) float64 {
	s := slices.Sorted(slices.Values(all))
	if len(s) == 0 {
		return 0
	}
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// ratioInTurn is the median of the ratios of what was measured in the same turns. The machine is then much the same for both.
func ratioInTurn(of, to []float64) float64 {
	ratios := make([]float64, len(of))
	for turn := range of {
		ratios[turn] = of[turn] / to[turn]
	}
	return median(ratios)
}
