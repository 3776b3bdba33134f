package message

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"

	"github.com/guregu/kami/endpoint"
)

// CallOption is an option of [Remote], [Stream] and [Notify].
type CallOption func(*callOptions)

type callOptions struct {
	to     Caller
	route  string
	codec  Codec
	header http.Header
	window int
}

// WithCodec sets the codec of requests and answers, [JSON] by default.
func WithCodec(c Codec) CallOption {
	if c == nil {
		panic("message: WithCodec: the codec must not be nil")
	}
	return func(o *callOptions) { o.codec = c }
}

// WithHeader adds a header to the message.
func WithHeader(key, value string) CallOption {
	return func(o *callOptions) {
		if o.header == nil {
			o.header = make(http.Header)
		}
		o.header.Add(key, value)
	}
}

// Window sets how many items of a [Stream] may be under way before the consumer takes them, 64 by default. It panics if n is not
// from 1 to 65536.
func Window(items int) CallOption {
	if items < 1 || items > maxWindow {
		panic(fmt.Sprintf("message: Window(%d): the window must be from 1 to %d", items, maxWindow))
	}
	return func(o *callOptions) { o.window = items }
}

const (
	defaultWindow = 64
	maxWindow     = 65536 // a stream has room for a whole window from its beginning
)

func newCall(who string, to Caller, route string, opts []CallOption) *callOptions {
	if to == nil {
		panic("message: " + who + ": the Caller must not be nil")
	}
	o := &callOptions{to: to, route: route, codec: JSON, window: defaultWindow}
	for _, option := range opts {
		if option == nil {
			panic("message: " + who + ": an option must not be nil")
		}
		option(o)
	}
	if o.codec != JSON && first(o.header, "Content-Type") == "" {
		WithHeader("Content-Type", o.codec.ContentType())(o)
	}
	return o
}

// Remote returns an Endpoint that calls a route. The end of its context ends the call, and its deadline travels. An answer with an
// error status becomes that [endpoint.Error]. An empty answer becomes the zero Resp, unless a codec other than JSON decodes it.
// A Resp of struct{} ignores the answer. A call that no handler got is repeated once, see [ErrUndelivered]. It panics if to is
// nil.
func Remote[Req, Resp any](to Caller, route string, opts ...CallOption) endpoint.Endpoint[Req, Resp] {
	o := newCall("Remote", to, route, opts)
	ignores := reflect.TypeFor[Resp]() == reflect.TypeFor[struct{}]()
	return func(ctx context.Context, request Req) (response Resp, err error) {
		// optimization: the values that others get pointers to are one allocation (BenchmarkRemote).
		own := &struct {
			message  Message
			request  Req
			response Resp
		}{message: Message{Route: o.route}, request: request}
		reply, err := send(ctx, o, &own.message, &own.request)
		if err == nil && !ignores {
			err = decode(o.codecOf(reply), reply, &own.response)
		}
		if err != nil {
			return response, withCause(ctx, err)
		}
		return own.response, nil
	}
}

// Notify sends v to a route, and does not wait for an answer if the Caller can do that. It returns an error if v could not be encoded
// or the message could not be sent. If the handler fails, its error is logged. It panics if to is nil.
func Notify(ctx context.Context, to Caller, route string, v any, opts ...CallOption) error {
	o := newCall("Notify", to, route, opts)
	m := Message{Route: route, Notify: true}
	sent := ctx.Err() == nil
	var err error
	m.Body, err = o.codec.Marshal(pointerTo(v))
	_, err = o.send(ctx, &m, err)
	if err == nil {
		return nil
	}
	var answered endpoint.StatusCoder
	ended := sent && ctx.Err() != nil && !errors.Is(err, ErrUndelivered)
	if !errors.As(err, &answered) && !ended {
		return withCause(ctx, err)
	}
	slog.WarnContext(ctx, "message: a notification failed", "route", route, "err", err)
	return nil
}

// pointerTo returns v if it is a pointer, or nil, else a pointer to it.
func pointerTo(v any) any {
	value := reflect.ValueOf(v)
	if !value.IsValid() || value.Kind() == reflect.Pointer {
		return v
	}
	pointer := reflect.New(value.Type())
	pointer.Elem().Set(value)
	return pointer.Interface()
}

// send encodes the request, sends the message, and returns the answer, or its error if it is one.
func send[Req any](ctx context.Context, o *callOptions, m *Message, request *Req) (reply *Reply, err error) {
	if reflect.TypeFor[Req]().Kind() == reflect.Pointer {
		m.Body, err = o.codec.Marshal(*request)
	} else {
		m.Body, err = o.codec.Marshal(request)
	}
	return o.send(ctx, m, err)
}

// send sends the message, unless encoding it has failed.
func (o *callOptions) send(ctx context.Context, m *Message, err error) (*Reply, error) {
	if err != nil {
		return nil, fmt.Errorf("message: encoding for %.260q: %w", o.route, err)
	}
	m.Header = withTimeout(ctx, o.header)
	reply, err := o.to.Call(ctx, m)
	if errors.Is(err, ErrUndelivered) && ctx.Err() == nil {
		m.Header = withTimeout(ctx, o.header)
		reply, err = o.to.Call(ctx, m)
	}
	switch {
	case err != nil:
		return nil, err
	case reply == nil && m.Notify:
		return nil, nil
	case reply == nil:
		return nil, fmt.Errorf("message: the %T returned neither an answer nor an error", o.to)
	}
	return reply, reply.Err()
}

// codecOf returns the codec of an answer, or nil if there is none for it.
func (o *callOptions) codecOf(reply *Reply) Codec {
	contentType := first(reply.Header, "Content-Type")
	switch {
	case len(reply.Body) == 0, contentType != "" && mediaType(contentType) == mediaType(o.codec.ContentType()):
		return o.codec
	case isJSON(contentType):
		return JSON
	}
	return nil
}

// decode decodes an answer. An empty one is the zero value, unless the codec is not JSON.
func decode[Resp any](c Codec, reply *Reply, response *Resp) error {
	switch {
	case reply.Status < 200 || reply.Status > 299:
		return fmt.Errorf("message: the status %d is neither an answer nor an error", reply.Status)
	case c == nil:
		return fmt.Errorf("message: the answer has the Content-Type %.100q, which no codec of the call is for", first(reply.Header, "Content-Type"))
	case len(reply.Body) == 0 && c == JSON:
		return nil
	}
	if err := unmarshal(c, reply.Body, response); err != nil {
		return fmt.Errorf("message: decoding the answer as %v: %w", reflect.TypeFor[Resp](), err)
	}
	return nil
}

// unmarshal decodes into the response. If that is a pointer it decodes into a new value, because most codecs cannot make one. JSON can,
// and leaves the pointer nil for null.
func unmarshal[T any](c Codec, data []byte, into *T) error {
	t := reflect.TypeFor[T]()
	if c == JSON || t.Kind() != reflect.Pointer {
		return c.Unmarshal(data, into)
	}
	value := reflect.New(t.Elem())
	*into = value.Interface().(T)
	return c.Unmarshal(data, *into)
}
