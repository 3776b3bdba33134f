package endpoint

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"reflect"
	"strings"
)

const (
	jsonType = "application/json; charset=utf-8"
	xmlType  = "text/xml; charset=utf-8"

	// DefaultMaxBody is how many bytes of a request's body are decoded unless ServerMaxBody says otherwise: 1 MiB.
	DefaultMaxBody = 1 << 20

	// maxErrorBody is how many bytes of an error's answer a client reads.
	maxErrorBody = 64 << 10
)

// NopRequestDecoder decodes nothing. It returns the zero Req.
func NopRequestDecoder[Req any](context.Context, *http.Request) (request Req, err error) {
	return request, nil
}

// DecodeJSONRequest decodes a request as [JSON] does, tagged fields included, with a body of DefaultMaxBody bytes at most,
// which must not be missing whatever the method. If Req is a type that can never be served, it returns an error that says why.
func DecodeJSONRequest[Req any](ctx context.Context, r *http.Request) (request Req, err error) {
	b, err := knownBinding(reflect.TypeFor[Req]())
	if err != nil {
		return request, fmt.Errorf("endpoint: DecodeJSONRequest: %w", err)
	}
	if err = b.decode(ctx, r, DefaultMaxBody, false, &request); err != nil {
		var none Req
		return none, err
	}
	return request, nil
}

// readJSON reads the body of a request that says that it is JSON, or does not say what it is.
func readJSON(b *jsonBuffer, r *http.Request, limit int64) error {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	if err := checkJSON(first(r.Header, "Content-Type")); err != nil {
		return err
	}
	if limit <= 0 || limit == math.MaxInt64 {
		limit = math.MaxInt64 - 1
	}
	if r.ContentLength > limit {
		return tooLarge(limit)
	}
	b.expect(r.ContentLength)
	b.limited = io.LimitedReader{R: r.Body, N: limit + 1}
	_, err := b.ReadFrom(&b.limited)
	b.limited.R = nil
	switch {
	case err != nil:
		return explainBody(err)
	case int64(b.Len()) > limit:
		return tooLarge(limit)
	}
	return nil
}

// explainBody makes an error of one that came from reading a body: perhaps that of a limit from outside.
func explainBody(err error) error {
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		return tooLarge(tooLong.Limit)
	}
	return badRequest("the body cannot be read: %w", err)
}

func tooLarge(limit int64) error {
	return coded{fmt.Errorf("the body is larger than %d bytes", limit), http.StatusRequestEntityTooLarge}
}

