package endpoint

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"

	"github.com/guregu/kami/internal/jsonbody"
)

const (
	jsonType = jsonbody.Type
	xmlType  = "text/xml; charset=utf-8"

	// DefaultMaxBody is how many bytes of a request's body are decoded by default: 1 MiB. See ServerMaxBody.
	DefaultMaxBody = 1 << 20

	// DefaultMaxAnswer is how many bytes of an answer DecodeJSONResponse decodes by default: 10 MiB. See ClientMaxAnswer.
	DefaultMaxAnswer = 10 << 20

	// maxErrorText is how many bytes of an answer become the text of an error.
	maxErrorText = 64 << 10
	// maxDrained is how many bytes of an answer without a response are read, so that its connection can be used again.
	maxDrained = 256 << 10
)

// NopRequestDecoder decodes nothing. It returns the zero Req.
func NopRequestDecoder[Req any](context.Context, *http.Request) (request Req, err error) {
	return request, nil
}

// DecodeJSONRequest decodes a request as [JSON] does, tagged fields included, with a body of DefaultMaxBody bytes at most.
// Unless all fields are tagged there must be a body, whatever the method. If Req is a type that can never be served, it returns an
// error that says why.
func DecodeJSONRequest[Req any](ctx context.Context, r *http.Request) (request Req, err error) {
	b, err := knownBinding(reflect.TypeFor[Req]())
	if err != nil {
		return request, fmt.Errorf("endpoint: DecodeJSONRequest: %w", err)
	}
	if err = b.decode(ctx, r, bodyRules{max: DefaultMaxBody}, &request); err != nil {
		var none Req
		return none, err
	}
	return request, nil
}

// readJSON reads the body of a request, which must say that it is JSON.
func readJSON(b *jsonbody.Buffer, r *http.Request, limit int64) error {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	contentType := jsonbody.First(r.Header, "Content-Type")
	if contentType != "" && !jsonbody.IsJSON(contentType) {
		return coded{fmt.Errorf("Content-Type %q is not JSON", jsonbody.Excerpt(contentType)), http.StatusUnsupportedMediaType}
	}
	if err := b.ReadRequest(r, limit); err != nil {
		return err
	}
	if contentType == "" && b.Len() > 0 {
		return coded{errors.New("the body has no Content-Type, which should say that it is JSON"), http.StatusUnsupportedMediaType}
	}
	return nil
}

// EncodeJSONResponse writes the response as JSON. A response that is a [Headerer] adds its headers. A response that is a [StatusCoder]
// sets the status, which is 200 by default. Statuses without a body get none, and no Content-Type. A nil pointer is written as null,
// and its methods are not called. If the response cannot be encoded, nothing is written.
func EncodeJSONResponse[Resp any](_ context.Context, w http.ResponseWriter, response Resp) error {
	code, value := http.StatusOK, any(response)
	methods := methodsOf(value)
	if c, ok := methods.(StatusCoder); ok {
		code = c.StatusCode()
		if code < 200 || code > 999 {
			return fmt.Errorf("endpoint: %T says the status %d, which is not from 200 to 999", response, code)
		}
	}
	b := jsonbody.Get()
	defer b.Release()
	bodiless := code == http.StatusNoContent || code == http.StatusResetContent || code == http.StatusNotModified
	if !bodiless {
		if err := b.Encoder.Encode(value); err != nil {
			return fmt.Errorf("endpoint: encoding %T: %w", response, err)
		}
	}
	header := w.Header()
	if bodiless {
		header.Del("Content-Type")
	} else {
		header["Content-Type"] = []string{jsonType}
	}
	if h, ok := methods.(Headerer); ok {
		addHeaders(header, h)
	}
	w.WriteHeader(code)
	if bodiless {
		return nil
	}
	_, err := w.Write(b.Bytes())
	return err
}

