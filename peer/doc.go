// Package peer connects processes by websockets: each side is a client and a server at once. The handlers of a kami.Mux answer the
// other side's calls, and a connection is a message.Caller.
//
//	package main
//
//	import (
//		"context"
//
//		"github.com/guregu/kami"
//		"github.com/guregu/kami/endpoint"
//		"github.com/guregu/kami/peer"
//	)
//
//	func square(ctx context.Context, n float64) (float64, error) { return n * n, nil }
//
//	func main() {
//		methods := kami.New()
//		methods.Post("/square", endpoint.JSON(square))
//		node := &peer.Node{Name: "math", Version: "1.0.0", Handler: methods}
//		kami.Get("/kite", node)
//		kami.Serve()
//	}
//
// Another Go program calls it, and may be called itself:
//
//	node := &peer.Node{Name: "client", Version: "1.0.0"}
//	conn, err := node.Dial(ctx, "ws://localhost:8000/kite", peer.Reconnect(peer.Backoff{}))
//	...
//	nine, err := message.Remote[float64, float64](conn, "square")(ctx, 3)
//
// A handler finds the connection that its message came by with [FromContext], and the session with session.FromContext.
//
// # The protocol
//
// Each text frame is a message of JSON-RPC 2.0, or a batch of at most 100. The method room.join is POST /room/join on the Handler. An
// object as params is the body; an array of one stands for its element. The result is the answer's JSON, and the code of an error
// its status. So any client of JSON-RPC over a websocket can call a Node; the subprotocol kami.jsonrpc is offered and not needed.
// Members in addition to the specification's are optional: headers, timeout in milliseconds, stream, seq, and status for an answer
// whose status is neither 200 nor an error. Several values of one header have line feeds between them.
//
// A proxy sees only the upgrade and does not check the headers of a message: do not trust X-Forwarded-For and the like in one.
//
// # Order
//
// The calls of a connection run one by one, in the order they came, unless [Node.Concurrent] is above 1. A handler that calls its
// caller back, or streams faster than its caller takes, lets the next call run until it can go on. The contexts of handlers end
// when they have returned, when their callers cancel, and with the connection.
package peer
