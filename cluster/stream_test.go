package cluster_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/cluster"
	"github.com/guregu/kami/cluster/embed"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
)

// endless is a stream that yields after numbers, and then waits for the end of its context. It sends the cause of the end to ended.
func endless(after int, ended chan<- error) kami.HandlerType {
	return endpoint.Stream(func(ctx context.Context, _ int) (iter.Seq2[int, error], error) {
		return func(yield func(int, error) bool) {
			defer func() { ended <- context.Cause(ctx) }()
			for i := 0; i < after; i++ {
				if !yield(i, nil) {
					return
				}
			}
			<-ctx.Done()
		}, nil
	})
}

func TestD17TheProducerDies(t *testing.T) {
	t.Cleanup(cluster.SetBeats(time.Hour, 500*time.Millisecond))
	server := startNATS(t, embed.Options{})
	for name, hide := range map[string]bool{"at once": false, "after beats": true} {
		t.Run(name, func(t *testing.T) {
			if hide { // with this subscriber, NATS never says that nobody listens
				messages(t, connect(t, server), ">")
			}
			nc := connect(t, server)
			room, err := cluster.Join(t.Context(), nc, cluster.Config{Type: "room", Version: "1.0.0", Remotes: newMux("/room/count", endless(3, make(chan error, 1)))})
			noError(t, err)
			front := join(t, connect(t, server), cluster.Config{Type: "front"})
			items, last := 0, error(nil)
			for _, err := range message.Stream[int, int](front, "room.count")(t.Context(), 0) {
				if last = err; err == nil {
					if items++; items == 3 {
						nc.Close()
					}
				}
			}
			var coder endpoint.StatusCoder
			if items != 3 || !errors.As(last, &coder) || coder.StatusCode() != 503 || errors.Is(last, message.ErrUndelivered) || !strings.Contains(last.Error(), "producer") {
				t.Errorf("got %d items, and %v", items, last)
			}
			_ = room.Leave(t.Context())
		})
	}
}

func TestD17TheConsumerDies(t *testing.T) {
	t.Cleanup(cluster.SetBeats(time.Hour, 500*time.Millisecond))
	server := startNATS(t, embed.Options{})
	for name, hide := range map[string]bool{"at once": false, "after beats": true} {
		t.Run(name, func(t *testing.T) {
			if hide {
				messages(t, connect(t, server), ">")
			}
			ended := make(chan error, 1)
			join(t, connect(t, server), cluster.Config{Type: "room", Remotes: newMux("/room/count", endless(3, ended))})
			nc := connect(t, server)
			front, err := cluster.Join(t.Context(), nc, cluster.Config{Type: "front", Version: "1.0.0"})
			noError(t, err)
			for _, err := range message.Stream[int, int](front, "room.count")(t.Context(), 0) {
				if err == nil {
					nc.Close()
				}
			}
			if err := wait(t, ended); err == nil || !strings.Contains(err.Error(), "the consumer of the stream is gone") {
				t.Errorf("the handler's context ended with %v", err)
			}
			_ = front.Leave(t.Context())
		})
	}
}

// TestD17Quiet checks that Config.Timeout does not end a stream, even if no item comes for longer than it.
func TestD17Quiet(t *testing.T) {
	t.Cleanup(cluster.SetBeats(time.Hour, time.Second))
	server := startNATS(t, embed.Options{})
	more := make(chan struct{})
	quiet := endpoint.Stream(func(context.Context, int) (iter.Seq2[int, error], error) {
		return func(yield func(int, error) bool) {
			if yield(1, nil) {
				<-more
				yield(2, nil)
			}
		}, nil
	})
	join(t, connect(t, server), cluster.Config{Type: "room", Timeout: 2 * time.Second, Remotes: newMux("/room/quiet", quiet)})
	front := join(t, connect(t, server), cluster.Config{Type: "front", Timeout: 2 * time.Second})
	got := 0
	for item, err := range message.Stream[int, int](front, "room.quiet")(t.Context(), 0) {
		noError(t, err)
		if got = item; got == 1 {
			time.AfterFunc(4*time.Second, func() { close(more) })
		}
	}
	if got != 2 {
		t.Errorf("the last item is %d", got)
	}
}

// TestD17Busy checks that a stream goes on if its consumer needs many beats for one item.
func TestD17Busy(t *testing.T) {
	t.Cleanup(cluster.SetBeats(time.Hour, 500*time.Millisecond))
	server := startNATS(t, embed.Options{})
	made := new(atomic.Int64)
	numbers := endpoint.Stream(func(context.Context, int) (iter.Seq2[int64, error], error) {
		return func(yield func(int64, error) bool) {
			for n := made.Add(1); n <= 10 && yield(n, nil); n = made.Add(1) {
			}
		}, nil
	})
	join(t, connect(t, server), cluster.Config{Type: "room", Remotes: newMux("/room/numbers", numbers)})
	front := join(t, connect(t, server), cluster.Config{Type: "front"})
	var last int64
	for item, err := range message.Stream[int, int64](front, "room.numbers", message.Window(2))(t.Context(), 0) {
		noError(t, err)
		if last = item; item == 1 {
			time.Sleep(2 * time.Second) // many beats
		}
	}
	if last != 10 {
		t.Errorf("the last item is %d", last)
	}
}

func TestD17TooLarge(t *testing.T) {
	server := startNATS(t, embed.Options{})
	large := endpoint.Stream(func(context.Context, int) (iter.Seq2[string, error], error) {
		return func(yield func(string, error) bool) { yield(strings.Repeat("x", 2<<20), nil) }, nil
	})
	room := join(t, connect(t, server), cluster.Config{Type: "room", Remotes: newMux("/room/large", large)})
	for _, err := range message.Stream[int, string](room, "room.large")(t.Context(), 0) {
		if err == nil || !strings.Contains(err.Error(), "larger than NATS takes") {
			t.Errorf("got %v", err)
		}
	}
}
