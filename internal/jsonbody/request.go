package jsonbody

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/guregu/kami/internal/incoming"
)

// ReadRequest reads the body of a request, of at most so many bytes, of any number if that is zero or less. An error says the status:
// 413 if there are more, 408 if they do not come in time, 499 if the client has left, 400 otherwise.
func (b *Buffer) ReadRequest(r *http.Request, limit int64) error {
	if limit > 0 && r.ContentLength > limit {
		return tooLarge(limit, nil)
	}
	tooLong, err := b.ReadUpTo(r.Body, limit)
	switch {
	case err != nil:
		return explainBody(r, err)
	case tooLong:
		return tooLarge(limit, nil)
	}
	return nil
}

// explainBody makes an error with a status of an error of reading a body, which may come from a limit around the body or from the
// connection.
func explainBody(r *http.Request, err error) error {
	var tooLong *http.MaxBytesError
	var timeout interface{ Timeout() bool }
	var operation *net.OpError
	switch {
	case errors.As(err, &tooLong):
		return tooLarge(tooLong.Limit, err)
	case errors.As(err, &timeout) && timeout.Timeout():
		return incoming.TooLate(err)
	case errors.As(err, &operation), incoming.Gone(r.Context()):
		return incoming.Left(err)
	case errors.Is(err, io.ErrUnexpectedEOF): // for example, the client has closed its connection
		return &incoming.Fault{Code: incoming.StatusClientGone, Text: "the body is not complete", Cause: err}
	}
	return badRequest("the body cannot be read: %w", Briefly(err, MaxQuoted+1))
}

func tooLarge(limit int64, cause error) error {
	text := fmt.Sprintf("the body is larger than %d bytes", limit)
	return &incoming.Fault{Code: http.StatusRequestEntityTooLarge, Text: text, Cause: cause}
}

func badRequest(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &incoming.Fault{Code: http.StatusBadRequest, Text: err.Error(), Cause: err}
}

// Type is the Content-Type of JSON that kami writes.
const Type = "application/json; charset=utf-8"

// IsJSON reports whether a content type is JSON, or a "+json" type (RFC 6839). Parameters do not count.
//
// optimization: mime.ParseMediaType allocates for each parameter, and a client may send many
// (endpoint's BenchmarkHostileRequests).
func IsJSON(contentType string) bool {
	if contentType == Type {
		return true
	}
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.TrimSpace(kind)
	const suffix = "+json"
	return strings.EqualFold(kind, "application/json") || len(kind) > len(suffix) && strings.EqualFold(kind[len(kind)-len(suffix):], suffix)
}

// Explain makes the error of a bad request of an error about its text.
func Explain(text []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		return badRequest("the body is empty, and should be JSON")
	case errors.As(err, &syntax):
		return badRequest("the body is not JSON at offset %d: %w", syntax.Offset, Briefly(err, len(text)))
	case errors.As(err, &kind) && kind.Field != "":
		return badRequest("field %q: a JSON %s at offset %d does not fit", Excerpt(kind.Field), Excerpt(kind.Value), kind.Offset)
	case errors.As(err, &kind):
		return badRequest("a JSON %s at offset %d does not fit", Excerpt(kind.Value), kind.Offset)
	}
	return badRequest("the body does not fit: %w", Briefly(err, len(text)))
}

// First is header.Get for a name in its canonical form.
//
// optimization: it does not look for that form (BenchmarkServer, BenchmarkPopulate in compat/).
func First(header http.Header, name string) string {
	if values := header[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}
