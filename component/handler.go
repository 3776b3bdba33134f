package component

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/internal/batch"
	"github.com/guregu/kami/internal/incoming"
	"github.com/guregu/kami/internal/jsonbody"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/mutil"
)

// handler calls a method. It is a kami.ContextHandler and an http.Handler.
type handler struct {
	function    reflect.Value
	method      Method
	fails       bool // the last result is an error
	keeps       bool // the request type may keep the text that it was decoded from
	codecs      codecs
	pattern     string
	gate        *gate
	unavailable error

	batch *batch.Batch // that it is being registered in
}

// HandlerName returns the name that kami shows.
func (h *handler) HandlerName() string { return h.method.Name }

// Batch is for batch.Member.
func (h *handler) Batch() *batch.Batch { return h.batch }

// ServeHTTP serves a request.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.ServeHTTPContext(r.Context(), w, r)
}

// ServeHTTPContext serves a request with ctx.
func (h *handler) ServeHTTPContext(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	if !h.gate.enter() {
		kami.HandleError(ctx, w, r, h.unavailable)
		return
	}
	defer h.gate.leave()
	c := &call{ctx: ctx}
	proxy := c.place.Wrap(w) // so that HandleError knows whether the response has begun
	if err := h.serve(c, proxy, r); err != nil {
		kami.HandleError(ctx, proxy, r, err)
	}
}

// call is a call of a method.
//
// optimization: it is one allocation (TestK06Allocations).
type call struct {
	ctx   context.Context
	args  [2]reflect.Value
	place mutil.Place
}

func (h *handler) serve(c *call, w http.ResponseWriter, r *http.Request) error {
	codec := h.codecs.of(r)
	args := append(c.args[:0], reflect.ValueOf(&c.ctx).Elem())
	if h.method.Request != nil {
		request, err := h.decode(codec, r)
		if err != nil {
			return err
		}
		args = append(args, request)
	}
	results := h.function.Call(args)
	if h.fails {
		if last := results[len(results)-1]; !last.IsNil() {
			return last.Interface().(error)
		}
	}
	if h.method.Response == nil {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if codec == nil { // the body was not decoded
		codec = h.codecs[0]
	}
	return h.answer(c.ctx, w, codec, results[0])
}

// decode decodes the body into the method's parameter. The codec is nil if there is none for the body's type.
func (h *handler) decode(codec message.Codec, r *http.Request) (reflect.Value, error) {
	hasBody := r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0
	if h.method.Request == bytesType {
		b := jsonbody.For(true)
		if hasBody {
			if err := b.ReadRequest(r, endpoint.DefaultMaxBody); err != nil {
				return reflect.Value{}, err
			}
		}
		return reflect.ValueOf(slices.Clip(b.Bytes())), nil
	}
	request := reflect.New(h.method.Request.Elem())
	if !hasBody {
		return request, nil
	}
	if codec == nil || jsonbody.First(r.Header, "Content-Type") == "" && foreign.Check(r) != nil {
		return request, h.unsupported(r)
	}
	b := jsonbody.For(h.keeps || codec != message.JSON)
	defer b.Release()
	if err := b.ReadRequest(r, endpoint.DefaultMaxBody); err != nil || b.Len() == 0 {
		return request, err
	}
	return request, decode(codec, b, request.Interface())
}

// decode decodes the buffer into the value that the pointer points to.
func decode(codec message.Codec, b *jsonbody.Buffer, into any) error {
	if codec == message.JSON {
		if err := b.Decode(into, false); err != nil {
			return jsonbody.Explain(b.Bytes(), err)
		}
		return nil
	}
	if err := codec.Unmarshal(b.Bytes(), into); err != nil {
		text := fmt.Sprintf("the body is not %s: %v", mediaType(codec.ContentType()), jsonbody.Briefly(err, b.Len()))
		return &incoming.Fault{Code: http.StatusBadRequest, Text: text, Cause: err}
	}
	return nil
}

// foreign finds requests from pages of other origins. Before JSON a browser asks the server first. It does not ask before a body without a
// Content-Type, which it sends with the user's cookies.
var foreign http.CrossOriginProtection

// unsupported is the error of a request whose type has no codec.
func (h *handler) unsupported(r *http.Request) error {
	known := mediaType(h.codecs[0].ContentType())
	for _, c := range h.codecs[1:] {
		known += ", " + mediaType(c.ContentType())
	}
	text := "the body has no Content-Type, which a page of another origin must send: " + known
	if contentType := jsonbody.First(r.Header, "Content-Type"); contentType != "" {
		text = fmt.Sprintf("Content-Type %q is none of: %s", jsonbody.Excerpt(contentType), known)
	}
	return endpoint.Error(http.StatusUnsupportedMediaType, text)
}

// answer writes the method's results.
func (h *handler) answer(ctx context.Context, w http.ResponseWriter, codec message.Codec, response reflect.Value) (err error) {
	var body []byte
	if h.method.Response == bytesType {
		body = response.Bytes()
	} else if codec == message.JSON {
		return endpoint.EncodeJSONResponse(ctx, w, response.Interface())
	} else if body, err = codec.Marshal(response.Interface()); err != nil {
		return fmt.Errorf("component: encoding %s as %s: %w", h.method.Response, codec.ContentType(), err)
	}
	contentType := codec.ContentType()
	if codec == message.JSON {
		contentType = jsonbody.Type
	}
	w.Header()["Content-Type"] = []string{contentType}
	w.WriteHeader(http.StatusOK)
	_, err = w.Write(body)
	return err
}
