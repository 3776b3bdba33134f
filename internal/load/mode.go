package load

import "fmt"

// Mode is a way in which clients talk to the server.
type Mode int

const (
	// KeepAlive sends GET requests over bare HTTP/1.1 connections, one of each client, and trusts the server:
	// it writes the next request without looking whether the server has closed the connection, and opens
	// another one only after an answer with "Connection: close" or a failure. A server that closes without saying so
	// makes it fail.
	KeepAlive Mode = iota

	// KeepAliveLooking is KeepAlive, but looks right before each request whether the server has closed the idle
	// connection, and opens another one if so. A close between the look and the request still is a failure.
	KeepAliveLooking

	// NewConnection opens a connection for each GET request, and says "Connection: close" in it.
	NewConnection

	// TransportPost sends POST requests with Go's http.Transport over HTTP/1.1. All clients share one Transport, which
	// looks for closed connections all the time. It never sends a request again, because the body cannot be read again.
	TransportPost

	// HTTP2 is TransportPost with HTTP/2 over TLS, so the clients share connections, most often one.
	//
	// A server that is to close one sends GOAWAY with the last stream that it serves (RFC 9113 section 6.8). A request
	// that crosses it on the way has a later stream: it is sure that the server will not begin it, and Go's Transport
	// sends it again elsewhere, as it does after REFUSED_STREAM (section 8.7). That is the protocol's own way to lose
	// nothing and no retry of ours. It needs to read the body again, so that without Config.Rewind the request fails.
	// With it, the Transport does so after PROTOCOL_ERROR, too, where that is not sure: let the server look for ids that
	// come twice. In either case a request of which nothing was sent when GOAWAY came goes elsewhere. Result.Moved counts
	// all of these.
	HTTP2

	// H2C is HTTP2 without TLS, by prior knowledge.
	H2C
)

// String is the name of the constant.
func (m Mode) String() string {
	names := [...]string{"KeepAlive", "KeepAliveLooking", "NewConnection", "TransportPost", "HTTP2", "H2C"}
	if m < 0 || int(m) >= len(names) {
		return fmt.Sprintf("Mode(%d)", int(m))
	}
	return names[m]
}
