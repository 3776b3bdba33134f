package peer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/peer"
)

// floor is the same exchange written by hand: coder/websocket, encoding/json, and what is needed to have several calls at once.
type floor struct {
	conn    *websocket.Conn
	writing sync.Mutex
	mu      sync.Mutex
	last    uint64
	pending map[uint64]chan json.RawMessage
}

type floorCall struct {
	Version string          `json:"jsonrpc"`
	ID      uint64          `json:"id"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params"`
}

type floorAnswer struct {
	Version string          `json:"jsonrpc"`
	ID      uint64          `json:"id"`
	Result  json.RawMessage `json:"result"`
}

type sums struct {
	A int    `json:"a"`
	B int    `json:"b"`
	S string `json:"s,omitempty"`
}

type sum struct {
	Sum int `json:"sum"`
}

// serveFloor answers calls one by one.
func serveFloor(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	for {
		_, data, err := c.Read(context.Background())
		if err != nil {
			return
		}
		var call floorCall
		var request sums
		if json.Unmarshal(data, &call) != nil || call.Method != "sum" || json.Unmarshal(call.Params, &request) != nil {
			return
		}
		result, _ := json.Marshal(sum{request.A + request.B})
		answer, _ := json.Marshal(floorAnswer{"2.0", call.ID, result})
		if c.Write(context.Background(), websocket.MessageText, answer) != nil {
			return
		}
	}
}

func dialFloor(b testing.TB, url string) *floor {
	c, _, err := websocket.Dial(b.Context(), url, nil)
	require.NoError(b, err)
	f := &floor{conn: c, pending: map[uint64]chan json.RawMessage{}}
	go func() {
		for {
			_, data, err := c.Read(context.Background())
			if err != nil {
				return
			}
			var answer floorAnswer
			if json.Unmarshal(data, &answer) != nil {
				return
			}
			f.mu.Lock()
			done := f.pending[answer.ID]
			delete(f.pending, answer.ID)
			f.mu.Unlock()
			done <- answer.Result
		}
	}()
	return f
}

func (f *floor) call(ctx context.Context, request sums) (response sum, err error) {
	params, err := json.Marshal(request)
	if err != nil {
		return response, err
	}
	done := make(chan json.RawMessage, 1)
	f.mu.Lock()
	f.last++
	id := f.last
	f.pending[id] = done
	f.mu.Unlock()
	data, err := json.Marshal(floorCall{"2.0", id, "sum", params})
	if err != nil {
		return response, err
	}
	f.writing.Lock()
	err = f.conn.Write(context.Background(), websocket.MessageText, data)
	f.writing.Unlock()
	if err != nil {
		return response, err
	}
	select {
	case result := <-done:
		err = json.Unmarshal(result, &response)
	case <-ctx.Done():
		err = ctx.Err()
	}
	return response, err
}

type caller func(context.Context, sums) (sum, error)

// run makes so many calls by each of so many callers of each connection.
func run(b *testing.B, conns []caller, callers, calls int) time.Duration {
	start := time.Now()
	var all sync.WaitGroup
	for _, call := range conns {
		for range callers {
			all.Go(func() {
				for i := range calls {
					if got, err := call(b.Context(), sums{A: i, B: 1}); err != nil || got.Sum != i+1 {
						b.Errorf("got %v, %v", got, err)
						return
					}
				}
			})
		}
	}
	all.Wait()
	return time.Since(start)
}

// BenchmarkCall measures a call beside the floor: both run in turns, so that what else the machine does slows both down.
func BenchmarkCall(b *testing.B) {
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = 100
	bare := httptest.NewServer(http.HandlerFunc(serveFloor))
	b.Cleanup(bare.Close)
	url := start(b, newNode(mux("/sum", endpoint.JSON(func(_ context.Context, s sums) (sum, error) { return sum{s.A + s.B}, nil }))))
	client := newNode(nil)
	for _, shape := range []struct{ conns, callers int }{{1, 1}, {1, 16}, {16, 16}} {
		b.Run(fmt.Sprintf("%dx%d", shape.conns, shape.callers), func(b *testing.B) {
			var floors, peers []caller
			for range shape.conns {
				floors = append(floors, dialFloor(b, bare.URL).call)
				peers = append(peers, caller(message.Remote[sums, sum](dial(b, client, url), "sum")))
			}
			run(b, floors, shape.callers, 100)
			run(b, peers, shape.callers, 100)
			const turn = 50 // calls
			var spent [2]time.Duration
			var allocs [2]uint64
			var before, after runtime.MemStats
			n := max(b.N/(turn*shape.conns*shape.callers), 1)
			for range n {
				for i, conns := range [][]caller{floors, peers} {
					runtime.ReadMemStats(&before)
					spent[i] += run(b, conns, shape.callers, turn)
					runtime.ReadMemStats(&after)
					allocs[i] += after.Mallocs - before.Mallocs
				}
			}
			calls := float64(n * turn * shape.conns * shape.callers)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(spent[0].Nanoseconds())/calls, "floor-ns/call")
			b.ReportMetric(float64(spent[1].Nanoseconds())/calls, "ns/call")
			b.ReportMetric(float64(spent[1])/float64(spent[0]), "times-floor")
			b.ReportMetric(float64(allocs[0])/calls, "floor-allocs/call")
			b.ReportMetric(float64(allocs[1])/calls, "allocs/call")
		})
	}
	_ = peer.ErrClosed
}
