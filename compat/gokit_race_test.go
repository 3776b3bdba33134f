//go:build race

package compat

// The race detector makes pools drop values, so allocations cannot be compared.
func init() { raced = true }
