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
// refused if not. They stay zero if the query or the header is missing. A type that has only such fields needs no body,
// nor does a GET, HEAD or DELETE. A Req that is a pointer to a struct is never nil.
//
// Fields that the body lacks are zero. A Client has to put tagged fields where they belong itself, in its
// EncodeRequestFunc.
//
// What does not fit is answered as an error of its own: 415 if Content-Type says something else than JSON, 413 for a body
// larger than [ServerMaxBody], 400 with the offset, the field or the name for all else. Errors of the function are for
// [DefaultErrorEncoder]: see [Error], [StatusCoder].
//
// It panics if Req is a type that can never be served, and says why.
func JSON[Req, Resp any](fn func(context.Context, Req) (Resp, error), opts ...ServerOption) *Server[Req, Resp] {
	if fn == nil {
		panic("endpoint: JSON: the function must not be nil")
	}
	s := newServer(Endpoint[Req, Resp](fn), opts)
	s.decode = decoderOf[Req]("JSON", s.maxBody)
	s.encode = func(ctx context.Context, w http.ResponseWriter, _ *http.Request, response Resp) error {
		return EncodeJSONResponse(ctx, w, response)
	}
	return s
}

// decoderOf returns what decodes body, path, query and header into a Req.
func decoderOf[Req any](who string, maxBody int64) DecodeRequestFunc[Req] {
	b, err := knownBinding(reflect.TypeFor[Req]())
	if err != nil {
		panic(fmt.Sprintf("endpoint: %s: %v", who, err))
	}
	return func(ctx context.Context, r *http.Request) (request Req, err error) {
		optional := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodDelete
		err = b.decode(ctx, r, maxBody, optional, &request)
		return request, err
	}
}
