package endpoint

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
)

// RequestFunc is for what goes from a request into the context, or the other way: in a Server before the request is
// decoded, in a Client before it is sent. If it returns nil or a context that has ended, the request stops there with an
// error: the context's cause.
type RequestFunc func(context.Context, *http.Request) context.Context

// ServerResponseFunc is for what goes from the context into a response: after the Endpoint has returned without an
// error, before anything is written.
type ServerResponseFunc func(context.Context, http.ResponseWriter) context.Context

// ClientResponseFunc is for what goes from a response into the context, before it is decoded.
type ClientResponseFunc func(context.Context, *http.Response) context.Context

// DecodeRequestFunc makes the Endpoint's request of what a Server has received.
type DecodeRequestFunc[Req any] func(context.Context, *http.Request) (Req, error)

// EncodeRequestFunc puts the Endpoint's request into what a Client sends.
type EncodeRequestFunc[Req any] func(context.Context, *http.Request, Req) error

// EncodeResponseFunc writes the Endpoint's response to a Server's client.
type EncodeResponseFunc[Resp any] func(context.Context, http.ResponseWriter, Resp) error

// DecodeResponseFunc makes the Endpoint's response of what a Client has received. The Client closes the body.
type DecodeResponseFunc[Resp any] func(context.Context, *http.Response) (Resp, error)

// SetRequestHeader returns a RequestFunc that sets the header.
func SetRequestHeader(key, val string) RequestFunc {
	return func(ctx context.Context, r *http.Request) context.Context {
		r.Header.Set(key, val)
		return ctx
	}
}

// SetResponseHeader returns a ServerResponseFunc that sets the header.
func SetResponseHeader(key, val string) ServerResponseFunc {
	return func(ctx context.Context, w http.ResponseWriter) context.Context {
		w.Header().Set(key, val)
		return ctx
	}
}

// SetContentType returns a ServerResponseFunc that sets the header Content-Type. An encoder that sets it too comes later.
func SetContentType(contentType string) ServerResponseFunc {
	return SetResponseHeader("Content-Type", contentType)
}

// runBefore runs the functions, up to one whose context says that the request stops.
func runBefore(ctx context.Context, funcs []RequestFunc, r *http.Request) (context.Context, error) {
	for _, f := range funcs {
		next := f(ctx, r)
		if next == nil {
			return ctx, errNilContext
		}
		if ctx = next; ctx.Err() != nil {
			return ctx, context.Cause(ctx)
		}
	}
	return ctx, nil
}

// refuseNilValue panics if v, which is not nil itself, holds a nil pointer or function: that would show only when a request
// comes.
func refuseNilValue(what string, v any) {
	switch value := reflect.ValueOf(v); value.Kind() {
	case reflect.Pointer, reflect.Func:
		if value.IsNil() {
			panic(fmt.Sprintf("endpoint: %s: the %T is nil", what, v))
		}
	case reflect.Invalid:
		panic(fmt.Sprintf("endpoint: %s: nil is none", what))
	}
}

// refuseNil panics if one of the functions is nil, which would show only when a request comes.
func refuseNil[F any](option string, funcs []F) {
	for i, f := range funcs {
		if reflect.ValueOf(f).IsNil() {
			panic(fmt.Sprintf("endpoint: %s: function %d is nil", option, i+1))
		}
	}
}
