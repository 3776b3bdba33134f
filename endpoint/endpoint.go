// Package endpoint makes HTTP handlers and clients of typed functions. It does what go-kit's packages endpoint and
// transport/http do, under their names, with type parameters instead of interface{}.
//
//	type sumRequest struct {
//		A int `path:"a"`
//		B int `query:"b"` // fields without a tag come from the JSON body
//	}
//
//	func (s *service) Sum(ctx context.Context, r sumRequest) (int, error) {
//		if r.B < 0 { // validate where the values are used, or in a Middleware that calls r.Validate
//			return 0, endpoint.Error(http.StatusUnprocessableEntity, "b must not be negative")
//		}
//		return r.A + r.B, nil
//	}
//
//	kami.Post("/sum/:a", endpoint.JSON(svc.Sum))
//
// # Errors
//
// A body, path, query or header that does not fit the type is answered with 400, before the function is called. The client gets the
// status and the text of an error that has a method StatusCode() int from 400 to 499, as [Error] makes it. Any other error is a 500: the
// client gets "Internal Server Error", and slog.Default gets the text.
//
// # Server
//
// [JSON] is a Server for JSON; [NewServer] takes functions that decode and encode anything else. A request goes
//
//	before ──▶ decode ──▶ endpoint ──▶ after ──▶ encode ──▶ finalizer
//	   └──────────┴──────────┴────any error────────┴──▶ error handler ──▶ error encoder ──▶ finalizer
//
// The ErrorHandler of the kami.Mux answers the errors of [JSON] and [Stream], like errors of other handlers. A Server of [NewServer]
// answers its errors by its error encoder, as in go-kit.
//
// A Server is an http.Handler and a kami.ContextHandler. Many goroutines may use Servers, Clients and Endpoints at once. Options
// are set before that.
//
// # Client
//
// [JSONClient] is the other half of JSON, for the same request type. [NewClient] makes an Endpoint of a remote method. Client and server
// have the same type, so the same middleware fits both.
//
//	encode ──▶ before ──▶ HTTP ──▶ after ──▶ decode ──▶ finalizer
//
// # Middleware
//
// [Middleware] sees requests and responses. [Around] sees neither, so it fits every Endpoint: rate limits, circuit breakers and
// retries are of this type.
package endpoint

import "context"

// Endpoint is a remote method: servers implement it, clients call it.
type Endpoint[Req, Resp any] func(ctx context.Context, request Req) (Resp, error)

// Middleware makes an Endpoint of another one.
type Middleware[Req, Resp any] func(Endpoint[Req, Resp]) Endpoint[Req, Resp]

// Chain joins middleware. A request goes through them in the order of the arguments:
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
// A Server hands the error to its error encoder, instead of encoding the response.
type Failer interface {
	Failed() error
}
