package peer

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/coder/websocket"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
)

// authProtocol begins the subprotocol by which browsers show a credential, for they cannot set headers.
const authProtocol = "kami.auth."

// ServeHTTP is ServeHTTPContext with the context of the request, for servers other than kami's.
func (n *Node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.ServeHTTPContext(r.Context(), w, r)
}

// ServeHTTPContext upgrades a request to a connection and serves that until it has ended. ctx is the base of the contexts of its
// messages. Origins other than the request's host and [Node.Origins] are answered with 403, credentials that Authenticate refuses with
// 401, and what is no upgrade to a websocket with 426.
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
	stop := kami.Draining(ctx)                            // before the connection is hijacked
	if l, err := n.accept(identified, w, r); err == nil { // else it has been answered
		n.serve(ctx, l, stop)
	}
}

// serve serves a link until it has ended. It goes when stop is closed, and ends soon after ctx.
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

// accept upgrades the request.
func (n *Node) accept(ctx context.Context, w http.ResponseWriter, r *http.Request) (*link, error) {
	raw := &hijacker{ResponseWriter: w}
	if canHijack(w) {
		w = raw
	}
	w.Header().Set(peerHeader, n.info().header())
	l := n.newLink(ctx)
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
	l.use(&webSocket{conn, raw.conn})
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

// identify says who sends the request, if it has a credential.
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

// credentialOf returns the credential of a request: that of the header Authorization, or else of a subprotocol.
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

// authenticated is Authenticate, whose nil context is an error.
func (n *Node) authenticated(ctx context.Context, scheme, credential string) (context.Context, error) {
	identified, err := n.Authenticate(ctx, scheme, credential)
	if err == nil && identified == nil {
		err = errors.New("peer: Authenticate has returned a nil context")
	}
	return identified, err
}

// refused returns the answer to a credential that was refused, and logs why. The client hears nothing of that.
func (n *Node) refused(err error, scheme, remote string) error {
	n.log().Info("peer: a credential was refused", "err", err, "remote", remote)
	var coder endpoint.StatusCoder
	if errors.As(err, &coder) && coder.StatusCode() >= 500 {
		return endpoint.Error(coder.StatusCode(), http.StatusText(coder.StatusCode()))
	}
	challenge := "Bearer"
	if isToken([]byte(scheme)) {
		challenge = scheme
	}
	return unauthorized{fmt.Sprintf("%s realm=%q", challenge, "kami"), endpoint.Error(http.StatusUnauthorized, http.StatusText(http.StatusUnauthorized))}
}

// unauthorized is a 401 with the header that RFC 9110, section 15.5.2, wants.
type unauthorized struct {
	challenge string
	error
}

// StatusCode returns 401.
func (unauthorized) StatusCode() int { return http.StatusUnauthorized }

// Headers returns WWW-Authenticate.
func (u unauthorized) Headers() http.Header {
	return http.Header{"Www-Authenticate": {u.challenge}}
}
