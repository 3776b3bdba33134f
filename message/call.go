package message

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/guregu/kami/endpoint"
)

// Local returns a Caller of a handler in this process: for tests, and for a binary that is all servers at once. [Serve] serves its
// messages. A call returns at the end of its context, whatever the handler does. It panics if the handler is nil.
func Local(h http.Handler) Caller {
	if h == nil {
		panic("message: Local: the handler must not be nil")
	}
	return local{h}
}

type local struct{ handler http.Handler }

func (l local) Call(ctx context.Context, m *Message) (*Reply, error) {
	if ctx.Err() != nil {
		return nil, withCause(ctx, ErrUndelivered)
	}
	if ctx.Done() == nil {
		return Serve(ctx, l.handler, m), nil
	}
	var gate gate
	if m.Stream != nil {
		gated := *m
		gated.Stream = gate.around(ctx, m.Stream)
		m = &gated
		defer gate.close()
	}
	replies := make(chan *Reply, 1)
	go func() {
		var reply *Reply
		defer func() {
			if reply == nil { // the handler has ended the goroutine
				reply = errorReply(http.StatusInternalServerError, http.StatusText(http.StatusInternalServerError))
			}
			replies <- reply
		}()
		reply = Serve(ctx, l.handler, m)
	}()
	select {
	case reply := <-replies:
		return reply, nil
	case <-ctx.Done():
	}
	select {
	case reply := <-replies:
		return reply, nil
	default:
		return nil, withCause(ctx, fmt.Errorf("message: calling %.260q", m.Route))
	}
}

// gate keeps a handler from calling a message's Stream after the call has returned.
type gate struct {
	passing sync.Mutex
	closed  bool
}

func (g *gate) around(ctx context.Context, stream func([]byte) error) func([]byte) error {
	return func(item []byte) error {
		g.passing.Lock()
		defer g.passing.Unlock()
		if g.closed {
			return context.Cause(ctx)
		}
		return stream(item)
	}
}

func (g *gate) close() {
	g.passing.Lock()
	defer g.passing.Unlock()
	g.closed = true
}

// HTTP returns a Caller of a server over HTTP, which posts messages to the paths of their routes below base. A client of nil is
// http.DefaultClient. An answer, or each item (a line) of a stream, may have endpoint.DefaultMaxAnswer bytes. The connection
// limits how many lines are under way. The client follows redirects as it is set to; a redirect that makes a GET of the message is
// an error. HTTP panics if base is nil.
func HTTP(client endpoint.HTTPClient, base *url.URL) Caller {
	if base == nil {
		panic("message: HTTP: the URL must not be nil")
	}
	if client == nil {
		client = http.DefaultClient
	}
	return overHTTP{client, *base}
}

type overHTTP struct {
	client endpoint.HTTPClient
	base   url.URL
}

func (c overHTTP) Call(ctx context.Context, m *Message) (*Reply, error) {
	if ctx.Err() != nil {
		return nil, withCause(ctx, ErrUndelivered)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var sent atomic.Bool // to any server, perhaps one that has redirected to another
	trace := httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }}
	r, err := c.request(httptrace.WithClientTrace(ctx, &trace), m)
	if err != nil {
		return errorReply(http.StatusBadRequest, err.Error()), nil
	}
	response, err := c.client.Do(r)
	if err != nil {
		var operation *net.OpError
		if errors.As(err, &operation) && operation.Op == "dial" && !sent.Load() {
			err = fmt.Errorf("%w: %w", ErrUndelivered, err)
		}
		return nil, withCause(ctx, err)
	}
	defer func() { _ = response.Body.Close() }()
	if last := response.Request; last != nil && last.Method != http.MethodPost {
		return nil, fmt.Errorf("message: %q was redirected to a %s of %s, which is no message", m.Route, last.Method, last.URL.Path)
	}
	rest, err := receive(response, m.Stream)
	if err != nil {
		return nil, withCause(ctx, fmt.Errorf("message: reading the answer to %q: %w", m.Route, err))
	}
	return &Reply{Status: response.StatusCode, Header: response.Header, Body: rest}, nil
}

// request returns the request for the message.
func (c overHTTP) request(ctx context.Context, m *Message) (*http.Request, error) {
	path, err := Path(m.Route)
	if err != nil {
		return nil, err
	}
	u := c.base
	u.RawPath = strings.TrimSuffix(u.EscapedPath(), "/") + path
	u.Path, _ = url.PathUnescape(u.RawPath) // both of its parts were escaped without an error
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(m.Body))
	if err != nil {
		return nil, err
	}
	if header := withTimeout(ctx, m.Header); header != nil {
		r.Header = header.Clone()
	}
	if len(m.Body) > 0 && first(r.Header, "Content-Type") == "" {
		r.Header.Set("Content-Type", JSON.ContentType())
	}
	if m.Stream != nil {
		r.Header.Set("Accept", lines)
	}
	return r, nil
}

var errTooLong = fmt.Errorf("it is longer than %d bytes", endpoint.DefaultMaxAnswer)

// receive reads an answer, and returns the part that has not been streamed.
func receive(response *http.Response, stream func([]byte) error) (rest []byte, err error) {
	if stream == nil || response.StatusCode >= 400 || mediaType(response.Header.Get("Content-Type")) != lines {
		rest, err = io.ReadAll(io.LimitReader(response.Body, endpoint.DefaultMaxAnswer+1))
		if err == nil && len(rest) > endpoint.DefaultMaxAnswer {
			err = errTooLong
		}
		return rest, err
	}
	b := bufio.NewReader(response.Body)
	for {
		line, err := readLine(b)
		if err == io.EOF {
			return line, nil
		}
		if err == nil && len(bytes.TrimSpace(line)) > 0 {
			err = stream(line)
		}
		if err != nil {
			return nil, err
		}
	}
}

// readLine reads a line of limited length. Text before the end that is no whole line is returned with io.EOF.
func readLine(b *bufio.Reader) (line []byte, err error) {
	for {
		part, err := b.ReadSlice('\n')
		if line = append(line, part...); len(line) > endpoint.DefaultMaxAnswer {
			return nil, errTooLong
		}
		if err != bufio.ErrBufferFull {
			return line, err
		}
	}
}

// withCause adds the context's error and its cause to an error that does not wrap them.
func withCause(ctx context.Context, err error) error {
	for _, end := range []error{ctx.Err(), context.Cause(ctx)} {
		if end != nil && !errors.Is(err, end) {
			err = fmt.Errorf("%w: %w", err, end)
		}
	}
	return err
}
