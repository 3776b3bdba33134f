package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	neturl "net/url"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/guregu/kami/endpoint"
)

// Dial connects to a Node at a URL of the scheme ws, wss, http or https. Both sides can call then. ctx bounds the connecting, and
// the contexts of messages have its values. Dial returns when OnConnect has. If the server has answered without a connection, the
// error is also an [endpoint.Error] with that answer.
func (n *Node) Dial(ctx context.Context, url string, opts ...DialOption) (*Conn, error) {
	if err := n.check(); err != nil {
		return nil, err
	}
	c := newConn(n)
	r := &redialer{conn: c, url: url, base: context.WithoutCancel(ctx)}
	r.options.open = r.options.openWebSocket
	for _, option := range opts {
		option(&r.options)
	}
	if !n.begin() {
		return nil, fmt.Errorf("peer: dialing %s: the Node is closed", redact(url))
	}
	if r.options.backoff != nil {
		c.redial = r
	}
	l, err := r.first(ctx)
	if err != nil {
		n.running.Done()
		return nil, err
	}
	go func() {
		defer n.running.Done()
		r.serve(l)
	}()
	if _, err := c.await(ctx); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("peer: dialing %s: %w", redact(url), err)
	}
	return c, nil
}

// redact returns a URL without its parts that may be secret.
func redact(text string) string {
	u, err := neturl.Parse(text)
	if err != nil {
		return "a URL that is none"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// connect makes one attempt.
func (r *redialer) connect(ctx context.Context, url string) (l *link, err error) {
	header, expires, err := r.header(ctx)
	if err != nil {
		return nil, err
	}
	l = r.conn.node.newLink(r.base)
	answer, err := r.options.open(ctx, url, header, l)
	if err != nil {
		l.cancel()
		return nil, err
	}
	l.conn, l.dialed, l.expires = r.conn, true, expires
	l.remote = redact(url)
	l.peer = infoOf(answer, l.remote)
	return l, nil
}

// openWebSocket gives the link a websocket, and returns the headers of the answer.
func (o *dialOptions) openWebSocket(ctx context.Context, url string, header http.Header, l *link) (http.Header, error) {
	n := l.node
	client, below := o.httpClient()
	conn, response, err := websocket.Dial(ctx, url, &websocket.DialOptions{
		HTTPClient: client, HTTPHeader: header, Subprotocols: []string{subprotocol},
		CompressionMode: n.compression(), CompressionThreshold: compressOver,
		OnPingReceived: func(context.Context, []byte) bool { l.pong(); return true },
		OnPongReceived: func(context.Context, []byte) { l.pong() },
	})
	if err != nil {
		return nil, notDialed(url, response, err)
	}
	conn.SetReadLimit(n.maxMessage())
	l.use(&webSocket{conn, below.below})
	return response.Header, nil
}

// header returns the headers of the request, with the credential.
func (r *redialer) header(ctx context.Context) (header http.Header, expires time.Time, err error) {
	header = r.options.header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	header.Set(peerHeader, r.conn.node.info().header())
	if r.options.token != nil {
		var scheme, credential string
		if scheme, credential, expires, err = r.options.token(ctx); err != nil {
			return nil, expires, fmt.Errorf("peer: dialing: the Token has failed: %w", err)
		}
		r.mu.Lock()
		r.shown = scheme + " " + credential
		header.Set("Authorization", r.shown)
		r.mu.Unlock()
	}
	return header, expires, nil
}

// httpClient returns an HTTP client that takes note of the connection.
func (o *dialOptions) httpClient() (*http.Client, *dialer) {
	client := http.DefaultClient
	if o.client != nil {
		client = o.client
	}
	own, below := *client, &dialer{RoundTripper: client.Transport}
	own.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		switch {
		case via[0].URL.Scheme == "https" && r.URL.Scheme == "http":
			return errors.New("a redirect leads to where nothing is encrypted")
		case client.CheckRedirect != nil:
			return client.CheckRedirect(r, via)
		case len(via) >= 10: // as in net/http
			return errors.New("there are more than 10 redirects")
		}
		return nil
	}
	if below.RoundTripper == nil {
		below.RoundTripper = http.DefaultTransport
	}
	own.Transport = below
	return &own, below
}

// notDialed returns the error of an attempt. It wraps the server's answer, if there is one.
func notDialed(url string, response *http.Response, err error) error {
	if response == nil || response.StatusCode == http.StatusSwitchingProtocols {
		var of *neturl.Error
		if errors.As(err, &of) { // the text of a url.Error has the URL
			err = of.Err
		}
		return fmt.Errorf("peer: dialing %s: %w", redact(url), err)
	}
	text := http.StatusText(response.StatusCode)
	if response.Body != nil {
		body, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		if said := strings.TrimSpace(strings.ToValidUTF8(string(body), "?")); said != "" {
			text = said
		}
	}
	return fmt.Errorf("peer: dialing %s: the answer is %d and no websocket: %w", redact(url), response.StatusCode,
		endpoint.Error(response.StatusCode, text))
}
