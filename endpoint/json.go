package endpoint

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
)

// JSON returns a Server of the function with JSON requests and responses:
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
// Tagged fields are strings, bools, numbers, time.Durations, encoding.TextUnmarshalers or pointers to these. Fields of query and header
// may also be slices. A field gets its value only from its source: a value in the body is dropped if it fits the field, and refused if
// not. A field stays zero if the query or the header is missing. If it is empty, as in ?n=, numbers, durations and pointers stay zero
// too, and a bool, or a pointer to one, is true, as in ?flag. "on" and "off" are bools too. A type with only tagged fields needs no
// body, nor does a GET, HEAD or DELETE. A Req that is a pointer to a struct is never nil.
//
// Fields that the body lacks are zero. [JSONClient] is the other half, for the same Req.
//
// A request that does not fit is an error: 415 if there is a body whose Content-Type is missing or is not JSON (a browser sends such a
// body from another site without asking first), 413 for a body larger than [ServerMaxBody], 408 for a body that does not come in time,
// and 400 with the offset, the field or the name for everything else. The errors quote at most 100 bytes of the request.
//
// The ErrorHandler of the Mux, or kami.DefaultErrorHandler without one, answers these errors and the function's: see [Error] and
// [StatusCoder]. [ServerErrorEncoder] replaces it. If the function returns the error of a [Client] that could not send, or not read or
// decode the answer, that is a 502. If the other service has answered 400 or more, the error has that status, and below 500 the client
// gets its text: wrap the error where you do not mean that.
//
// JSON panics if Req is a type that can never be served, and says why. kami panics when the Server is registered for a route that lacks a
// param of the fields: see [ServerOuterParams].
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