// EncodeJSONRequest encodes the request as a JSON body. It sets Content-Type, Content-Length, and GetBody, so that redirects can send the
// body again. A request that is a [Headerer] sets its headers, each to the first value. Fields with tags of path, query and header go
// into the body too: use [JSONClient] to put them where they belong.
func EncodeJSONRequest[Req any](_ context.Context, r *http.Request, request Req) error {
	value := any(request)
	b := jsonbody.Get()
	defer b.Release()
	if err := b.Encoder.Encode(value); err != nil {
		return fmt.Errorf("endpoint: encoding %T: %w", request, err)
	}
	setBody(r, jsonType, bytes.Clone(b.Bytes()))
	setHeaders(r, value)
	return nil
}

// EncodeXMLRequest is EncodeJSONRequest for XML.
func EncodeXMLRequest[Req any](_ context.Context, r *http.Request, request Req) error {
	value := any(request)
	text, err := xml.Marshal(value)
	if err != nil {
		return fmt.Errorf("endpoint: encoding %T: %w", request, err)
	}
	setBody(r, xmlType, text)
	setHeaders(r, value)
	return nil
}

func setBody(r *http.Request, contentType string, body []byte) {
	r.Header["Content-Type"] = []string{contentType}
	r.ContentLength = int64(len(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body, _ = r.GetBody()
}

// setHeaders sets the headers that a request has.
func setHeaders(r *http.Request, request any) {
	if h, ok := methodsOf(request).(Headerer); ok {
		for name, values := range h.Headers() {
			if len(values) > 0 {
				r.Header.Set(name, values[0])
			}
		}
	}
}

// maxAnswerKey is the key of ClientMaxAnswer's value, an int64, in the context of a call.
type maxAnswerKey struct{}

// DecodeJSONResponse decodes the response's body as JSON, at most DefaultMaxAnswer bytes or as many as [ClientMaxAnswer] says. For a
// status of 400 or more it returns an [Error] with that status and the body's text, up to 64 KiB and without space around it. Every
// other status that is not from 200 to 299 is an error too. An answer to HEAD, and the statuses 204 and 205, give the zero Resp.
func DecodeJSONResponse[Resp any](ctx context.Context, r *http.Response) (response Resp, err error) {
	switch {
	case r.StatusCode >= 400:
		text, err := io.ReadAll(io.LimitReader(r.Body, maxErrorText))
		if err != nil {
			return response, fmt.Errorf("endpoint: reading the answer with status %d: %w", r.StatusCode, err)
		}
		drain(r.Body, maxDrained-maxErrorText)
		return response, Error(r.StatusCode, strings.TrimSpace(string(text)))
	case r.StatusCode == http.StatusNoContent, r.StatusCode == http.StatusResetContent, r.Request != nil && r.Request.Method == http.MethodHead:
		return response, nil
	case r.StatusCode < 200 || r.StatusCode > 299:
		if r.StatusCode >= 300 { // the body of a 101 has no end
			drain(r.Body, maxDrained)
		}
		return response, fmt.Errorf("endpoint: the status %d is neither an answer nor an error", r.StatusCode)
	}
	limit, ok := ctx.Value(maxAnswerKey{}).(int64)
	if !ok {
		limit = DefaultMaxAnswer
	}
	b := jsonbody.For(jsonbody.KeepsText(reflect.TypeFor[Resp]()))
	defer b.Release()
	tooLong, err := b.ReadUpTo(r.Body, limit)
	switch {
	case err != nil:
		return response, fmt.Errorf("endpoint: reading the answer: %w", err)
	case tooLong:
		return response, fmt.Errorf("endpoint: the answer is larger than %d bytes", limit)
	}
	if err := b.Decode(&response, false); err != nil {
		var zero Resp
		return zero, fmt.Errorf("endpoint: decoding the answer as %T: %w", response, err)
	}
	return response, nil
}

// drain reads the rest of a body if it is not longer than the limit: then the connection can be used again.
func drain(body io.Reader, limit int64) { _, _ = io.CopyN(io.Discard, body, limit+1) }
