package treemux

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestDraftsOutOfIDs checks that drafts copy each node that they change when the ids of drafts have run out, so that no earlier tree
// changes.
func TestDraftsOutOfIDs(t *testing.T) {
	before := drafts.Load()
	drafts.Store(math.MaxUint32 - 1)
	t.Cleanup(func() { drafts.Store(before) })
	same := func(value string) func(string) (string, error) {
		return func(string) (string, error) { return value, nil }
	}
	var d Draft[string]
	var trees []Tree[string]
	const n = 1000 // enough children for a table with pages
	for i := range n {
		pattern, err := Parse(fmt.Sprint("/", i))
		assert.NoError(t, err)
		assert.NoError(t, d.Edit(pattern, same("old")))
	}
	for i := range n {
		pattern, _ := Parse(fmt.Sprint("/", i))
		trees = append(trees, d.Tree())
		assert.NoError(t, d.Edit(pattern, same("new")))
	}
	last := d.Tree().Rewritten(Pattern{}, func(_, value string) string { return value + "!" })
	some, _ := Parse("/7")
	last = last.Rewritten(some, func(_, value string) string { return value + "?" })
	value, _ := last.Get(some)
	assert.Equal(t, "new!?", value)
	for i, then := range trees {
		for j := range n {
			value, ok := then.Lookup(fmt.Sprint("/", j), new(Spans), nil)
			assert.True(t, ok)
			assert.Equal(t, map[bool]string{true: "new", false: "old"}[j < i], value)
		}
	}
}
