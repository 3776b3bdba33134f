package endpoint

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
)

// RequestFunc moves values from a request into the context, or from the context into the request: in a Server before the request is
// decoded, in a Client before it is sent. If it returns nil or a context that has ended, the request stops there with an error: the
// context's cause.
type RequestFunc func(context.Context, *http.Request) context.Context

// ServerResponseFunc moves values from the context into a response, after the Endpoint has returned without an error and before anything
// is written.
type ServerResponseFunc func(context.Context, http.ResponseWriter) context.Context

// ClientResponseFunc moves values from a response into the context, before the response is decoded.
type ClientResponseFunc func(context.Context, *http.Response) context.Context

// DecodeRequestFunc decodes the Endpoint's request from the HTTP request of a Server.
type DecodeRequestFunc[Req any] func(context.Context, *http.Request) (Req, error)

// EncodeRequestFunc encodes the Endpoint's request into the HTTP request of a Client.
type EncodeRequestFunc[Req any] func(context.Context, *http.Request, Req) error

// EncodeResponseFunc writes the Endpoint's response to a Server's client.
type EncodeResponseFunc[Resp any] func(context.Context, http.ResponseWriter, Resp) error

// DecodeResponseFunc decodes the Endpoint's response from the HTTP response of a Client. The Client closes the body.
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

// SetContentType returns a ServerResponseFunc that sets the header Content-Type. An encoder that sets it too wins, because it runs later.
func SetContentType(contentType string) ServerResponseFunc {
	return SetResponseHeader("Content-Type", contentType)
}

// runBefore runs the functions, until one stops the request by its context.
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

// refuseNilValue panics if v, which is not nil itself, holds a nil pointer or function. Otherwise the panic would come with the first
// request.
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

// refuseNil panics if one of the functions is nil. Otherwise the panic would come with the first request.
func refuseNil[F any](option string, funcs []F) {
	for i, f := range funcs {
		if reflect.ValueOf(f).IsNil() {
			panic(fmt.Sprintf("endpoint: %s: function %d is nil", option, i+1))
		}
	}
}
