package peers

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/session"
)

// TestP01Foreign runs the cases of clients that do not know kami. None of them offers a subprotocol.
func TestP01Foreign(t *testing.T) {
	tests := []struct{ program, name, want string }{
		{"json-rpc-2.0", "calls", `["", 16, {"a": [1]}, [1, 2], null, [1, 2, 3, 4]]`},
		{"json-rpc-2.0", "errors", `[
			{"message": "taken", "code": 409, "data": {"title": "Conflict", "status": 409, "detail": "taken", "by": "bob"}},
			{"message": "404 page not found", "code": -32601},
			{"message": "Invalid Request: params must be an object or an array", "code": -32600},
			{"message": "Method not found", "code": -32601}, {"message": "Request timeout", "code": 0}]`},
		{"json-rpc-2.0", "batch", `[
			{"jsonrpc": "2.0", "id": 100, "result": 9}, {"jsonrpc": "2.0", "id": "x", "result": ["a"]},
			{"jsonrpc": "2.0", "id": 101, "error": {"code": -32601, "message": "404 page not found"}}]`},
		{"json-rpc-2.0", "back", `[
			["hello", {"status": 200, "body": "hello bob"}], ["sum", {"status": 200, "body": 6}],
			["one", {"status": 200, "body": [1]}],
			["nested", {"status": 200, "body": {"status": 200, "body": {"status": 200, "body": "the last one"}}}],
			["broken", {"status": 500, "body": "everybody's business"}], ["refuse", {"status": 418, "body": {"by": "bob"}}],
			["no.such", {"status": 404, "body": "Method not found"}]]`},
		{"json-rpc-2.0", "pushes", `[true, ["a"]]`},
		{"json-rpc-2.0", "restart", `[25, [{"within": 1}], 1012, "the server restarts"]`},
		{"vscode", "calls", `[
			"", 16, {"a": [1]}, [1, 2], [1, 2], null, "x",
			[[0, [4]], [1, {"a": [1]}], [2, [1, 2]], [3, [[1, 2]]], [4, null], [5, ["x"]]]]`},
		{"vscode", "errors", `[
			{"message": "taken", "code": 409, "data": {"title": "Conflict", "status": 409, "detail": "taken", "by": "bob"}},
			{"message": "404 page not found", "code": -32601}, 400, true]`},
		{"vscode", "cancel", `[
			{"message": "Request cancelled", "code": -32800}, {"message": "Request cancelled", "code": -32800},
			[{"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 1}}, {"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 0}}]]`},
		{"vscode", "back", `[
			["hello", {"status": 200, "body": "hello bob"}], ["sum", {"status": 200, "body": 6}],
			["nested", {"status": 200, "body": {"status": 200, "body": {"status": 200, "body": "the last one"}}}],
			["nothing", {"status": 200, "body": ""}],
			["broken", {"status": 500, "body": "Request broken failed with message: everybody's business"}],
			["refuse", {"status": 418, "body": {"by": "bob"}}], ["params", {"status": 400, "body": "not so"}],
			["no.such", {"status": 404, "body": "Unhandled method no.such"}], 504, "canceled"]`},
		{"vscode", "pushes", `[true, ["a"]]`},
		{"vscode", "restart", `[
			25, [{"within": 1}],
			[["Error", "Reader received error. Reason: Error during socket reconnect: code = 1012, reason = the server restarts"]]]`},
		{"rpc-websockets", "calls", `[16, {"a": [1]}, [1, 2], null, [1, 2, 3, 4]]`},
		{"rpc-websockets", "errors", `[
			{"message":"taken","code":409,"data":{"title":"Conflict","status":409,"detail":"taken","by":"bob"}},
			{"message":"404 page not found","code":-32601}, {"message":"reply timeout"},
			{"message":"404 page not found","code":-32601}, {"message":"Method not found","code":-32601},
			{"message":"Method not found","code":-32601}]`},
		{"rpc-websockets", "pushes", `[true, ["a"]]`},
		{"rpc-websockets", "back", `[{"message": "Gateway Timeout", "code": 504}, [{"name": "bob"}]]`},
		{"rpc-websockets", "restart", `[25, [{"within": 1}], [[1012, "the server restarts"]], "second"]`},
		{"jayson", "calls", `["", 16, {"a": [1]}, [1, 2], null, "my id", [true, true, true, true, false]]`},
		{"jayson", "errors", `[
			{"jsonrpc": "2.0", "error": {"code": 409, "message": "taken", "data": {"title": "Conflict", "status": 409, "detail": "taken", "by": "bob"}}},
			{"jsonrpc": "2.0", "error": {"code": -32601, "message": "404 page not found"}},
			{"message": "timeout reached after 50 ms"}]`},
		{"jayson", "batch", `[
			{"jsonrpc": "2.0", "result": 9}, {"jsonrpc": "2.0", "result": ["a"]},
			{"jsonrpc": "2.0", "error": {"code": -32601, "message": "404 page not found"}}]`},
		{"jayson", "notify", `["no answer", [null], ["a"]]`},
		{"jayson", "pushes", `[{}, 504, 4]`},
		{"jayson", "restart", `[25, [1012, "the server restarts"]]`},
		{"ethers", "calls", `[
			16, "42", 16, [1, 2], {"a": 1}, null,
			[[1, []], [2, ["0x0000000000000000000000000000000000000001", "latest"]], [3, [4]], [4, [1, 2]], [5, {"a": 1}], [6, []]]]`},
		{"ethers", "errors", `[
			{"code": "UNKNOWN_ERROR", "shortMessage": "could not coalesce error", "error": {"code": 409, "message": "taken", "data": {"title": "Conflict", "status": 409, "detail": "taken", "by": "bob"}}},
			{"code": "UNKNOWN_ERROR", "shortMessage": "could not coalesce error", "error": {"code": -32601, "message": "404 page not found"}}]`},
		{"ethers", "blocks", `[17, 18]`},
		{"ethers", "others", `[
			[["received unexpected message", "UNEXPECTED_MESSAGE"], ["received result for unknown id", "UNKNOWN_ID"], ["received unexpected message", "UNEXPECTED_MESSAGE"]],
			504, 4]`},
		{"ethers", "restart", `[25, [1012, "the server restarts"]]`},
	}
	for _, test := range tests {
		t.Run(test.program+" "+test.name, func(t *testing.T) {
			t.Parallel()
			run(t, test.program, test.name, start(t).address(), test.want)
		})
	}
}

// ethereum has the methods of an Ethereum node that the client ethers calls in its test.
func ethereum(post func(route string, h kami.HandlerType)) {
	post("eth_blockNumber", endpoint.JSON(func(context.Context, struct{}) (string, error) { return "0x10", nil }))
	post("eth_getBalance", endpoint.JSON(func(_ context.Context, params [2]string) (string, error) {
		if params != [2]string{"0x0000000000000000000000000000000000000001", "latest"} {
			return "", endpoint.Error(400, "the params are others")
		}
		return "0x2a", nil
	}))
	post("eth_subscribe", endpoint.JSON(func(ctx context.Context, what string) (string, error) {
		for _, number := range []string{"0x11", "0x12"} {
			value := map[string]any{"subscription": what + "-1", "result": map[string]string{"number": number}}
			if err := session.FromContext(ctx).Push(ctx, "eth_subscription", value); err != nil {
				return "", err
			}
		}
		return what + "-1", nil
	}))
	post("eth_unsubscribe", endpoint.JSON(func(_ context.Context, id json.RawMessage) (bool, error) { return string(id) == `"newHeads-1"`, nil }))
}
