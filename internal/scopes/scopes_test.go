package scopes_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/internal/scopes"
	"github.com/guregu/kami/treemux"
)

// ware is named for the scope that it is registered for. One that ends with "!" wraps.
type ware string

func (w ware) Wraps() bool { return strings.HasSuffix(string(w), "!") }

func setOf(t *testing.T, wares ...ware) (s scopes.Set[ware]) {
	for _, w := range wares {
		pattern, err := treemux.Parse(strings.TrimSuffix(string(w), "!"))
		require.NoError(t, err)
		s = s.With(pattern, w)
	}
	return s
}

// ran prints a chain: each ware, with the values of its params.
func ran(c *scopes.Chain[ware]) string {
	var all []string
	for _, step := range c.Steps {
		text := string(step.Ware)
		if step.Binding != nil {
			text += fmt.Sprint(step.Binding.Values)
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}

func TestChain(t *testing.T) {
	set := setOf(t, "/a/b", "/", "/a/", "/:x/", "/a", "/a/:y", "/a/*")
	for _, test := range []struct{ path, clean, own, want string }{
		{"/", "", "", "/"},
		{"/z", "", "", "/ /:x/[z]"},
		{"/a", "", "", "/ /a/ /a /:x/[a] /a/*[]"},
		{"/a", "", "/a", "/ /a /:x/[a]"}, // a route of its own, which "/a/" leaves out
		{"/a/", "", "/a", "/ /a/ /a /:x/[a] /a/*[]"},
		{"/a/b", "", "", "/ /a/ /a/b /:x/[a] /a/*[b] /a/:y[b]"},
		{"/a%2Fb", "", "", "/ /a/ /a/b /:x/[a/b] /:x/[a] /a/*[b] /a/:y[b]"},
		{"/z/../a", "/a", "", "/ /a/ /a /:x/[z] /:x/[a] /a/*[]"},
	} {
		encoded := strings.Contains(test.path, "%")
		readings := scopes.Readings(test.path, test.clean, test.own, encoded, set.Depth)
		chain := set.Chain(readings, false)
		assert.Equal(t, test.want, ran(chain), test.path)
		for i, by := range set.Explain(chain.Steps, readings) {
			require.NotNil(t, by, "%s: %s", test.path, chain.Steps[i].Ware)
		}
	}
}

func TestChainOnce(t *testing.T) {
	set := setOf(t, "/:x/")
	readings := scopes.Readings("/a%2Fb", "", "", true, set.Depth)
	assert.Equal(t, "/:x/[a/b] /:x/[a]", ran(set.Chain(readings, false)))
	assert.Equal(t, "/:x/[a/b]", ran(set.Chain(readings, true)))
}

func TestChainWraps(t *testing.T) {
	set := setOf(t, "/", "/a/!", "/:x/b!")
	for path, want := range map[string]bool{"/": false, "/a": true, "/a/c": true, "/z": false, "/z/b": true} {
		chain := set.Chain(scopes.Readings(path, "", "", false, set.Depth), false)
		assert.Equal(t, want, chain.Wraps, path)
	}
}

func TestWithLeavesTheOldSet(t *testing.T) {
	before := setOf(t, "/", "/a/")
	pattern, _ := treemux.Parse("/a/")
	_ = before.With(pattern, "/a/")
	chain := before.Chain(scopes.Readings("/a/b", "", "", false, before.Depth), false)
	assert.Equal(t, "/ /a/", ran(chain))
}
