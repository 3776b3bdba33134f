package peer

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// FuzzScan compares the scanner of frames with encoding/json.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		`{}`, ` {"a" : 1 , "b":[1,{"c":"]}\\\""}]} `, `{"jsonrpc":"2.0","id":1,"method":"a","params":[1,2]}`, `[]`, `[1, "x" ,[],{}]`,
		`{"\u0069d":1,"id":2}`, `{"a":-1e5,"b":null,"c":true}`, `{"id":"\ud800"}`, "{\"\xc3\xa9\":1}", `{"":{"":{}}}`, `[[[]]]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !utf8.Valid(data) || !json.Valid(data) {
			return
		}
		data = skipSpace(data)
		switch data[0] {
		case '{':
			var want map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(data, &want))
			got := map[string]json.RawMessage{}
			scanObject(data, func(name, value []byte) { got[string(name)] = json.RawMessage(value) })
			assert.Equal(t, len(want), len(got))
			for name, value := range want {
				assert.True(t, bytes.Equal(value, got[name]), "%q: got %q, want %q", name, got[name], value)
			}
			frame := scanFrame(data)
			assert.True(t, bytes.Equal(want["id"], frame.id))
			assert.True(t, bytes.Equal(want["method"], frame.method))
		case '[':
			var want []json.RawMessage
			require.NoError(t, json.Unmarshal(data, &want))
			got := scanArray(data, len(want)+1)
			require.Len(t, got, len(want))
			for i := range want {
				assert.True(t, bytes.Equal(want[i], got[i]), "got %q, want %q", got[i], want[i])
			}
		case '"':
			var want string
			require.NoError(t, json.Unmarshal(data, &want))
			value, _ := cutValue(data)
			assert.Equal(t, want, string(plain(value)))
			assert.True(t, json.Valid(appendString(nil, want)))
			var again string
			require.NoError(t, json.Unmarshal(appendString(nil, want), &again))
			assert.Equal(t, want, again)
		}
	})
}

// FuzzTake checks that a Node does not panic, whatever frame it gets.
func FuzzTake(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"kami.ping","params":[],"headers":{"a":"b"},"timeout":5,"stream":1}`, `[{"jsonrpc":"2.0","id":1,"result":1}]`,
		`{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":1}}`, `{"jsonrpc":"2.0","id":0,"method":"kami.resume","params":{"token":"x"}}`,
		`{"jsonrpc":"2.0","id":0,"error":{"code":1,"data":{"status":405}}}`, `{"jsonrpc":"2.0","method":"kami.goaway","params":{"within":1}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		n := &Node{Name: "fuzz", Version: "1.0.0"}
		here, there := newPipeEnds()
		here.pong, there.pong = func() {}, func() {}
		l := n.newLink(t.Context())
		l.use(here)
		l.conn = newConn(n)
		there.closed = true // because the test sends the close frame below
		done := make(chan struct{})
		go func() {
			defer close(done)
			l.run()
		}()
		here.frames <- pipeFrame{data: data}
		here.frames <- pipeFrame{close: &closeError{closeNormal, ""}}
		<-done
	})
}
