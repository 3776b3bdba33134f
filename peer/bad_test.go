package peer_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/message"
	"github.com/guregu/kami/peer"
)

// logging makes a Node log to a buffer, without times and addresses.
func logging(n *peer.Node) (*peer.Node, *lockedBuffer) {
	log := new(lockedBuffer)
	n.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "remote" {
			return slog.Attr{}
		}
		return a
	}}))
	return n, log
}

func TestP05(t *testing.T) {
	for _, test := range []struct {
		name   string
		kind   websocket.MessageType
		data   []byte
		code   int
		reason string
		log    string
	}{
		{"binary", websocket.MessageBinary, []byte(`{}`), 1003, "a message is not text", ""},
		{"too long", websocket.MessageText, make([]byte, 1001), 1009, "read limited at 1001 bytes", "a message is longer than MaxMessage"},
		{"no UTF-8", websocket.MessageText, []byte("{\"jsonrpc\":\"2.0\",\"method\":\"\xff\"}"), 1007, "a message is not UTF-8", ""},
		{"surrogates", websocket.MessageText, []byte("\"\xed\xa0\x80\""), 1007, "a message is not UTF-8", ""},
	} {
		node := newNode(nil)
		node.MaxMessage = 1000
		node, log := logging(node)
		ended := make(chan struct{}, 2)
		node.OnDisconnect = func(*peer.Conn) { ended <- struct{}{} }
		url := start(t, node)
		r := dialRaw(t, url, nil)
		r.silence()
		require.NoError(t, r.Write(t.Context(), test.kind, test.data))
		code, reason := r.closed()
		assert.Equal(t, test.code, code, test.name)
		assert.Equal(t, test.reason, reason, test.name)
		if test.log == "" {
			test.log = test.reason
		}
		<-ended
		assert.Equal(t, fmt.Sprintf("level=INFO msg=\"peer: closing a connection\" status=%d reason=%q\n", test.code, test.log), log.String())
		dialRaw(t, url, nil).silence() // other connections are not affected
	}
}

// TestP05Limit checks that a message of exactly MaxMessage bytes is accepted.
func TestP05Limit(t *testing.T) {
	node := newNode(nil)
	node.MaxMessage = 1000
	r := dialRaw(t, start(t, node), nil)
	const call = `{"jsonrpc":"2.0","id":1,"method":"kami.ping"}`
	assert.Equal(t, `{"jsonrpc":"2.0","id":1,"result":"pong"}`, r.ask(call+strings.Repeat(" ", 1000-len(call))))
}

// TestP05Compressed checks that MaxMessage limits the decompressed size of a message, and that both sides can compress.
func TestP05Compressed(t *testing.T) {
	node := newNode(nil)
	node.MaxMessage, node.Compress = 100_000, true
	url := start(t, node)
	c, _, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{CompressionMode: websocket.CompressionNoContextTakeover})
	require.NoError(t, err)
	defer func() { _ = c.CloseNow() }()
	r := raw{t, c}
	r.silence()
	r.send(strings.Repeat(" ", 10<<20))
	code, _ := r.closed()
	assert.Equal(t, 1009, code)

	client := newNode(mux("/echo", echo))
	client.Compress = true
	both := dial(t, client, url)
	reply, err := both.Call(t.Context(), &message.Message{Route: "kami.ping", Body: []byte(`"` + strings.Repeat("long ", 10_000) + `"`)})
	require.NoError(t, err)
	assert.Equal(t, `"pong"`, string(reply.Body))
}

