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
// query and header may be slices. They come from their source alone, whatever the body says, and stay zero if the query
// or the header is missing. A type that has only such fields needs no body, nor does a GET, HEAD or DELETE.
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
	b, err := bindingOf(reflect.TypeFor[Req]())
	if err != nil {
		panic(fmt.Sprintf("endpoint: %s: %v", who, err))
	}
	return func(ctx context.Context, r *http.Request) (request Req, err error) {
		if b.body {
			if err := decodeBody(r, maxBody, &request); err != nil {
				return request, err
			}
		}
		return request, b.bind(ctx, reflect.ValueOf(&request), r)
	}
}

// decodeBody decodes the body. Where the method gives none a meaning it may be missing.
func decodeBody(r *http.Request, maxBody int64, into any) error {
	b := getBuffer()
	defer b.release()
	if err := readJSON(b, r, maxBody); err != nil {
		return err
	}
	if b.Len() == 0 && (r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodDelete) {
		return nil
	}
	return unmarshal(b.Bytes(), into)
}
