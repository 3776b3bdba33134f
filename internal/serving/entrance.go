package serving

import (
	"mime"
	"net/http"
	"strings"
)

// entrance is the handler of all requests. While the server drains, responses tell their clients that the connection ends;
// net/http sends a GOAWAY instead over HTTP/2. A request to switch protocols is spared, because its handler needs the
// Connection header.
//
// An event stream that began earlier cannot tell its client any more. Its connection closes with it all the same, so that a
// server of such streams stops at once: the clients come back a while later, and have seen the end of the connection by then.
type entrance struct {
	server  *Server
	handler http.Handler
}

func (e *entrance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := acceptedOf(r.Context())
	if e.server.isDraining() && !switches(r) {
		w.Header().Set("Connection", "close")
	}
	if a != nil { // another protocol in TLSNextProto may give its requests any context
		defer a.finish()
	}
	e.handler.ServeHTTP(w, r)
	if a != nil && e.server.isDraining() && r.ProtoMajor == 1 && isEventStream(w.Header()) {
		a.leaving.Store(true)
	}
}

// switches reports whether a handler may switch protocols. Clients offer h2c with any request, but no handler takes it.
func switches(r *http.Request) bool {
	to := r.Header.Get("Upgrade")
	return to != "" && !strings.EqualFold(to, "h2c")
}

func isEventStream(header http.Header) bool {
	kind, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	return kind == "text/event-stream"
}
