package endpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// HTTPClient sends the requests of a Client. *http.Client implements it.
type HTTPClient interface {
	Do(r *http.Request) (*http.Response, error)
}

// Client calls a remote method over HTTP.
type Client[Req, Resp any] struct {
	request *http.Request // is copied for each call
	encode  EncodeRequestFunc[Req]
	decode  DecodeResponseFunc[Resp]
	clientOptions
}

// clientOptions are the options that ClientOptions set.
type clientOptions struct {
	client    HTTPClient
	before    []RequestFunc
	after     []ClientResponseFunc
	finalizer []ClientFinalizerFunc
	around    []Around
	buffered  bool
	maxAnswer int64
}

// ClientOption is an option of a Client. It is not generic, so one list of options fits all Clients.
type ClientOption func(*clientOptions)

// ClientFinalizerFunc runs at the end of a call, with the call's error, nil if it has succeeded. It is for logs. If there was a response,
// the context has its headers and size, see the keys ContextKeyResponse….
type ClientFinalizerFunc func(ctx context.Context, err error)

// SetClient sets the HTTP client. Nil means http.DefaultClient, the default.
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

// ClientFinalizer adds functions that run at the end of every call. They run inside [ClientAround], so once for each attempt.
func ClientFinalizer(f ...ClientFinalizerFunc) ClientOption {
	return func(o *clientOptions) { o.finalizer = append(o.finalizer, f...) }
}

// ClientAround puts these around each call, the first as the outermost, as [Endpoint.With] does.
func ClientAround(around ...Around) ClientOption {
	return func(o *clientOptions) { o.around = append(o.around, around...) }
}

// ClientMaxAnswer sets how many bytes of an answer [DecodeJSONResponse] decodes, DefaultMaxAnswer by default. Zero or less means
// no limit.
func ClientMaxAnswer(bytes int64) ClientOption {
	return func(o *clientOptions) { o.maxAnswer = bytes }
}

// BufferedStream says whether the response's body stays open after it has been decoded, so that the decoder can return it to be read
// later. The caller must close it: until then the call's connection and context are in use. So it is not for decoders that do not
// return the body, such as [DecodeJSONResponse]. If the call fails the Client closes the body. After a call that has succeeded, an
// [Around] must neither fail, nor call again, nor end the context that it has made for the call.
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
// The decoder may give an error a status, as [DecodeJSONResponse] does for answers that are errors. Every other error of sending,
// reading or decoding has the status 502: if a Server's Endpoint returns it, the Server answers as a bad gateway.
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
	// errPanicked is the error that finalizers get if the call panics.
	errPanicked = errors.New("endpoint: the call panicked")
	// errEnded is the cause of a call's context after the call has ended.
	errEnded = errors.New("endpoint: the call has ended")
)

// call is one call of a Client.
type call[Req, Resp any] struct {
	*Client[Req, Resp]
	ctx      context.Context // the present one
	cancel   context.CancelCauseFunc
	response *http.Response
	body     io.ReadCloser // as received
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
	// optimization: copying a request is faster than making one (BenchmarkClient in compat/).
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
			_ = r.Body.Close() // the HTTP client would do this
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

// withCause adds the context's error and its cause to an error that does not wrap them.
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
