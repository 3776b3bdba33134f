package endpoint

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
)

const (
	jsonType = "application/json; charset=utf-8"
	xmlType  = "text/xml; charset=utf-8"

	// DefaultMaxBody is how many bytes of a request's body are decoded unless ServerMaxBody says otherwise: 1 MiB.
	DefaultMaxBody = 1 << 20

	// maxErrorBody is how many bytes of an error's answer a client reads.
	maxErrorBody = 64 << 10
)

// jsonBuffer is a buffer and an encoder into it.
type jsonBuffer struct {
	bytes.Buffer
	encoder *json.Encoder
}

// jsonBuffers are those that are not in use.
//
// optimization: bodies are read into and encoded in reused buffers, of which nobody keeps anything: decoding copies, and
// a writer must not keep what it is given (BenchmarkServer in compat/).
var jsonBuffers = sync.Pool{New: func() any {
	b := new(jsonBuffer)
	b.encoder = json.NewEncoder(&b.Buffer)
	return b
}}

// maxReused is the size above which a buffer is not reused, lest one large body be kept for ever.
const maxReused = 64 << 10

func getBuffer() *jsonBuffer { return jsonBuffers.Get().(*jsonBuffer) }

func (b *jsonBuffer) release() {
	if b.Cap() <= maxReused {
		b.Reset()
		jsonBuffers.Put(b)
	}
}

// NopRequestDecoder decodes nothing. It returns the zero Req.
func NopRequestDecoder[Req any](context.Context, *http.Request) (request Req, err error) {
	return request, nil
}

// DecodeJSONRequest decodes the request's body, of DefaultMaxBody bytes at most, as JSON. Its errors have a status: 415
// if Content-Type says something else than JSON, 413 if the body is too large, 400 if it is no JSON or does not fit Req,
// with the offset or the field.
func DecodeJSONRequest[Req any](_ context.Context, r *http.Request) (request Req, err error) {
	b := getBuffer()
	defer b.release()
	if err := readJSON(b, r, DefaultMaxBody); err != nil {
		return request, err
	}
	return request, unmarshal(b.Bytes(), &request)
}

// readJSON reads the body of a request that says that it is JSON, or does not say what it is.
func readJSON(b *jsonBuffer, r *http.Request, limit int64) error {
	if err := checkJSON(r.Header.Get("Content-Type")); err != nil {
		return err
	}
	if r.Body == nil {
		return nil
	}
	if r.ContentLength > limit {
		return tooLarge(limit)
	}
	_, err := b.ReadFrom(io.LimitReader(r.Body, limit+1))
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong): // of a limit from outside
		return tooLarge(tooLong.Limit)
	case err != nil:
		return badRequest("the body cannot be read: %w", err)
	case int64(b.Len()) > limit:
		return tooLarge(limit)
	}
	return nil
}

func tooLarge(limit int64) error {
	return coded{fmt.Errorf("the body is larger than %d bytes", limit), http.StatusRequestEntityTooLarge}
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

// unmarshal decodes all of the text, and says where it is wrong.
func unmarshal(text []byte, into any) error {
	err := json.Unmarshal(text, into)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
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
	code := http.StatusOK
	if c, ok := any(response).(StatusCoder); ok {
		code = c.StatusCode()
		if code < 200 || code > 999 {
			return fmt.Errorf("endpoint: %T says the status %d, which is not from 200 to 999", response, code)
		}
	}
	b := getBuffer()
	defer b.release()
	bodiless := code == http.StatusNoContent || code == http.StatusNotModified
	if !bodiless {
		if err := b.encoder.Encode(response); err != nil {
			return fmt.Errorf("endpoint: encoding %T: %w", response, err)
		}
	}
	header := w.Header()
	header.Set("Content-Type", jsonType)
	if h, ok := any(response).(Headerer); ok {
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
// that redirects can send it again. A request that is a [Headerer] sets its headers.
func EncodeJSONRequest[Req any](_ context.Context, r *http.Request, request Req) error {
	text, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("endpoint: encoding %T: %w", request, err)
	}
	setBody(r, jsonType, append(text, '\n'), request)
	return nil
}

// EncodeXMLRequest is EncodeJSONRequest for XML.
func EncodeXMLRequest[Req any](_ context.Context, r *http.Request, request Req) error {
	text, err := xml.Marshal(request)
	if err != nil {
		return fmt.Errorf("endpoint: encoding %T: %w", request, err)
	}
	setBody(r, xmlType, text, request)
	return nil
}

func setBody(r *http.Request, contentType string, body []byte, request any) {
	r.Header.Set("Content-Type", contentType)
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

// DecodeJSONResponse decodes the response's body as JSON. A status of 400 or more is an [Error] with that status and the
// body's text, up to 64 KiB, as its message. Any other that is not from 200 to 299 is an error too. A status that has no
// body leaves the zero Resp.
func DecodeJSONResponse[Resp any](_ context.Context, r *http.Response) (response Resp, err error) {
	switch {
	case r.StatusCode >= 400:
		text, err := io.ReadAll(io.LimitReader(r.Body, maxErrorBody))
		if err != nil {
			return response, fmt.Errorf("endpoint: reading the answer with status %d: %w", r.StatusCode, err)
		}
		return response, Error(r.StatusCode, strings.TrimSpace(string(text)))
	case r.StatusCode == http.StatusNoContent:
		return response, nil
	case r.StatusCode < 200 || r.StatusCode > 299:
		return response, fmt.Errorf("endpoint: the status %d is neither an answer nor an error", r.StatusCode)
	}
	b := getBuffer()
	defer b.release()
	if _, err := b.ReadFrom(r.Body); err != nil {
		return response, fmt.Errorf("endpoint: reading the answer: %w", err)
	}
	if err := json.Unmarshal(b.Bytes(), &response); err != nil {
		var zero Resp
		return zero, fmt.Errorf("endpoint: decoding the answer as %T: %w", response, err)
	}
	return response, nil
}
