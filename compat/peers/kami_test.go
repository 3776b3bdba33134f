package peers

import (
	"bytes"
	"compress/gzip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const closedHere = `{"name":"ClosedError","message":"the connection is closed: 1000","close":{"code":1000,"reason":""},"sent":`

// kamiCases are the cases of testdata/kami.mjs, and their results.
var kamiCases = []struct{ name, want string }{
	{"calls", `[16, [1, [2]], {"a": null}, "ä\u2028😀", [7], false, null, "some text", [0, 255, 128], "x", "pong", "first", 500000, [1, 4, 9]]`},
	{"errors", `[
		{"name":"CallError","message":"taken","code":409,"data":{"title":"Conflict","status":409,"detail":"taken","by":"bob"}},
		{"name":"CallError","message":"I am a teapot","code":418},
		{"name":"CallError","message":"Internal Server Error","code":500},
		{"name":"CallError","message":"404 page not found","code":404},
		400, true]`},
	{"callbacks", `[
		["hello", {"status":200,"body":"hello bob"}],
		["sum", {"status":200,"body":6}],
		["nested", {"status":200,"body":{"status":200,"body":{"status":200,"body":{"status":200,"body":"the last one"}}}}],
		["refuse", {"status":418,"body":{"status":418,"by":"bob"}}],
		["broken", {"status":500,"body":"Internal Server Error"}],
		["unsendable", {"status":500,"body":"Internal Server Error"}],
		["unsendableError", {"status":500,"body":"Internal Server Error"}],
		["nothing", {"status":200,"body":""}],
		["no.such", {"status":404,"body":"there is no method no.such"}],
		["toString", {"status":404,"body":"there is no method toString"}],
		["constructor", {"status":404,"body":"there is no method constructor"}]]`},
	{"pushes", `[3000, true]`},
	{"listeners", `["a 0", "b 0 number", "b 1 number"]`},
	{"cancel", `[true, true, [true, "TimeoutError"], "TimeoutError", 9, 9]`},
	{"canceled", `[504, {"name":"CallError","message":"canceled","code":499}]`},
	{"notify", `["a", "b", "c"]`},
	{"stream", `[1000, true, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [418], 4]`},
	{"auth", `["", "bob", "bob", "bób", "",
		1006, 1006, {"name":"Error","message":"no token"},
		["bob", 2], [401, null, "bob"]]`},
	{"renew", `["bob", "carol"]`},
	{"resume", `[[[true, true], [true, true], [true, true]], 50, true,
		["open", "down 1006", "resumed true", "open", "down 1006", "resumed true", "open", "down 1006", "resumed true", "open",
		"closed 1000"], 1000]`},
	{"kick", `[{"code":1008,"reason":"bye"}, ["open", "down 1008", "resumed false", "open", "closed 1000"], 4]`},
	{"kickForGood", `[1000, ` + closedHere + `false}]`},
	{"moves", `["second", "held by first", [7, 0, 1, 2], {"code":1012,"reason":"the server restarts"}, ["open", "resumed false", "open", "closed 1000"]]`},
	{"unsendable", `[[["TypeError", "TypeError"], ["TypeError", "TypeError"], {"now":1}, 9],
		["open", "down 1006", "resumed true", "open", "closed 1000"]]`},
	{"hooks", `[9, ["open", "down 1006", "resumed true", "open", "closed 1000"]]`},
	{"unrun", `[{"name":"ClosedError","message":"the connection is closed: 1012 time 1","close":{"code":1012,"reason":"time 1"},
		"sent":false}, "hello", 2]`},
	{"elsewhere", `["wss://own.test/kite", "wss://own.test/kite", "wss://own.test/kite", "wss://own.test/kite", "wss://own.test/kite",
		"wss://own.test/kite", "wss://own.test/kite", "wss://own.test/next", "wss://two.own.test:8443/"]`},
	{"mistakes", `["TypeError", {"name":"ReferenceError","message":"WebSocket is not defined"}]`},
	{"closed", `[` + closedHere + `true}, ` + closedHere + `false}, true, {"code":1000,"reason":""}]`},
	{"closeInBackoff", `[` + closedHere + `false}, {"code":1000,"reason":""}]`},
	{"closeAfterGoaway", `{"code":1000,"reason":""}`},
	{"closeAfterRenewal", `{"code":1000,"reason":""}`},
	{"abortConnect", `{"name":"Error","message":"enough"}`},
}

// TestKamiJS runs the cases of testdata/kami.mjs, with both kinds of sockets that Node may have.
func TestKamiJS(t *testing.T) {
	for _, kind := range []string{"node", "ws"} {
		for _, test := range kamiCases {
			t.Run(kind+" "+test.name, func(t *testing.T) {
				t.Parallel()
				run(t, "kami", test.name, start(t).address(), test.want, kind)
			})
		}
		t.Run(kind+" refused", func(t *testing.T) {
			t.Parallel()
			s := start(t)
			refused := func(url, reason string) {
				want := `["ClosedError", "the connection is closed: 1006 ` + reason + `", false,
					["down 1006", "down 1006", "down 1006"], {"name":"Error","message":"enough"}]`
				run(t, "kami", "refused", url, want, kind)
			}
			reasons := []string{"Unexpected server response: 401", "Unexpected server response: 404", "connect ECONNREFUSED 127.0.0.1"}
			if kind == "node" { // which tells little
				for i := range reasons {
					reasons[i] = "Received network error or non-101 status code."
				}
			}
			refused(s.URL+"/refused", reasons[0])
			refused(s.URL+"/none", reasons[1])
			s.Close()
			refused(s.URL, reasons[2])
		})
	}
}

// TestKamiJSSize limits kami.js to 5 kB, minified and gzipped.
func TestKamiJSSize(t *testing.T) {
	minified := node(t, "node_modules/terser/bin/terser", "--module", "--compress", "--mangle", "--", "../../../peer/client/kami.js")
	require.Contains(t, string(minified), "kami.resume")
	var packed bytes.Buffer
	w, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	_, err := w.Write(minified)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	t.Logf("kami.js has %d bytes minified, and %d gzipped", len(minified), packed.Len())
	assert.LessOrEqual(t, packed.Len(), 5000)
}
