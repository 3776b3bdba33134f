package peer_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/internal/pages"
)

// TestPeersDoc checks that each Go block of docs/peers.md is the body of an Example, up to its output. So all shown code is tested.
func TestPeersDoc(t *testing.T) {
	bodies, err := pages.Examples("example_test.go")
	require.NoError(t, err)
	for i, body := range bodies {
		code, _, found := strings.Cut(body, "// Output:")
		require.True(t, found, "an Example has no output:\n%s", body)
		bodies[i] = strings.TrimSpace(code)
	}
	here, err := os.Getwd() // not cleaned, so that go test runs again when the page has changed
	require.NoError(t, err)
	blocks, err := pages.GoBlocks(here + "/../docs/peers.md")
	require.NoError(t, err)
	require.NotEmpty(t, blocks)
	assert.Subset(t, bodies, blocks)
}
