package peer_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/internal/pages"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/peer"
)

// The Examples of this file are the Go blocks of docs/peers.md, and the first is one of the README.

func ExampleNode() {
	square := func(_ context.Context, n float64) (float64, error) { return n * n, nil }
	calls := kami.New() // what peers may call
	calls.Post("/square", endpoint.JSON(square))
	mux := kami.New()
	mux.Get("/kite", &peer.Node{Name: "math", Version: "1.0.0", Handler: calls})
	server := httptest.NewServer(mux) // or mux.Serve()
	defer server.Close()

	client := &peer.Node{Name: "app", Version: "1.0.0"}
	conn, err := client.Dial(context.Background(), server.URL+"/kite", peer.Reconnect(peer.Backoff{}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	fmt.Println(message.Remote[float64, float64](conn, "square")(context.Background(), 4))
	// Output: 16 <nil>
}

func ExampleFromContext() {
	calls := kami.New()
	calls.Post("/greet", endpoint.JSON(func(ctx context.Context, _ struct{}) (string, error) {
		name, err := message.Remote[struct{}, string](peer.FromContext(ctx), "name")(ctx, struct{}{})
		return "hello " + name, err
	}))
	server := httptest.NewServer(&peer.Node{Name: "greeter", Version: "1.0.0", Handler: calls})
	defer server.Close()

	own := kami.New() // what the server may call
	own.Post("/name", endpoint.JSON(func(context.Context, struct{}) (string, error) { return "bob", nil }))
	client := &peer.Node{Name: "app", Version: "1.0.0", Handler: own}
	conn, err := client.Dial(context.Background(), server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	fmt.Println(message.Remote[struct{}, string](conn, "greet")(context.Background(), struct{}{}))
	// Output: hello bob <nil>
}

// TestPeersDoc has docs/peers.md show nothing but what is tested.
func TestPeersDoc(t *testing.T) {
	bodies, err := pages.Examples("page_test.go")
	require.NoError(t, err)
	for i, body := range bodies {
		code, _, found := strings.Cut(body, "// Output:")
		require.True(t, found, "an Example has no output:\n%s", body)
		bodies[i] = strings.TrimSpace(code)
	}
	here, err := os.Getwd() // go test runs again when a page has changed that is named from here
	require.NoError(t, err)
	blocks, err := pages.GoBlocks(here + "/../docs/peers.md")
	require.NoError(t, err)
	assert.ElementsMatch(t, bodies, blocks)
}
