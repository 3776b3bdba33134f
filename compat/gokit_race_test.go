//go:build race

package compat

// The race detector lets pools forget, so that allocations are not what they are.
func init() { raced = true }
