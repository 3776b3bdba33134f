package peer_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
)

// BenchmarkCall measures calls, by several callers on each of several connections. bench/messaging compares them with the same
// exchange written by hand.
func BenchmarkCall(b *testing.B) {
	type sums struct{ A, B int }
	url := start(b, newNode(mux("/sum", endpoint.JSON(func(_ context.Context, s sums) (int, error) { return s.A + s.B, nil }))))
	client := newNode(nil)
	for _, shape := range []struct{ conns, callers int }{{1, 1}, {1, 16}, {16, 16}} {
		b.Run(fmt.Sprintf("%dx%d", shape.conns, shape.callers), func(b *testing.B) {
			b.ReportAllocs()
			var all sync.WaitGroup
			each := b.N/(shape.conns*shape.callers) + 1
			for range shape.conns {
				call := message.Remote[sums, int](dial(b, client, url), "sum")
				for range shape.callers {
					all.Go(func() {
						for i := range each {
							if got, err := call(b.Context(), sums{i, 1}); err != nil || got != i+1 {
								b.Errorf("got %v, %v", got, err)
								return
							}
						}
					})
				}
			}
			all.Wait()
		})
	}
}
