// Package endpoint makes HTTP handlers and clients of typed functions. It does what go-kit's packages endpoint and
// transport/http do, under their names, with type parameters in the place of interface{}.
//
//	func (s *service) Sum(ctx context.Context, r sumRequest) (sumResponse, error)
//
//	kami.Post("/sum", endpoint.JSON(svc.Sum))
//
// # Server
//
// [JSON] is a Server for JSON; [NewServer] takes functions that decode and encode anything else. A request goes
//
//	before ──▶ decode ──▶ endpoint ──▶ after ──▶ encode ──▶ finalizer
//	   └──────────┴──────────┴────any error────────┴──▶ error handler ──▶ error encoder ──▶ finalizer
//
// Errors of [JSON] and [Stream] are answered by the ErrorHandler of the kami.Mux that serves them, as those of its other
// handlers, and those of NewServer as go-kit does.
//
// A Server is an http.Handler and a kami.ContextHandler. It may be used by many goroutines at once, as all that this
// package makes; options are for the time before.
//
// # Client
//
// [JSONClient] is the other half of JSON, for the same request type. [NewClient] makes an Endpoint of a remote method, so that client and server have the same type, and the same
// middleware fits both.
//
//	encode ──▶ before ──▶ HTTP ──▶ after ──▶ decode ──▶ finalizer
//
// # Middleware
//
// [Middleware] sees requests and responses. [Around] sees neither, fits every Endpoint, and is what rate limits, circuit
// breakers and retries are.
package endpoint

import "context"

// Endpoint is a remote method: servers implement it, clients call it.
type Endpoint[Req, Resp any] func(ctx context.Context, request Req) (Resp, error)

// Middleware makes an Endpoint of another one.
type Middleware[Req, Resp any] func(Endpoint[Req, Resp]) Endpoint[Req, Resp]

// Chain returns the middleware that is all of these. A request goes through them in the order of the arguments:
// Chain(a, b, c)(e) is a(b(c(e))).
func Chain[Req, Resp any](outer Middleware[Req, Resp], others ...Middleware[Req, Resp]) Middleware[Req, Resp] {
	return func(next Endpoint[Req, Resp]) Endpoint[Req, Resp] {
		for i := len(others) - 1; i >= 0; i-- {
			next = others[i](next)
		}
		return outer(next)
	}
}

// Nop is an Endpoint that does nothing, for tests. It returns the zero Resp and no error.
func Nop[Req, Resp any](context.Context, Req) (response Resp, err error) { return response, nil }

// Failer is a response that may carry an error of the business logic, for which the Endpoint itself has not failed.
// A Server hands the error to its error encoder, in the place of encoding the response.
type Failer interface {
	Failed() error
}
