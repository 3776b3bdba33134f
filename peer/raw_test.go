package peer_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/peer"
)

// raw is a websocket connection that sends any text that a test gives it.
type raw struct {
	t testing.TB
	*websocket.Conn
}

// dialRaw connects to a URL until the test's end.
func dialRaw(t testing.TB, url string, header http.Header, subprotocols ...string) raw {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPHeader: header, Subprotocols: subprotocols})
	require.NoError(t, err)
	c.SetReadLimit(-1)
	t.Cleanup(func() { _ = c.CloseNow() })
	return raw{t, c}
}

func (r raw) send(text string) {
	require.NoError(r.t, r.Write(context.Background(), websocket.MessageText, []byte(text)))
}

func (r raw) receive() string {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, data, err := r.Read(ctx)
	require.NoError(r.t, err)
	return string(data)
}

// ask sends a frame and returns the next frame that comes.
func (r raw) ask(text string) string {
	r.send(text)
	return r.receive()
}

// silence makes a call, and checks that the next frame that comes is its answer.
func (r raw) silence() {
	r.t.Helper()
	assert.Equal(r.t, `{"jsonrpc":"2.0","id":"silence","result":"pong"}`, r.ask(`{"jsonrpc":"2.0","id":"silence","method":"kami.ping"}`))
}

// closed returns the status and the reason with which the other side closes the connection.
func (r raw) closed() (int, string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		if _, _, err := r.Read(ctx); err != nil {
			var closed websocket.CloseError
			require.ErrorAs(r.t, err, &closed)
			return int(closed.Code), closed.Reason
		}
	}
}

type subtraction struct {
	Minuend    float64 `json:"minuend"`
	Subtrahend float64 `json:"subtrahend"`
}

// UnmarshalJSON accepts positional params too.
func (s *subtraction) UnmarshalJSON(data []byte) error {
	var positions []float64
	if json.Unmarshal(data, &positions) == nil && len(positions) == 2 {
		s.Minuend, s.Subtrahend = positions[0], positions[1]
		return nil
	}
	type plain subtraction
	return json.Unmarshal(data, (*plain)(s))
}

// specification returns a Mux with the methods of the examples of JSON-RPC's specification.
func specification() *kami.Mux {
	mux := kami.New()
	mux.Post("/subtract", endpoint.JSON(func(_ context.Context, s subtraction) (float64, error) { return s.Minuend - s.Subtrahend, nil }))
	mux.Post("/sum", endpoint.JSON(func(_ context.Context, all []float64) (sum float64, err error) {
		for _, n := range all {
			sum += n
		}
		return sum, nil
	}))
	mux.Post("/get_data", endpoint.JSON(func(context.Context, struct{}) ([]any, error) { return []any{"hello", 5}, nil }))
	for _, route := range []string{"/update", "/foobar2", "/notify_hello", "/notify_sum"} {
		mux.Post(route, func(http.ResponseWriter, *http.Request) {})
	}
	return mux
}

