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
	request *http.Request // which those that are sent are copies of
	encode  EncodeRequestFunc[Req]
	decode  DecodeResponseFunc[Resp]
	clientOptions
}

// clientOptions is what ClientOptions set.
type clientOptions struct {
	client    HTTPClient
	before    []RequestFunc
	after     []ClientResponseFunc
	finalizer []ClientFinalizerFunc
	around    []Around
	buffered  bool
	maxAnswer int64
}

// ClientOption sets what is optional of a Client. It is not generic, so that one list fits all.
type ClientOption func(*clientOptions)

// ClientFinalizerFunc runs at the end of a call, with its error, which is nil if it has succeeded. It is for logs. If there was a
// response, the context has its headers and size, see the keys ContextKeyResponse….
type ClientFinalizerFunc func(ctx context.Context, err error)

// SetClient sets the HTTP client. Nil means http.DefaultClient, as by default.
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

// ClientFinalizer adds functions that run at the end of every call: within [ClientAround], so once for each attempt.
func ClientFinalizer(f ...ClientFinalizerFunc) ClientOption {
	return func(o *clientOptions) { o.finalizer = append(o.finalizer, f...) }
}

// ClientAround adds what is around each call, the first as the outermost, as [Endpoint.With] does.
func ClientAround(around ...Around) ClientOption {
	return func(o *clientOptions) { o.around = append(o.around, around...) }
}

// ClientMaxAnswer sets how many bytes of an answer [DecodeJSONResponse] decodes, DefaultMaxAnswer by default. Zero or less means
// no limit.
func ClientMaxAnswer(bytes int64) ClientOption {
	return func(o *clientOptions) { o.maxAnswer = bytes }
}

// BufferedStream says whether the response's body stays open after it has been decoded, so that it can be handed on by
// the decoder and read later. Who has it must close it: until then the call's connection and context are in use. So it is
// not for decoders that hand on nothing, as [DecodeJSONResponse]. It is closed if the call fails. An [Around] must then neither fail nor call again after a call that has succeeded, nor end the
// context that it has made for it.
func BufferedStream(buffered bool) ClientOption {
	return func(o *clientOptions) { o.buffered = buffered }
}

// NewClient returns a Client of the remote method at the target, which encodes requests with enc and decodes responses
// with dec. The target is copied. It panics if one of them is nil or the method is no HTTP method.
func NewClient[Req, Resp any](method string, target *url.URL, enc EncodeRequestFunc[Req], dec DecodeResponseFunc[Resp], opts ...ClientOption) *Client[Req, Resp] {
	if target == nil || enc == nil || dec == nil {
		panic("endpoint: NewClient: the target, the encoder and the decoder must not be nil")
	}
	request, err := http.NewRequest(method, target.String(), nil)
	if err != nil {
		panic(fmt.Sprintf("endpoint: NewClient: %v", err))
	}
	c := &Client[Req, Resp]{request: request, encode: enc, decode: dec}
	c.maxAnswer = DefaultMaxAnswer
	refuseNil("NewClient: options", opts)
	for _, o := range opts {
		o(&c.clientOptions)
	}
	if c.client == nil {
		c.client = http.DefaultClient
	}
	refuseNilValue("SetClient", c.client)
	refuseNil("ClientBefore", c.before)
	refuseNil("ClientAfter", c.after)
	refuseNil("ClientFinalizer", c.finalizer)
	refuseNil("ClientAround", c.around)
	return c
}

// Endpoint returns the Endpoint that calls the remote method. The end of its context ends the call, with an error that
// wraps the cause.
//
// An error of the call has the status that its decoder gives it, as [DecodeJSONResponse] does for the answers that are errors.
// Any other error of sending a request, reading or decoding has the status 502: a Server whose Endpoint returns it is a bad
// gateway.
func (c *Client[Req, Resp]) Endpoint() Endpoint[Req, Resp] {
	e := Endpoint[Req, Resp](func(ctx context.Context, request Req) (response Resp, err error) {
		ctx, cancel := context.WithCancelCause(ctx)
		if c.maxAnswer != DefaultMaxAnswer {
			ctx = context.WithValue(ctx, maxAnswerKey{}, c.maxAnswer)
		}
		call := call[Req, Resp]{Client: c, ctx: ctx, cancel: cancel}
		err = errPanicked
		defer func() { call.end(err) }()
		response, err = call.do(request)
		return response, err
	})
	return e.With(c.around...)
}

var (
	// errPanicked is what finalizers get when the call does not return.
	errPanicked = errors.New("endpoint: the call panicked")
	// errEnded is the cause with which the context of a call ends when that has ended.
	errEnded = errors.New("endpoint: the call has ended")
)

// call is one call of a Client.
type call[Req, Resp any] struct {
	*Client[Req, Resp]
	ctx      context.Context // that has been reached
	cancel   context.CancelCauseFunc
	response *http.Response
	body     io.ReadCloser // as it came
	keep     bool          // the body is the caller's
}

func (c *call[Req, Resp]) do(request Req) (response Resp, err error) {
	if err := c.send(request); err != nil {
		return response, err
	}
	if c.buffered {
		c.response.Body = &bodyWithCancel{c.body, c.cancel}
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
		if coder := StatusCoder(nil); !errors.As(err, &coder) {
			err = upstream{err}
		}
		return none, withCause(c.ctx, err)
	}
	c.keep = c.buffered
	return response, nil
}

// end ends the call. The finalizers' context has not ended, and the body is open if the caller goes on with it.
func (c *call[Req, Resp]) end(err error) {
	if !c.keep {
		defer c.cancel(errEnded)
		if c.body != nil {
			_ = c.body.Close()
		}
	}
	c.finalize(err)
}

// send sends the request.
func (c *call[Req, Resp]) send(request Req) error {
	// optimization: a copy is made faster than what it is a copy of (BenchmarkClient in compat/).
	r, target := c.request.WithContext(c.ctx), *c.request.URL
	r.URL, r.Header = &target, make(http.Header)
	err := c.encode(c.ctx, r, request)
	if err == nil && len(c.before) > 0 {
		if c.ctx, err = runBefore(c.ctx, c.before, r); err == nil {
			r = r.WithContext(c.ctx)
		}
	}
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // as the HTTP client would
		}
		return err
	}
	response, err := c.client.Do(r)
	switch {
	case response != nil && response.Body != nil:
		c.response, c.body = response, response.Body
	case err == nil:
		err = fmt.Errorf("endpoint: the %T returned neither an error nor a response with a body", c.client)
	}
	if err != nil {
		return withCause(c.ctx, upstream{err})
	}
	return nil
}

// withCause adds how the context has ended, and why, to an error which does not say it.
func withCause(ctx context.Context, err error) error {
	for _, end := range []error{ctx.Err(), context.Cause(ctx)} {
		if end != nil && context.Cause(ctx) != errEnded && !errors.Is(err, end) {
			err = fmt.Errorf("%w: %w", err, end)
		}
	}
	return err
}

func (c *call[Req, Resp]) finalize(err error) {
	if len(c.finalizer) == 0 {
		return
	}
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
	cancel context.CancelCauseFunc
}

func (b *bodyWithCancel) Close() error {
	defer b.cancel(errEnded)
	return b.ReadCloser.Close()
}
