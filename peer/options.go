package peer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

// DialOption is an option of [Node.Dial].
type DialOption func(*dialOptions)

type dialOptions struct {
	backoff *Backoff // nil without Reconnect
	token   func(context.Context) (scheme, credential string, expires time.Time, err error)
	client  *http.Client
	header  http.Header
	open    func(ctx context.Context, url string, header http.Header, l *link) (http.Header, error)
}

// Backoff is how long to wait before each attempt to connect: a random time up to Min, then up to twice as long each time, and never
// more than Max. Zero means 250 ms and 30 s.
type Backoff struct{ Min, Max time.Duration }

// lived is how long a connection must have lived for the next one to be tried after the shortest wait.
const lived = 10 * time.Second

// wait returns how long to wait before an attempt, after that many have failed.
func (b Backoff) wait(failed int) time.Duration {
	least, most := orDefault(b.Min, 250*time.Millisecond), orDefault(b.Max, 30*time.Second)
	for ; failed > 1 && least < most; failed-- {
		least *= 2
	}
	return rand.N(min(least, most)) + 1
}

// Reconnect makes the Conn connect again when its connection has ended, until it is closed. Dial itself tries until its context
// ends. New calls wait for a connection; calls that were in flight fail with [ErrClosed], unless it is known that they have not
// run. An attempt may take 30 seconds. A 401 or 403 is final, unless [Token] gives another credential.
func Reconnect(b Backoff) DialOption { return func(o *dialOptions) { o.backoff = &b } }

// Token shows a credential at each connect, and again before it expires, unless expires is zero. The function may be called at any
// time; its panic is an error. Token panics if f is nil.
func Token(f func(ctx context.Context) (scheme, credential string, expires time.Time, err error)) DialOption {
	if f == nil {
		panic("peer: Token: the function must not be nil")
	}
	return func(o *dialOptions) {
		o.token = func(ctx context.Context) (scheme, credential string, expires time.Time, err error) {
			if failed := isolated(func() { scheme, credential, expires, err = f(ctx) }); failed != nil {
				err = fmt.Errorf("peer: the function of Token: %w", failed)
			}
			return scheme, credential, expires, err
		}
	}
}

// HTTPClient sets the client that requests the connection, http.DefaultClient by default. Its Timeout limits that request.
func HTTPClient(c *http.Client) DialOption { return func(o *dialOptions) { o.client = c } }

// Header adds headers to the request for the connection.
func Header(h http.Header) DialOption { return func(o *dialOptions) { o.header = h.Clone() } }