// TestP05Unread checks that a client that does not read its answers is cut off when more than PushQueue waits to be written, and that
// other clients are served.
func TestP05Unread(t *testing.T) {
	node, log := logging(newNode(mux("/a", func(http.ResponseWriter, *http.Request) {})))
	node.PushQueue = 100_000
	url := start(t, node)
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "ws://"))
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	require.NoError(t, c.(*net.TCPConn).SetReadBuffer(4096))
	_, err = fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n")
	require.NoError(t, err)
	bad := textFrame(`[` + strings.Repeat(`1,`, 99) + `1]`)
	for err == nil {
		_, err = c.Write(bad) // the answer to each is longer
	}
	dialRaw(t, url, nil).silence()
	assert.Contains(t, log.String(), `status=1008 reason="the other side does not read what is sent: more than PushQueue, 100000 bytes, wait to be written"`)
}

// textFrame returns a text frame with a mask, as clients send it.
func textFrame(text string) []byte {
	frame := []byte{0x81}
	if len(text) < 126 {
		frame = append(frame, 0x80|byte(len(text)))
	} else {
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|126), uint16(len(text)))
	}
	return append(append(frame, 0, 0, 0, 0), text...)
}

// TestBadFrames checks the answers to frames that are not valid messages, and that answers to no call are ignored.
func TestBadFrames(t *testing.T) {
	r := dialRaw(t, start(t, newNode(nil)), nil)
	parse := `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`
	invalid := func(text string) string {
		return `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request: ` + text + `"}}`
	}
	for send, want := range map[string]string{
		"": parse, " ": parse, "{": parse, "}": parse, "nul": parse, `{"a":1}x`: parse, `{"jsonrpc":"2.0",}`: parse, "\x00": parse, "\ufeff{}": parse,
		strings.Repeat("[", 1_000_000):                              parse,
		strings.Repeat("[", 500_000) + strings.Repeat("]", 500_000): parse,
		`null`:                                   invalid("a message is an object"),
		`"x"`:                                    invalid("a message is an object"),
		` 1 `:                                    invalid("a message is an object"),
		`{}`:                                     invalid(`jsonrpc must be \"2.0\"`),
		`{"jsonrpc":"1.0","id":1,"method":"a"}`:  strings.Replace(invalid(`jsonrpc must be \"2.0\"`), "null", "1", 1),
		`{"jsonrpc":2.0,"method":"a"}`:           invalid(`jsonrpc must be \"2.0\"`),
		`{"jsonrpc":"2.0","id":1}`:               strings.Replace(invalid("method must be a string"), "null", "1", 1),
		`{"jsonrpc":"2.0","method":null}`:        invalid("method must be a string"),
		`[` + strings.Repeat(`{},`, 100) + `{}]`: invalid("a batch has 1 to 100 messages"),
		`[` + strings.Repeat(`1,`, 9_999) + `1]`: invalid("a batch has 1 to 100 messages"),
		`[[]]`:                                   `[` + invalid("a message is an object") + `]`,
		`{"jsonrpc":"2.0","jsonrpc":"1.0","method":"a"}`:                    invalid(`jsonrpc must be \"2.0\"`), // the last of two equal members counts
		`{"jsonrpc":"2.0","ID":1,"Method":"a"}`:                             invalid("method must be a string"),
		`{"\u006asonrpc":"2.0","i\u0064":1,"method":"kami.\u0070ing"}`:      `{"jsonrpc":"2.0","id":1,"result":"pong"}`,
		`{"jsonrpc":"2.0","id":1,"method":"kami.ping","result":1,"x":[{}]}`: `{"jsonrpc":"2.0","id":1,"result":"pong"}`,
	} {
		got := r.ask(send)
		assert.True(t, got == want, "%.60q: got %.300s", send, got)
	}
	for _, unasked := range []string{
		`{"jsonrpc":"2.0","id":1,"result":1}`, `{"jsonrpc":"2.0","id":"x","error":{}}`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}`,
		`{"result":1}`, `{"id":{},"error":null,"result":null}`, `{"jsonrpc":"2.0","method":"$/more","params":{"id":1,"n":1}}`,
		`{"jsonrpc":"2.0","method":"$/item","params":{"id":1,"value":1}}`, `{"jsonrpc":"2.0","method":"$/item"}`,
		`{"jsonrpc":"2.0","method":"kami.goaway","params":{"within":-1}}`, `{"jsonrpc":"2.0","method":"$/unknown"}`,
		`{"jsonrpc":"2.0","method":"$/callback","params":{"$callback":"1"}}`,
	} {
		r.send(unasked)
		r.silence()
	}
}

// TestBadAnswers checks that a caller ignores answers to calls that it has not made, and second answers.
func TestBadAnswers(t *testing.T) {
	url := fake(t, func(r raw) {
		for n := 1; n <= 2; n++ {
			r.receive()
			r.send(`{"jsonrpc":"2.0","id":7,"result":"nobody asked"}`)
			r.send(`{"jsonrpc":"2.0","id":-1,"result":"nobody asked"}`)
			r.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":"%d","result":"a string"}`, n))
			r.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":"first %d"}`, n, n))
			r.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":"second"}`, n))
		}
		_, _, _ = r.Read(context.Background())
	})
	c := dial(t, newNode(nil), url)
	for n := 1; n <= 2; n++ {
		got, err := message.Remote[int, string](c, "a")(t.Context(), 1)
		require.NoError(t, err)
		assert.Equal(t, fmt.Sprintf("first %d", n), got)
	}
}

