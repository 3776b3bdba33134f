package endpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// HTTPClient is what a Client sends with, as *http.Client does.
type HTTPClient interface {
	Do(r *http.Request) (*http.Response, error)
}

// Client calls a remote method over HTTP.
type Client[Req, Resp any] struct {
	method string
	target url.URL
	encode EncodeRequestFunc[Req]
	decode DecodeResponseFunc[Resp]
	clientOptions
}

// clientOptions is what ClientOptions set.
type clientOptions struct {
	client    HTTPClient
	before    []RequestFunc
	after     []ClientResponseFunc
	finalizer []ClientFinalizerFunc
	buffered  bool
}

// ClientOption sets what is optional of a Client. It is not generic, so that one list fits all.
type ClientOption func(*clientOptions)

// ClientFinalizerFunc runs at the end of a call, with its error, which may be nil. It is for logs. If there was a
// response, the context has its headers and size, see the keys ContextKeyResponse….
type ClientFinalizerFunc func(ctx context.Context, err error)

// SetClient sets the HTTP client, http.DefaultClient by default.
func SetClient(client HTTPClient) ClientOption {
	return func(o *clientOptions) { o.client = client }
}

// ClientBefore adds functions that run on the request before it is sent.
func ClientBefore(before ...RequestFunc) ClientOption {
	return func(o *clientOptions) { o.before = append(o.before, before...) }
}

// ClientAfter adds functions that run on the response before it is decoded.
func ClientAfter(after ...ClientResponseFunc) ClientOption {
	return func(o *clientOptions) { o.after = append(o.after, after...) }
}

// ClientFinalizer adds functions that run at the end of every call.
func ClientFinalizer(f ...ClientFinalizerFunc) ClientOption {
	return func(o *clientOptions) { o.finalizer = append(o.finalizer, f...) }
}

// BufferedStream says whether the response's body stays open after it has been decoded, so that it can be handed on by
// the decoder and read later. Who has it must close it: until then the call's connection and context are in use. It is
// closed if the call fails.
func BufferedStream(buffered bool) ClientOption {
	return func(o *clientOptions) { o.buffered = buffered }
}

// NewClient returns a Client of the remote method at the target, which encodes requests with enc and decodes responses
// with dec. The target is copied. It panics if one of them is nil or the method is no HTTP method.
func NewClient[Req, Resp any](method string, target *url.URL, enc EncodeRequestFunc[Req], dec DecodeResponseFunc[Resp], opts ...ClientOption) *Client[Req, Resp] {
	if target == nil || enc == nil || dec == nil {
		panic("endpoint: NewClient: the target, the encoder and the decoder must not be nil")
	}
	if _, err := http.NewRequest(method, target.String(), nil); err != nil {
		panic(fmt.Sprintf("endpoint: NewClient: %v", err))
	}
	c := &Client[Req, Resp]{method: method, target: *target, encode: enc, decode: dec}
	c.client = http.DefaultClient
	for _, o := range opts {
		o(&c.clientOptions)
	}
	return c
}

// Endpoint returns the Endpoint that calls the remote method. The end of its context ends the call, with an error that
// wraps the cause.
func (c *Client[Req, Resp]) Endpoint() Endpoint[Req, Resp] {
	return func(ctx context.Context, request Req) (response Resp, err error) {
		call := call[Req, Resp]{Client: c, ctx: ctx}
		if len(c.finalizer) > 0 {
			defer func() { call.finalize(err) }()
		}
		return call.do(request)
	}
}

// call is one call of a Client.
type call[Req, Resp any] struct {
	*Client[Req, Resp]
	ctx      context.Context // that has been reached
	response *http.Response
}

func (c *call[Req, Resp]) do(request Req) (response Resp, err error) {
	ctx, cancel := context.WithCancel(c.ctx)
	c.ctx = ctx
	keep := false // the body, for the caller
	defer func() {
		if !keep {
			if c.response != nil {
				_ = c.response.Body.Close()
			}
			cancel()
		}
	}()
	if err := c.send(request); err != nil {
		return response, err
	}
	if c.buffered {
		c.response.Body = &bodyWithCancel{c.response.Body, cancel}
	}
	for _, f := range c.after {
		next := f(c.ctx, c.response)
		if next == nil {
			return response, errNilContext
		}
		c.ctx = next
	}
	response, err = c.decode(c.ctx, c.response)
	if err != nil {
		var none Resp
		return none, c.explain(err)
	}
	keep = c.buffered
	return response, nil
}

// send sends the request.
func (c *call[Req, Resp]) send(request Req) error {
	r, err := http.NewRequest(c.method, c.target.String(), nil)
	if err != nil {
		return err
	}
	if err := c.encode(c.ctx, r, request); err != nil {
		return err
	}
	if c.ctx, err = runBefore(c.ctx, c.before, r); err != nil {
		return err
	}
	c.response, err = c.client.Do(r.WithContext(c.ctx))
	return c.explain(err)
}

// explain adds the cause of the context's end to an error which does not say it.
func (c *call[Req, Resp]) explain(err error) error {
	if err == nil || c.ctx.Err() == nil {
		return err
	}
	if cause := context.Cause(c.ctx); !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}

func (c *call[Req, Resp]) finalize(err error) {
	ctx := c.ctx
	if c.response != nil {
		ctx = &finished{ctx, c.response.Header, c.response.ContentLength}
	}
	for _, f := range c.finalizer {
		f(ctx, err)
	}
}

// bodyWithCancel is a body that ends the call's context when it is closed.
type bodyWithCancel struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b *bodyWithCancel) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