// TestP01Specification checks the examples of https://www.jsonrpc.org/specification, section 7.
func TestP01Specification(t *testing.T) {
	r := dialRaw(t, start(t, newNode(specification())), nil)
	for _, test := range []struct{ name, send, want string }{
		{"positional params", `{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}`, `{"jsonrpc":"2.0","id":1,"result":19}`},
		{"positional params", `{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}`, `{"jsonrpc":"2.0","id":2,"result":-19}`},
		{"named params", `{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}`, `{"jsonrpc":"2.0","id":3,"result":19}`},
		{"named params", `{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}`, `{"jsonrpc":"2.0","id":4,"result":19}`},
		{"notification", `{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}`, ""},
		{"notification", `{"jsonrpc": "2.0", "method": "foobar"}`, ""},
		{"unknown method", `{"jsonrpc": "2.0", "method": "foobar", "id": "1"}`, `{"jsonrpc":"2.0","id":"1","error":{"code":-32601,"message":"404 page not found"}}`},
		{"invalid JSON", `{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`},
		{"invalid request", `{"jsonrpc": "2.0", "method": 1, "params": "bar"}`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request: method must be a string"}}`},
		{"batch of invalid JSON", `[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"}, {"jsonrpc": "2.0", "method"]`,
			`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`},
		{"empty array", `[]`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request: a batch has 1 to 100 messages"}}`},
		{"invalid batch", `[1]`, `[{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request: a message is an object"}}]`},
		{"invalid batch", `[1,2,3]`, `[` + strings.Repeat(`,{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request: a message is an object"}}`, 3)[1:] + `]`},
		{"notifications", `[{"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]}, {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}]`, ""},
	} {
		if test.want == "" {
			r.send(test.send)
			r.silence()
			continue
		}
		assert.Equal(t, test.want, r.ask(test.send), "%s: %s", test.name, test.send)
	}
	answers := r.ask(`[
		{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
		{"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
		{"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
		{"foo": "boo"},
		{"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
		{"jsonrpc": "2.0", "method": "get_data", "id": "9"}
	]`)
	var got []json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(answers), &got))
	texts := make([]string, len(got))
	for i := range got {
		texts[i] = string(got[i])
	}
	assert.ElementsMatch(t, []string{
		`{"jsonrpc":"2.0","id":"1","result":7}`, `{"jsonrpc":"2.0","id":"2","result":19}`,
		`{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request: jsonrpc must be \"2.0\""}}`,
		`{"jsonrpc":"2.0","id":"5","error":{"code":-32601,"message":"404 page not found"}}`,
		`{"jsonrpc":"2.0","id":"9","result":["hello",5]}`,
	}, texts)
}

func TestP01IDs(t *testing.T) {
	r := dialRaw(t, start(t, newNode(nil)), nil)
	for _, id := range []string{`0`, `-0`, `1.0`, `1e3`, `12345678901234567890123`, `""`, `"é\u00e9\/"`, `null`, `"` + strings.Repeat("x", 1<<19) + `"`} {
		got := r.ask(`{"jsonrpc":"2.0","id": ` + id + ` ,"method":"kami.ping"}`)
		assert.True(t, `{"jsonrpc":"2.0","id":`+id+`,"result":"pong"}` == got, "%.100s", got)
	}
	for _, id := range []string{`{}`, `[1]`, `true`, `false`} {
		assert.Equal(t, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request: id must be a string, a number or null"}}`,
			r.ask(`{"jsonrpc":"2.0","id":`+id+`,"method":"kami.ping"}`))
	}
}

func TestP01Methods(t *testing.T) {
	mux := kami.New()
	for _, path := range []string{"/rpc/discover", "/$/x", "/only/here"} {
		mux.Get(path, func(http.ResponseWriter, *http.Request) {})
	}
	mux.Post("/rpc/discover", func(http.ResponseWriter, *http.Request) { t.Error("a handler has been called") })
	r := dialRaw(t, start(t, newNode(mux)), nil)
	for method, want := range map[string]string{
		"rpc.discover": `"error":{"code":-32601,"message":"Method not found"}`,
		"rpc.":         `"error":{"code":-32601,"message":"Method not found"}`,
		"$/x":          `"error":{"code":-32601,"message":"Method not found"}`,
		"$/item":       `"error":{"code":-32601,"message":"Method not found"}`,
		"only.here":    `"error":{"code":-32601,"message":"Method Not Allowed","data":{"status":405}}`,
		"nowhere":      `"error":{"code":-32601,"message":"404 page not found"}`,
		"":             `"error":{"code":400,"message":"message: the route is empty"}`,
		"a..b":         `"error":{"code":400,"message":"message: route \"a..b\": a segment is empty"}`,
	} {
		text, _ := json.Marshal(method)
		got := r.ask(`{"jsonrpc":"2.0","id":1,"method":` + string(text) + `}`)
		if method == "only.here" {
			assert.Equal(t, `{"jsonrpc":"2.0","id":1,`+strings.TrimSuffix(want, "}")+`},"headers":{"Allow":"GET, HEAD, OPTIONS"}}`, got+"", method)
			continue
		}
		assert.Equal(t, `{"jsonrpc":"2.0","id":1,`+want+`}`, got, method)
	}
	r.send(`{"jsonrpc":"2.0","method":"rpc.discover"}`)
	r.silence()
}

