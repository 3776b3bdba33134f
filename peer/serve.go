package peer

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strings"

	"github.com/coder/websocket"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
)

// authProtocol begins the subprotocol in which browsers show a credential, because they cannot set headers.
const authProtocol = "kami.auth."

// ServeHTTP is ServeHTTPContext with the context of the request, for servers other than kami's.
func (n *Node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.ServeHTTPContext(r.Context(), w, r)
}

// ServeHTTPContext upgrades a request to a connection and serves it until it has ended. ctx is the base of the contexts of its
// messages. It answers origins other than the request's host and [Node.Origins] with 403, credentials that Authenticate refuses
// with 401, and requests that are not an upgrade to a websocket with 426.
func (n *Node) ServeHTTPContext(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	if err := n.check(); err != nil {
		n.log().Error(err.Error())
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if !n.begin() {
		kami.HandleError(ctx, w, r, endpoint.Error(http.StatusServiceUnavailable, "the server stops"))
		return
	}
	defer n.running.Done()
	identified, err := n.identify(ctx, r)
	if err != nil {
		kami.HandleError(ctx, w, r, err)
		return
	}
	stop := kami.Draining(ctx) // before the connection is hijacked
	var l *link
	// optimization: accepting needs a deep stack, which this goroutine would keep as long as the connection lives (TestP19Idle).
	if failed := isolated(func() { l, err = n.accept(identified, w, r) }); failed != nil {
		panic(failed)
	}
	if err == nil { // an error has been answered
		n.serve(ctx, l, stop)
	}
}

// serve serves a link until it has ended. The link is dismissed when stop is closed, and ends soon after ctx.
func (n *Node) serve(ctx context.Context, l *link, stop <-chan struct{}) {
	if !n.join(l) {
		l.closeWith(closeRestart, "the server stops")
		l.wait()
		return
	}
	defer n.leave(l)
	n.watch(stop, l)
	defer n.unwatch(stop, l)
	defer l.limit(ctx)()
	l.run()
}

// apart is below the ids of the Node's calls to clients. Clients count their ids from 0 or 1, and some take a call with such an id
// for the answer to their own call.
const apart = 1 << 32

// accept upgrades the request.
func (n *Node) accept(ctx context.Context, w http.ResponseWriter, r *http.Request) (*link, error) {
	raw := &hijacker{ResponseWriter: w}
	if canHijack(w) {
		w = raw
	}
	w.Header().Set(peerHeader, n.info().header())
	l := n.newLink(ctx)
	l.calls.last = apart
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:         []string{subprotocol},
		OriginPatterns:       n.Origins,
		CompressionMode:      n.compression(),
		CompressionThreshold: compressOver,
		OnPingReceived:       func(context.Context, []byte) bool { l.pong(); return true },
		OnPongReceived:       func(context.Context, []byte) { l.pong() },
	})
	if err != nil {
		l.cancel()
		return nil, err
	}
	conn.SetReadLimit(n.maxMessage())
	l.use(&webSocket{conn, raw.below})
	l.remote, l.peer = r.RemoteAddr, infoOf(r.Header, r.RemoteAddr)
	l.conn = newConn(n)
	return l, nil
}

// compressOver is how long a message must be to be compressed.
const compressOver = 1 << 10

func (n *Node) compression() websocket.CompressionMode {
	if n.Compress {
		return websocket.CompressionNoContextTakeover
	}
	return websocket.CompressionDisabled
}

// identify authenticates the request, if it has a credential.
func (n *Node) identify(ctx context.Context, r *http.Request) (context.Context, error) {
	scheme, credential, err := credentialOf(r)
	if err != nil {
		return nil, err
	}
	if scheme == "" || n.Authenticate == nil {
		return ctx, nil
	}
	identified, err := n.authenticated(ctx, scheme, credential)
	if err != nil {
		return nil, n.refused(err, scheme, r.RemoteAddr)
	}
	return identified, nil
}

// credentialOf returns the credential of a request: from the header Authorization, or else from a subprotocol.
func credentialOf(r *http.Request) (scheme, credential string, err error) {
	text := r.Header.Get("Authorization")
	if text == "" {
		for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
			for protocol := range strings.SplitSeq(line, ",") {
				encoded, ok := strings.CutPrefix(strings.TrimSpace(protocol), authProtocol)
				if !ok {
					continue
				}
				data, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(encoded, "="))
				if err != nil {
					return "", "", endpoint.Error(http.StatusBadRequest, "the subprotocol "+authProtocol+" must be followed by base64url")
				}
				text = string(data)
			}
		}
	}
	scheme, credential, ok := strings.Cut(text, " ")
	if text != "" && !ok {
		return "", "", endpoint.Error(http.StatusBadRequest, "a credential must have a scheme before it")
	}
	return scheme, strings.TrimSpace(credential), nil
}

// authenticated calls Authenticate. A panic and a nil context are errors with status 500.
func (n *Node) authenticated(ctx context.Context, scheme, credential string) (identified context.Context, err error) {
	failed := isolated(func() { identified, err = n.Authenticate(ctx, scheme, credential) })
	switch {
	case failed != nil:
		err = endpoint.Error(http.StatusInternalServerError, "peer: Authenticate: "+failed.Error())
	case err == nil && identified == nil:
		err = endpoint.Error(http.StatusInternalServerError, "peer: Authenticate has returned a nil context")
	}
	return identified, err
}

// refused returns the answer to a credential that was refused, and logs why. The client does not learn why: it gets only the status
// and the headers that the error has for clients.
func (n *Node) refused(err error, scheme, remote string) error {
	r := refusal{status: http.StatusUnauthorized, header: make(http.Header)}
	var coder endpoint.StatusCoder
	if errors.As(err, &coder) {
		if code := coder.StatusCode(); code >= 500 && code <= 599 || code == http.StatusTooManyRequests {
			r.status = code
		}
	}
	level := slog.LevelInfo
	if r.status >= 500 {
		level = slog.LevelError
	}
	n.log().Log(context.Background(), level, "peer: a credential was refused", "err", err, "remote", remote)
	var headerer interface{ Headers() http.Header }
	if errors.As(err, &headerer) {
		maps.Copy(r.header, headerer.Headers())
	}
	if r.status == http.StatusUnauthorized && r.header.Get("WWW-Authenticate") == "" {
		r.header.Set("WWW-Authenticate", challenge(scheme))
	}
	return r
}

// challenge is for errors without a challenge: a 401 must have one (RFC 9110, section 15.5.2).
func challenge(scheme string) string {
	if !isToken([]byte(scheme)) {
		scheme = "Bearer"
	}
	return scheme + ` realm="kami"`
}

// refusal is the answer to a credential that was refused. Its text says nothing beyond the status.
type refusal struct {
	status int
	header http.Header
}

func (r refusal) Error() string        { return http.StatusText(r.status) }
func (r refusal) StatusCode() int      { return r.status }
func (r refusal) Headers() http.Header { return r.header }
