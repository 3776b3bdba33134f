package endpoint

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
)

// JSON returns a Server of the function, whose requests and responses are JSON:
//
//	kami.Post("/users/:id/notes", endpoint.JSON(svc.AddNote))
//
//	type addNote struct {
//		User int64  `path:"id"`        // a param of the route: of kami's, or a path value of net/http's
//		Sync bool   `query:"sync"`     // a value of the query
//		Key  string `header:"Api-Key"` // a header
//		Text string `json:"text"`      // all other fields come from the body
//	}
//
// Tagged fields are strings, bools, numbers, time.Durations, encoding.TextUnmarshalers or pointers to these; those of
// query and header may be slices. They come from their source alone: what the body says of them is dropped if it fits, and
// refused if not. They stay zero if the query or the header is missing; numbers, durations and pointers also if it is empty,
// as in ?n=, while a bool, or a pointer to one, is true then, as in ?flag. On and off are bools too. A type that has only
// such fields needs no body, nor does a GET, HEAD or DELETE. A Req that is a pointer to a struct is never nil.
//
// Fields that the body lacks are zero. [JSONClient] is the other half, for the same Req.
//
// What does not fit is answered as an error of its own: 415 if Content-Type does not say that a body is JSON, or is missing
// (a browser sends such a body from another site without asking first), 413 for a body larger than [ServerMaxBody], 408 for
// one that does not come in time, 400 with the offset, the field or the name for all else. They quote at most 100 bytes of
// what the client has sent.
//
// Errors, of the function as well, are answered by the ErrorHandler of the Mux that serves the request, and by
// kami.DefaultErrorHandler without one, unless [ServerErrorEncoder] says otherwise: see [Error], [StatusCoder]. If a
// [Client] cannot send, or cannot read or decode the answer, its error is a 502. If the other service answers 400 or more, the
// error has that status, and below 500 the client gets its text: wrap it if that is not meant.
//
// It panics if Req is a type that can never be served, and says why. So does kami when it is registered for a route that
// lacks a param of the fields: see [ServerOuterParams].
func JSON[Req, Resp any](fn func(context.Context, Req) (Resp, error), opts ...ServerOption) *Server[Req, Resp] {
	if fn == nil {
		panic("endpoint: JSON: the function must not be nil")
	}
	s := newServer(Endpoint[Req, Resp](fn), opts)
	s.decodeJSON("JSON")
	s.encode = func(ctx context.Context, w http.ResponseWriter, _ *http.Request, response Resp) error {
		return EncodeJSONResponse(ctx, w, response)
	}
	return s
}

// decodeJSON has the Server decode body, path, query and header into a Req.
func (s *Server[Req, Resp]) decodeJSON(who string) {
	b, err := knownBinding(reflect.TypeFor[Req]())
	if err != nil {
		panic(fmt.Sprintf("endpoint: %s: %v", who, err))
	}
	s.binding = b
	s.decode = func(ctx context.Context, r *http.Request, into *Req) error {
		return b.decode(ctx, r, bodyRules{max: s.maxBody, optional: needsNoBody(r.Method), strict: s.strict}, into)
	}
}

// needsNoBody reports whether requests of the method need no body, whatever their type.
func needsNoBody(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodDelete
}