// echo answers with the request's body and Content-Type.
func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	body := make([]byte, r.ContentLength)
	_, _ = r.Body.Read(body)
	_, _ = w.Write(body)
}

func TestP02Params(t *testing.T) {
	mux := kami.New()
	mux.Post("/echo", echo)
	mux.Post("/length", func(_ context.Context, w http.ResponseWriter, r *http.Request) error {
		return json.NewEncoder(w).Encode(r.ContentLength)
	})
	r := dialRaw(t, start(t, newNode(mux)), nil)
	for params, want := range map[string]string{
		`{"a": [1, "]}"]}`: `{"a": [1, "]}"]}`, `[{"a":1}]`: `{"a":1}`, `[1]`: `1`, `[ null ]`: `null`, `[[]]`: `[]`, `["[\""]`: `"[\""`,
		`[1, 2]`: `[1, 2]`, `[ [1],2 ]`: `[ [1],2 ]`, `{"$base64":"aGk="}`: `{"$base64":"aGk="}`,
	} {
		assert.Equal(t, `{"jsonrpc":"2.0","id":1,"result":`+want+`}`, r.ask(`{"jsonrpc":"2.0","id":1,"method":"echo","params":`+params+`}`))
	}
	for _, params := range []string{``, `,"params":null`, `,"params":[]`, `,"params":[ ]`} {
		assert.Equal(t, `{"jsonrpc":"2.0","id":1,"result":0}`, r.ask(`{"jsonrpc":"2.0","id":1,"method":"length"`+params+`}`))
	}
	for _, params := range []string{`1`, `"x"`, `true`, `false`} {
		assert.Equal(t, `{"jsonrpc":"2.0","id":7,"error":{"code":-32600,"message":"Invalid Request: params must be an object or an array"}}`,
			r.ask(`{"jsonrpc":"2.0","id":7,"method":"echo","params":`+params+`}`))
	}
	assert.Equal(t, `{"jsonrpc":"2.0","id":1,"result":"hi","headers":{"Content-Type":"text/plain"}}`,
		r.ask(`{"jsonrpc":"2.0","id":1,"method":"echo","params":{"$base64":"aGk="},"headers":{"Content-Type":"text/plain"}}`))
}

// TestP02Sent checks the frames that a Node's calls send.
func TestP02Sent(t *testing.T) {
	for _, test := range []struct{ body, contentType, want string }{
		{``, "", ``},
		{`{"a": 1}`, "", `,"params":{"a": 1}`},
		{`[1,2]`, "", `,"params":[[1,2]]`},
		{"4\n", "", `,"params":[4]`},
		{`null`, "", `,"params":[null]`},
		{`hi`, "text/plain", `,"params":{"$base64":"aGk="},"headers":{"Content-Type":"text/plain"}`},
		{`hi`, "", `,"params":{"$base64":"aGk="},"headers":{"Content-Type":"application/json"}`},
		{`4`, "text/plain", `,"params":[4],"headers":{"Content-Type":"text/plain"}`},
		{"4\n", "text/plain", `,"params":{"$base64":"NAo="},"headers":{"Content-Type":"text/plain"}`},
		{`{"$base64":"aGk="}`, "", `,"params":{"$base64":"aGk="}`},
		{`{"$base64":"aGk="}`, "application/json", `,"params":{"$base64":"eyIkYmFzZTY0IjoiYUdrPSJ9"},"headers":{"Content-Type":"application/json"}`},
	} {
		sent := sentBy(t, &message.Message{Route: "a.b", Header: typed(test.contentType), Body: []byte(test.body)})
		assert.Equal(t, `{"jsonrpc":"2.0","id":1,"method":"a.b"`+test.want+`}`, sent)
	}
}

func typed(contentType string) http.Header {
	if contentType == "" {
		return nil
	}
	return http.Header{"Content-Type": {contentType}}
}

// fake serves websockets with a function instead of a Node.
func fake(t testing.TB, serve func(raw)) (url string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"kami.jsonrpc"}})
		if err != nil {
			return
		}
		defer func() { _ = c.CloseNow() }()
		serve(raw{t, c})
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

