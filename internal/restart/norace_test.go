//go:build unix && !race

package restart

const race = false
