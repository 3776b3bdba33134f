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
	methods := kami.New()
	methods.Post("/square", endpoint.JSON(square))
	server := &peer.Node{Name: "math", Version: "1.0.0", Handler: methods}
	mux := kami.New()
	mux.Get("/kite", server)
	listening := httptest.NewServer(mux)
	defer listening.Close()

	ctx := context.Background()
	client := &peer.Node{Name: "client", Version: "1.0.0"}
	conn, err := client.Dial(ctx, listening.URL+"/kite")
	if err != nil {
		fmt.Println(err)
		return
	}
	nine, err := message.Remote[float64, float64](conn, "square")(ctx, 3)
	fmt.Println(nine, err)
	fmt.Println(conn.Peer().Name, conn.Peer().Version)
	fmt.Println(client.Close(ctx))
	// Output:
	// 9 <nil>
	// math 1.0.0
	// <nil>
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