// sentBy returns the frame that a call sends.
func sentBy(t testing.TB, m *message.Message) string {
	frames := make(chan string, 1)
	url := fake(t, func(r raw) { frames <- r.receive() })
	c := dial(t, newNode(nil), url)
	_, err := c.Call(t.Context(), m)
	require.ErrorIs(t, err, peer.ErrClosed)
	return <-frames
}

// answered returns the Reply of a call. answer is the frame of the answer, without its first two members.
func answered(t testing.TB, m *message.Message, answer string) *message.Reply {
	url := fake(t, func(r raw) {
		r.receive()
		r.send(`{"jsonrpc":"2.0","id":1,` + answer)
		_, _, _ = r.Read(context.Background())
	})
	reply, err := dial(t, newNode(nil), url).Call(t.Context(), m)
	require.NoError(t, err)
	return reply
}

// TestP03 checks the frames of answers, and the Reply that a caller gets from each.
func TestP03(t *testing.T) {
	mux := kami.New()
	var answer func(http.ResponseWriter)
	mux.Post("/a", func(w http.ResponseWriter, _ *http.Request) { answer(w) })
	url := start(t, newNode(mux))
	r := dialRaw(t, url, nil)
	ours := dial(t, newNode(nil), url)
	with := func(status int, contentType, body string, headers ...string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			if contentType != "" {
				w.Header().Set("Content-Type", contentType)
			}
			for i := 0; i < len(headers); i += 2 {
				w.Header().Add(headers[i], headers[i+1])
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	const problem = `{"type":"about:blank","title":"Conflict","status":409,"detail":"taken"}`
	for _, test := range []struct {
		name   string
		answer func(http.ResponseWriter)
		want   string // the frame, without its first two members
		status int
		body   string // of the Reply
	}{
		{"JSON", with(200, "application/json", "{\"a\": [1]}\n"), `"result":{"a": [1]}}`, 200, `{"a": [1]}`},
		{"empty", func(http.ResponseWriter) {}, `"result":null}`, 200, ``},
		{"no content", with(204, "", ""), `"result":null,"status":204}`, 204, ``},
		{"text", with(200, "text/plain", "hi é\n"), `"result":"hi é\n"}`, 200, `"hi é\n"`},
		{"JSON by another name", with(200, "text/plain", `4`), `"result":4}`, 200, `4`},
		{"binary", with(200, "image/png", "\x00\xff"), `"result":{"$base64":"AP8="},"headers":{"Content-Type":"image/png"}}`, 200, "\x00\xff"},
		{"headers", with(200, "application/json", `1`, "X-A", "1", "X-A", "2", "Kami-X", "1"),
			`"result":1,"headers":{"Content-Type":"application/json","X-A":"1\n2"}}`, 200, `1`},
		{"status", with(202, "", `1`), `"result":1,"status":202}`, 202, `1`},
		{"error", with(418, "text/plain", " teapot\n"), `"error":{"code":418,"message":"teapot"}}`, 418, `teapot`},
		{"error without text", with(503, "", "", "Retry-After", "1"), `"error":{"code":503,"message":""},"headers":{"Retry-After":"1"}}`, 503, ``},
		{"error of JSON", with(422, "application/json", `{"a":1}`), `"error":{"code":422,"message":"{\"a\":1}"}}`, 422, `{"a":1}`},
		{"problem details", with(409, "application/problem+json", problem), `"error":{"code":409,"message":"taken","data":` + problem + `}}`, 409, problem},
		{"404 of a handler", with(404, "", "no such room"), `"error":{"code":404,"message":"no such room"}}`, 404, `no such room`},
		{"a status that is none", with(999, "", "x"), `"error":{"code":999,"message":"x","data":{"status":999}}}`, 999, `x`},
	} {
		answer = test.answer
		got := r.ask(`{"jsonrpc":"2.0","id":1,"method":"a"}`)
		assert.Equal(t, `{"jsonrpc":"2.0","id":1,`+test.want, got, test.name)
		reply, err := ours.Call(t.Context(), &message.Message{Route: "a"})
		require.NoError(t, err)
		assert.Equal(t, test.status, reply.Status, test.name)
		assert.Equal(t, test.body, string(reply.Body), test.name)
	}
}

// TestP03Typed checks that a caller that sends a Content-Type gets the bytes of the answer unchanged.
func TestP03Typed(t *testing.T) {
	mux := kami.New()
	mux.Post("/echo", echo)
	c := dial(t, newNode(nil), start(t, newNode(mux)))
	for _, body := range []string{`hi`, `4`, ` 4`, "4\n", `"hi"`, `{"$base64":"aGk="}`, `[1]`, `null `, "\x00\xff", "é"} {
		for _, contentType := range []string{"text/plain", "application/octet-stream", "application/x-protobuf"} {
			reply, err := c.Call(t.Context(), &message.Message{Route: "echo", Header: typed(contentType), Body: []byte(body)})
			require.NoError(t, err)
			assert.Equal(t, body, string(reply.Body))
			assert.Equal(t, contentType, reply.Header.Get("Content-Type"))
		}
	}
}

// TestP03Codes checks the status that a caller gets for each error code of a peer.
func TestP03Codes(t *testing.T) {
	for failure, want := range map[string]int{
		`{"code":-32601,"message":"x"}`: 404, `{"code":-32600,"message":"x"}`: 400, `{"code":-32602,"message":"x"}`: 400,
		`{"code":-32700,"message":"x"}`: 400, `{"code":-32800,"message":"x"}`: 499, `{"code":-32603,"message":"x"}`: 500,
		`{"code":0,"message":"x"}`: 500, `{"code":399,"message":"x"}`: 500, `{"code":600,"message":"x"}`: 500,
		`{"code":400,"message":"x"}`: 400, `{"code":599,"message":"x"}`: 599, `{"code":1e300,"message":"x"}`: 500,
		`{"code":-32601,"message":"x","data":{"status":405}}`: 405, `{"code":409,"message":"x","data":[1]}`: 409,
		`{"code":"x","message":"x"}`: 500, `"x"`: 500, `{}`: 500,
	} {
		reply := answered(t, &message.Message{Route: "a"}, `"error":`+failure+`}`)
		assert.Equal(t, want, reply.Status, failure)
		if strings.Contains(failure, `"message"`) && !strings.Contains(failure, `"code":"x"`) {
			assert.Equal(t, "x", string(reply.Body), failure)
		}
	}
}

func TestP04Headers(t *testing.T) {
	mux := kami.New()
	mux.Post("/headers", func(_ context.Context, w http.ResponseWriter, r *http.Request) error {
		return json.NewEncoder(w).Encode(r.Header)
	})
	r := dialRaw(t, start(t, newNode(mux)), nil)
	for headers, want := range map[string]string{
		`{"traceparent":"00-1","x-a":"1\n2"}`:       `{"Traceparent":["00-1"],"X-A":["1","2"]}`,
		`{"Kami-Timeout":"1s","kami-x":"1","a":""}`: `{"A":[""]}`,
		`{}`:   `{}`,
		`null`: `{}`,
	} {
		assert.Equal(t, `{"jsonrpc":"2.0","id":1,"result":`+want+`}`, r.ask(`{"jsonrpc":"2.0","id":1,"method":"headers","more":1,"headers":`+headers+`}`))
	}
	many := strings.Repeat("\\n", 98) + `","b":"`
	assert.Contains(t, r.ask(`{"jsonrpc":"2.0","id":1,"method":"headers","headers":{"a":"`+many+`"}}`), `"B":[""]`)
	for _, headers := range []string{`[]`, `1`, `{"a":1}`, `{"a b":"1"}`, `{"":"1"}`, `{"a":"\u0000"}`, `{"a":"1\r2"}`, `{"a":"` + many + `\n"}`} {
		assert.Equal(t, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"Invalid Request: headers must be an object of strings, with names and values as in HTTP, and at most 100 values"}}`,
			r.ask(`{"jsonrpc":"2.0","id":1,"method":"headers","headers":`+headers+`}`), headers)
	}
}