// TestBadFragments checks that a message can come in fragments, with a ping and an empty fragment between them.
func TestBadFragments(t *testing.T) {
	c, err := net.Dial("tcp", strings.TrimPrefix(start(t, newNode(nil)), "ws://"))
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	_, err = fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n")
	require.NoError(t, err)
	piece := func(first byte, text string) {
		_, err = c.Write(append([]byte{first, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...))
		require.NoError(t, err)
	}
	piece(0x01, `{"jsonrpc":"2.0",`)
	piece(0x00, ``)
	piece(0x89, `beat`)
	piece(0x00, `"id":"é"`[:7])
	piece(0x80, `"id":"é"`[7:]+`,"method":"kami.ping"}`)
	buffer, got := make([]byte, 4096), ""
	for !strings.Contains(got, "pong") {
		n, err := c.Read(buffer)
		require.NoError(t, err)
		got += string(buffer[:n])
	}
	assert.Contains(t, got, "beat")
	assert.Contains(t, got, `{"jsonrpc":"2.0","id":"é","result":"pong"}`)
}

// TestBadEnds checks that a connection ends with ErrClosed if a client breaks it off or sends an invalid frame.
func TestBadEnds(t *testing.T) {
	ended := make(chan error, 1)
	node := newNode(nil)
	node.OnDisconnect = func(c *peer.Conn) { ended <- c.Err() }
	url := start(t, node)
	for name, end := range map[string]func(net.Conn){
		"mid-frame":  func(c net.Conn) { _, _ = c.Write([]byte{0x81, 0x80 | 100, 0, 0, 0, 0, '{'}); _ = c.Close() },
		"mid-header": func(c net.Conn) { _, _ = c.Write([]byte{0x81}); _ = c.Close() },
		"reset":      func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); _ = c.Close() },
		"unmasked":   func(c net.Conn) { _, _ = c.Write([]byte{0x81, 2, '{', '}'}) },
		"rsv":        func(c net.Conn) { _, _ = c.Write([]byte{0xf1, 0x80, 0, 0, 0, 0}) },
		"opcode":     func(c net.Conn) { _, _ = c.Write([]byte{0x83, 0x80, 0, 0, 0, 0}) },
		"garbage": func(c net.Conn) {
			noise := make([]byte, 1000)
			_, _ = rand.Read(noise)
			noise[0] |= 0x70
			_, _ = c.Write(noise)
		},
		"negative": func(c net.Conn) {
			_, _ = c.Write([]byte{0x81, 0x80 | 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
		},
		"bad close": func(c net.Conn) { _, _ = c.Write([]byte{0x88, 0x81, 0, 0, 0, 0, 1}) },
		"no code":   func(c net.Conn) { _, _ = c.Write([]byte{0x88, 0x80, 0, 0, 0, 0}) },
	} {
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "ws://"))
		require.NoError(t, err)
		_, err = fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n")
		require.NoError(t, err)
		end(c)
		select {
		case err := <-ended:
			assert.ErrorIs(t, err, peer.ErrClosed, name)
		case <-time.After(30 * time.Second):
			t.Errorf("%s: the connection has not ended", name)
		}
		_ = c.Close()
	}
}

