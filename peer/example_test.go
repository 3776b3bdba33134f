package peer_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/peer"
)

func Example() {
	square := func(_ context.Context, n float64) (float64, error) { return n * n, nil }
	calls := kami.New() // for calls of peers
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

// A handler calls its caller.
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

// A function as an argument: the handler calls it where it was made.
func ExampleCallback() {
	type count struct {
		To   int            `json:"to"`
		Each peer.Func[int] `json:"each"`
	}
	methods := kami.New()
	methods.Post("/count", endpoint.JSON(func(ctx context.Context, c count) (string, error) {
		each := c.Each.On(ctx)
		for n := range c.To {
			if err := each(ctx, n); err != nil {
				return "", err
			}
		}
		return "done", nil
	}))
	listening := httptest.NewServer(&peer.Node{Name: "counter", Version: "1.0.0", Handler: methods})
	defer listening.Close()

	ctx := context.Background()
	client := &peer.Node{Name: "client", Version: "1.0.0"}
	conn, err := client.Dial(ctx, listening.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = conn.Close() }()
	each, release := peer.Callback(conn, func(_ context.Context, n int) error {
		fmt.Println(n)
		return nil
	})
	defer release()
	fmt.Println(message.Remote[count, string](conn, "count")(ctx, count{To: 3, Each: each}))
	// Output:
	// 0
	// 1
	// 2
	// done <nil>
}
