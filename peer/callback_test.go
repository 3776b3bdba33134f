package peer_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/peer"
)

type watch struct {
	Until  int             `json:"until"`
	Notify peer.Func[int]  `json:"notify"`
	Other  *peer.Func[int] `json:"other"`
}

// TestCallback checks that a handler can call a function that its caller has sent, as with Kite's callbacks.
func TestCallback(t *testing.T) {
	server := newNode(mux("/watch", endpoint.JSON(func(ctx context.Context, w watch) (string, error) {
		notify := w.Notify.On(ctx)
		for n := range w.Until {
			if err := notify(ctx, n); err != nil {
				return err.Error(), nil
			}
		}
		return "done", nil
	})))
	piped(t, server, newNode(nil), func(t *testing.T, _ *peer.Pipe, c *peer.Conn) {
		var got []int
		call := message.Remote[watch, string](c, "watch")
		f, release := peer.Callback(c, func(ctx context.Context, n int) error {
			assert.Same(t, c, peer.FromContext(ctx))
			if got = append(got, n); n == 7 {
				return endpoint.Error(409, "seven is taken")
			}
			if n == 9 {
				panic("nine")
			}
			return nil
		})
		answer, err := call(t.Context(), watch{Until: 5, Notify: f})
		require.NoError(t, err)
		assert.Equal(t, "done", answer)
		assert.Equal(t, []int{0, 1, 2, 3, 4}, got)
		answer, err = call(t.Context(), watch{Until: 10, Notify: f})
		require.NoError(t, err)
		assert.Equal(t, "seven is taken", answer)
		release()
		answer, err = call(t.Context(), watch{Until: 1, Notify: f})
		require.NoError(t, err)
		assert.Equal(t, "the callback has been released", answer)
		answer, err = call(t.Context(), watch{Until: 1})
		require.NoError(t, err)
		assert.Equal(t, "peer: calling a callback: the caller has sent none", answer)
		synctest.Wait()
	})
	assert.ErrorContains(t, peer.Func[int]{}.On(t.Context())(t.Context(), 1), "the context is none of a message that came from a peer")
	assert.PanicsWithValue(t, "peer: Callback: the function must not be nil", func() { peer.Callback[int](nil, nil) })
	text, err := json.Marshal(watch{})
	require.NoError(t, err)
	assert.Equal(t, `{"until":0,"notify":null,"other":null}`, string(text))
}

// TestCallbackFrames checks the frames of callbacks.
func TestCallbackFrames(t *testing.T) {
	conns := make(chan *peer.Conn, 1)
	server := newNode(nil)
	server.OnConnect = func(c *peer.Conn) { conns <- c }
	r := dialRaw(t, start(t, server), nil)
	f, _ := peer.Callback(<-conns, func(_ context.Context, n int) error {
		if n == 1 {
			panic("one")
		}
		return nil
	})
	text, err := json.Marshal(f)
	require.NoError(t, err)
	assert.Equal(t, `{"$callback":"1"}`, string(text))
	for params, want := range map[string]string{
		`{"$callback":"1","value":7}`:   `"result":null,"status":204}`,
		`{"$callback":"1"}`:             `"result":null,"status":204}`,
		`{"$callback":"1","value":1}`:   `"error":{"code":500,"message":"Internal Server Error"}}`,
		`{"$callback":"2","value":7}`:   `"error":{"code":410,"message":"the callback has been released"}}`,
		`{"value":7}`:                   `"error":{"code":400,"message":"the params of $/callback must have the member $callback"}}`,
		`{"$callback":"1","value":"x"}`: `"error":{"code":400,"message":"the value of the callback does not fit: json: cannot unmarshal string into Go value of type int"}}`,
	} {
		assert.Equal(t, `{"jsonrpc":"2.0","id":1,`+want, r.ask(`{"jsonrpc":"2.0","id":1,"method":"$/callback","params":`+params+`}`), params)
	}
	r.send(`{"jsonrpc":"2.0","method":"$/callback","params":{"$callback":"1","value":7}}`)
	r.silence()
}