// TestP05LongRefusals checks that a connection is closed if the refusal of a message is longer than PushQueue because of its id,
// because the caller would wait for ever.
func TestP05LongRefusals(t *testing.T) {
	for name, frame := range map[string]func(id string) string{
		"alone": func(id string) string { return `{"jsonrpc":"2.0","id":"` + id + `","method":7}` },
		"batch": func(id string) string { return `[7,{"jsonrpc":"2.0","id":"` + id + `","method":7}]` },
	} {
		node := newNode(nil)
		node.PushQueue = 1 << 10
		r := dialRaw(t, start(t, node), nil)
		assert.Contains(t, r.ask(frame(strings.Repeat("x", 500))), "Invalid Request")
		r.send(frame(strings.Repeat("x", 1000)))
		code, reason := r.closed()
		assert.Equal(t, 1008, code, name)
		assert.Contains(t, reason, "longer than PushQueue", name)
	}
}

// TestP05Bomb checks that a message that decompresses to 64 MB is refused with 1009.
func TestP05Bomb(t *testing.T) {
	node := newNode(nil)
	node.Compress = true
	node, log := logging(node)
	ended := make(chan struct{})
	node.OnDisconnect = func(*peer.Conn) { close(ended) }
	c, _, err := websocket.Dial(t.Context(), start(t, node), &websocket.DialOptions{CompressionMode: websocket.CompressionNoContextTakeover})
	require.NoError(t, err)
	defer func() { _ = c.CloseNow() }()
	r := raw{t, c}
	r.silence()
	r.send(`{"jsonrpc":"2.0","method":"` + strings.Repeat("x", 64<<20) + `"}`)
	code, _ := r.closed()
	assert.Equal(t, 1009, code)
	<-ended
	assert.Contains(t, log.String(), "a message is longer than MaxMessage")
}

// TestP05Floods checks that other clients are served while one sends a million empty frames.
func TestP05Floods(t *testing.T) {
	url := start(t, newNode(nil))
	for name, flood := range map[string]func(w *bufio.Writer){
		"pings":              func(w *bufio.Writer) { _, _ = w.Write([]byte{0x89, 0x80, 0, 0, 0, 0}) },
		"pongs":              func(w *bufio.Writer) { _, _ = w.Write([]byte{0x8a, 0x80, 0, 0, 0, 0}) },
		"fragments of 0":     func(w *bufio.Writer) { _, _ = w.Write([]byte{0x00, 0x80, 0, 0, 0, 0}) },
		"notifications of 0": func(w *bufio.Writer) { _, _ = w.Write([]byte{0x81, 0x80, 0, 0, 0, 0}) },
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "ws://"))
		require.NoError(t, err)
		_, err = fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
		require.NoError(t, err)
		status, err := bufio.NewReader(conn).ReadString('\n') // the test reads nothing after this line
		require.NoError(t, err)
		require.Contains(t, status, "101", name)
		written := make(chan struct{})
		go func() {
			defer close(written)
			w := bufio.NewWriter(conn)
			if name == "fragments of 0" {
				_, _ = w.Write([]byte{0x01, 0x80, 0, 0, 0, 0})
			}
			for range 1 << 20 {
				flood(w)
			}
			_ = w.Flush()
		}()
		other := dialRaw(t, url, nil)
		for range 100 {
			other.silence()
		}
		require.NoError(t, conn.Close())
		<-written
	}
}
