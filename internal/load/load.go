// Package load is a strict load generator for HTTP servers. It is there to prove that a server loses no request, above
// all not while it restarts: a request that was begun and gets no complete, correct answer is a failure, and nothing is
// ever tried again. It talks to loopback addresses only.
package load

import (
	"context"
	crand "crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"
)

// IDHeader is the header of every request that holds its id, which no other request has. A POST has it as its body, too.
// A server that answers with it lets Config.Check see that answers are not mixed up, and can see that no id comes twice.
const IDHeader = "Load-Id"

// Config describes the load.
type Config struct {
	Mode Mode

	// Address is the server's, host and port. The host must be a loopback address, and not a name.
	Address string

	// Path is the path, and perhaps the query, of every request. Empty means "/".
	Path string

	// Clients is how many clients there are, each of which has one request in flight at most. Zero means one.
	Clients int

	// Think is how long a client pauses between two requests, on average: each pause is a random one from half of it to
	// one and a half times it, so that the clients do not keep step. Zero means no pause.
	Think time.Duration

	// TLS is for HTTP2 and must then be set; no other mode has TLS.
	TLS *tls.Config

	// Limit is how long a request may take from its beginning, connecting included, to the end of its answer. Zero means
	// ten seconds.
	Limit time.Duration

	// Rewind lets HTTP2 and H2C send a request again if the server says that it has not begun it; see HTTP2.
	Rewind bool

	// Check says what is wrong with the body of an answer with status 200 to the request with that id, if anything. Many
	// clients call it at once. Nil means that any complete body will do.
	Check func(id, body string) error
}

// Run lets the clients send requests until ctx ends. It returns when the requests in flight at that time have ended too:
// the end of ctx keeps them from beginning more, but aborts none. A client whose request has failed goes on with its next
// one. An error means that c is wrong and that nothing was sent.
func Run(ctx context.Context, c Config) (Result, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return Result{}, fmt.Errorf("load: %w", err)
	}
	over, end := context.WithCancel(context.Background())
	defer end()
	r := &run{Config: c, name: crand.Text()[:8], began: time.Now(), over: over}
	sender := r.senders()
	var clients sync.WaitGroup
	for n := range c.Clients {
		clients.Go(func() { r.client(ctx, n, sender()) })
	}
	clients.Wait()
	r.mu.Lock() // for a Transport may still be connecting
	defer r.mu.Unlock()
	return r.result, nil
}

func (c Config) withDefaults() Config {
	if c.Path == "" {
		c.Path = "/"
	}
	if c.Clients == 0 {
		c.Clients = 1
	}
	if c.Limit == 0 {
		c.Limit = 10 * time.Second
	}
	return c
}

func (c Config) validate() error {
	address, err := netip.ParseAddrPort(c.Address)
	if err != nil {
		return fmt.Errorf("address: %w", err)
	}
	target, err := url.ParseRequestURI(c.Path)
	switch {
	case err != nil || target.Host != "" || target.Path == "" || target.Path[0] != '/':
		return fmt.Errorf("%q is not a path", c.Path)
	case !address.Addr().IsLoopback():
		return fmt.Errorf("%q is not a loopback address", c.Address)
	case c.Mode < KeepAlive || c.Mode > H2C:
		return fmt.Errorf("there is no %v", c.Mode)
	case (c.TLS != nil) != (c.Mode == HTTP2):
		return fmt.Errorf("TLS must be set for %v and for nothing else", HTTP2)
	case c.Rewind && c.Mode < HTTP2:
		return fmt.Errorf("%v cannot have Rewind", c.Mode)
	case c.Clients < 0 || c.Think < 0 || c.Limit < 0:
		return errors.New("no number may be negative: Clients, Think, Limit")
	}
	return nil
}

// run is a run in progress.
type run struct {
	Config
	name  string // makes the ids differ from those of other runs
	began time.Time
	over  context.Context // ends when all clients are done

	mu     sync.Mutex
	result Result
}

// sender sends a request and returns when its answer is complete and correct, or cannot be that anymore, which is the
// case at the deadline at the latest. It says how many requests the connection had served before.
type sender func(id string, deadline time.Time) (served int, err error)

// senders returns a function that makes the sender of each client.
func (r *run) senders() func() sender {
	if r.Mode < TransportPost {
		return func() sender { return (&wire{run: r}).send }
	}
	p := newPool(r)
	return func() sender { return p.send }
}

// client sends one request after the other until ctx ends.
func (r *run) client(ctx context.Context, n int, send sender) {
	for i := 0; ctx.Err() == nil; i++ {
		began := time.Now()
		served, err := send(fmt.Sprintf("%s-%d-%d", r.name, n, i), began.Add(r.Limit))
		r.record(n, served, began, err)
		r.pause(ctx)
	}
}

// pause waits as long as Think says, or until ctx ends.
func (r *run) pause(ctx context.Context) {
	if r.Think == 0 {
		return
	}
	timer := time.NewTimer(r.Think/2 + rand.N(r.Think))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// verify reads the rest of an answer and says what is wrong with it, if anything.
func (r *run) verify(id, proto string, response *http.Response) error {
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return fmt.Errorf("in the body of the answer, after %d bytes: %w", len(body), err)
	case response.Proto != proto:
		return fmt.Errorf("protocol %q, want %q", response.Proto, proto)
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("status %q: %.100q", response.Status, body)
	case response.ProtoMajor == 1 && response.ContentLength < 0 && len(response.TransferEncoding) == 0:
		return errors.New("a body without a length, of which nobody knows whether it is complete")
	case r.Check == nil:
		return nil
	}
	if err := r.Check(id, string(body)); err != nil {
		return fmt.Errorf("wrong body: %w", err)
	}
	return nil
}