// first is header.Get for a name in its canonical form.
//
// optimization: it does not look for that form (BenchmarkServer, BenchmarkPopulate in compat/).
func first(header http.Header, name string) string {
	if values := header[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// checkJSON refuses content types other than JSON. "+json" types (RFC 6839) and none are fine.
func checkJSON(contentType string) error {
	if contentType == "" || contentType == jsonType || contentType == "application/json" {
		return nil
	}
	kind, _, err := mime.ParseMediaType(contentType)
	if err == nil && (kind == "application/json" || strings.HasSuffix(kind, "+json")) {
		return nil
	}
	return coded{fmt.Errorf("Content-Type %q is not JSON", contentType), http.StatusUnsupportedMediaType}
}

// explainJSON makes a bad request's error of what is wrong with the text.
func explainJSON(text []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		return badRequest("the body is empty, and should be JSON")
	case errors.As(err, &syntax):
		return badRequest("the body is not JSON at offset %d: %w", syntax.Offset, err)
	case errors.As(err, &kind) && kind.Field != "":
		return badRequest("field %q: a JSON %s at offset %d does not fit", kind.Field, kind.Value, kind.Offset)
	case errors.As(err, &kind):
		return badRequest("a JSON %s at offset %d does not fit", kind.Value, kind.Offset)
	}
	return badRequest("the body does not fit: %w", err)
}

// EncodeJSONResponse writes the response as JSON. A response that is a [Headerer] adds its headers, one that is a
// [StatusCoder] says the status, 200 otherwise. Statuses that have no body get none. If the response cannot be encoded,
// nothing has been written.
func EncodeJSONResponse[Resp any](_ context.Context, w http.ResponseWriter, response Resp) error {
	code, value := http.StatusOK, any(response)
	if c, ok := value.(StatusCoder); ok {
		code = c.StatusCode()
		if code < 200 || code > 999 {
			return fmt.Errorf("endpoint: %T says the status %d, which is not from 200 to 999", response, code)
		}
	}
	b := getBuffer()
	defer b.release()
	bodiless := code == http.StatusNoContent || code == http.StatusResetContent || code == http.StatusNotModified
	if !bodiless {
		if err := b.encoder.Encode(value); err != nil {
			return fmt.Errorf("endpoint: encoding %T: %w", response, err)
		}
	}
	header := w.Header()
	header["Content-Type"] = []string{jsonType}
	if h, ok := value.(Headerer); ok {
		addHeaders(header, h)
	}
	w.WriteHeader(code)
	if bodiless {
		return nil
	}
	_, err := w.Write(b.Bytes())
	return err
}

// EncodeJSONRequest makes JSON of the request, and that the body. It sets Content-Type, Content-Length, and GetBody, so
// that redirects can send it again. A request that is a [Headerer] sets its headers, of each the first value. Fields with tags of path, query and
// header are for the body here like any others: an EncodeRequestFunc of your own puts them where they belong.
func EncodeJSONRequest[Req any](_ context.Context, r *http.Request, request Req) error {
	value := any(request)
	b := getBuffer()
	defer b.release()
	if err := b.encoder.Encode(value); err != nil {
		return fmt.Errorf("endpoint: encoding %T: %w", request, err)
	}
	setBody(r, jsonType, bytes.Clone(b.Bytes()), value)
	return nil
}

// EncodeXMLRequest is EncodeJSONRequest for XML.
func EncodeXMLRequest[Req any](_ context.Context, r *http.Request, request Req) error {
	value := any(request)
	text, err := xml.Marshal(value)
	if err != nil {
		return fmt.Errorf("endpoint: encoding %T: %w", request, err)
	}
	setBody(r, xmlType, text, value)
	return nil
}

func setBody(r *http.Request, contentType string, body []byte, request any) {
	r.Header["Content-Type"] = []string{contentType}
	if h, ok := request.(Headerer); ok {
		for name, values := range h.Headers() {
			if len(values) > 0 {
				r.Header.Set(name, values[0])
			}
		}
	}
	r.ContentLength = int64(len(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body, _ = r.GetBody()
}

// DecodeJSONResponse decodes the response's body as JSON, whatever its size: limit r.Body by [ClientAfter] where the server
// is not trusted. A status of 400 or more is an [Error] with that status and the body's text, up to 64 KiB and without space
// around it, as its message. Any other that is not from 200 to 299 is an error too. The answer to HEAD, 204 and 205 leave
// the zero Resp.
func DecodeJSONResponse[Resp any](_ context.Context, r *http.Response) (response Resp, err error) {
	switch {
	case r.StatusCode >= 400:
		text, err := io.ReadAll(io.LimitReader(r.Body, maxErrorBody))
		if err != nil {
			return response, fmt.Errorf("endpoint: reading the answer with status %d: %w", r.StatusCode, err)
		}
		return response, Error(r.StatusCode, strings.TrimSpace(string(text)))
	case r.StatusCode == http.StatusNoContent, r.StatusCode == http.StatusResetContent, r.Request != nil && r.Request.Method == http.MethodHead:
		return response, nil
	case r.StatusCode < 200 || r.StatusCode > 299:
		return response, fmt.Errorf("endpoint: the status %d is neither an answer nor an error", r.StatusCode)
	}
	b := bodyBuffer(keepsItsText(reflect.TypeFor[Resp]()))
	defer b.release()
	b.expect(r.ContentLength)
	if _, err := b.ReadFrom(r.Body); err != nil {
		return response, fmt.Errorf("endpoint: reading the answer: %w", err)
	}
	if err := b.decode(&response); err != nil {
		var zero Resp
		return zero, fmt.Errorf("endpoint: decoding the answer as %T: %w", response, err)
	}
	return response, nil
}
