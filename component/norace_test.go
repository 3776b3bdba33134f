//go:build !race

package component_test

const race = false
