package endpoint

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"sync"

	"github.com/guregu/kami"
	"github.com/guregu/kami/internal/half"
	"github.com/guregu/kami/internal/incoming"
	"github.com/guregu/kami/mutil"
)

// Server serves an Endpoint over HTTP. It is an http.Handler and a kami.ContextHandler.
type Server[Req, Resp any] struct {
	endpoint Endpoint[Req, Resp]
	decode   func(ctx context.Context, r *http.Request, into *Req) error
	encode   func(context.Context, http.ResponseWriter, *http.Request, Resp) error
	function any // the Endpoint's, with nothing around it
	name     func() string
	response reflect.Type
	binding  *binding // of the request, if that is known
	fails    bool     // the response may be a Failer
	attends  bool     // the context also ends when the client has gone or the response has ended
	serverOptions
}

// serverOptions are the options that ServerOptions set.
type serverOptions struct {
	before       []RequestFunc
	after        []ServerResponseFunc
	finalizer    []ServerFinalizerFunc
	errorEncoder ErrorEncoder
	errorHandler ErrorHandler
	around       []Around
	maxBody      int64
	strict       bool
	outerParams  []string
}

// ServerOption is an option of a Server. It is not generic, so one list of options fits all Servers.
type ServerOption func(*serverOptions)

// ServerFinalizerFunc runs when the response has been written, with its status. That is 500 if the Endpoint has panicked before the
// response began, and the status sent if the response was aborted. It is for logs. The context has the response's headers and size, see
// the keys ContextKeyResponse…; for HEAD the size of the body that was written and not sent.
type ServerFinalizerFunc func(ctx context.Context, code int, r *http.Request)

// ServerBefore adds functions that run before the request is decoded.
func ServerBefore(before ...RequestFunc) ServerOption {
	return func(o *serverOptions) { o.before = append(o.before, before...) }
}

// ServerAfter adds functions that run after the Endpoint has returned without an error, before anything is written.
func ServerAfter(after ...ServerResponseFunc) ServerOption {
	return func(o *serverOptions) { o.after = append(o.after, after...) }
}

// ServerErrorEncoder sets the function that answers errors, unless the response has begun. Nil means the default: [DefaultErrorEncoder]
// for [NewServer], and kami.HandleError for [JSON] and [Stream], which calls the ErrorHandler of their Mux.
func ServerErrorEncoder(ee ErrorEncoder) ServerOption {
	return func(o *serverOptions) { o.errorEncoder = ee }
}

// ServerErrorHandler sets the ErrorHandler that gets all errors before they are answered. There is none by default. See [LogErrors].
func ServerErrorHandler(handler ErrorHandler) ServerOption {
	return func(o *serverOptions) { o.errorHandler = handler }
}

// ServerFinalizer adds functions that run at the end of every request.
func ServerFinalizer(f ...ServerFinalizerFunc) ServerOption {
	return func(o *serverOptions) { o.finalizer = append(o.finalizer, f...) }
}

// ServerAround puts these around the Endpoint, the first as the outermost, as [Endpoint.With] does. They run once the request has been
// decoded. Of a [Stream] they are around the function, not around the sequence that it returns.
func ServerAround(around ...Around) ServerOption {
	return func(o *serverOptions) { o.around = append(o.around, around...) }
}

// ServerMaxBody sets how many bytes a request's body may have for [JSON] and [Stream], DefaultMaxBody by default.
// Zero or less means no limit.
func ServerMaxBody(bytes int64) ServerOption {
	return func(o *serverOptions) { o.maxBody = bytes }
}

// ServerDisallowUnknownFields has [JSON] and [Stream] refuse a body with fields that the request type does not have.
func ServerDisallowUnknownFields() ServerOption {
	return func(o *serverOptions) { o.strict = true }
}

// ServerOuterParams names params of fields with the tag path that the route itself does not have, because an outer Mux, a scope with
// params or middleware has them. Without this option such a route cannot be registered.
func ServerOuterParams(names ...string) ServerOption {
	return func(o *serverOptions) { o.outerParams = append(o.outerParams, names...) }
}

// NewServer returns a Server of the Endpoint, which decodes requests with dec and encodes responses with enc. By default
// [DefaultErrorEncoder] answers its errors, with their texts. It panics if one of the functions is nil.
func NewServer[Req, Resp any](e Endpoint[Req, Resp], dec DecodeRequestFunc[Req], enc EncodeResponseFunc[Resp], opts ...ServerOption) *Server[Req, Resp] {
	if e == nil || dec == nil || enc == nil {
		panic("endpoint: NewServer: the endpoint, the decoder and the encoder must not be nil")
	}
	s := newServer(e, opts)
	if s.errorEncoder == nil {
		s.errorEncoder = DefaultErrorEncoder
	}
	s.decode = func(ctx context.Context, r *http.Request, into *Req) (err error) {
		*into, err = dec(ctx, r)
		return err
	}
	s.encode = func(ctx context.Context, w http.ResponseWriter, _ *http.Request, response Resp) error {
		return enc(ctx, w, response)
	}
	return s
}

// newServer returns a Server that neither decodes nor encodes.
func newServer[Req, Resp any](e Endpoint[Req, Resp], opts []ServerOption) *Server[Req, Resp] {
	t := reflect.TypeFor[Resp]()
	s := &Server[Req, Resp]{endpoint: e, function: e, response: t}
	s.name = sync.OnceValue(s.makeName) // optimization: access logs ask for it at each request (BenchmarkHandlerName)
	s.fails = t.Kind() == reflect.Interface || t.Implements(reflect.TypeFor[Failer]())
	s.maxBody = DefaultMaxBody
	refuseNil("NewServer: options", opts)
	for _, o := range opts {
		o(&s.serverOptions)
	}
	if s.errorHandler != nil {
		refuseNilValue("ServerErrorHandler", s.errorHandler)
	}
	refuseNil("ServerBefore", s.before)
	refuseNil("ServerAfter", s.after)
	refuseNil("ServerFinalizer", s.finalizer)
	refuseNil("ServerAround", s.around)
	s.endpoint = s.endpoint.With(s.around...)
	return s
}

// Types returns the types of the Endpoint's requests and responses, or of a [Stream]'s items. With the routes of a mux, they are enough to
// describe a service.
func (s *Server[Req, Resp]) Types() (request, response reflect.Type) {
	return reflect.TypeFor[Req](), s.response
}

// CheckRoute returns an error if a field with the tag path has no param, neither among these of the route nor in [ServerOuterParams].
// kami calls it when the Server is registered, and panics with the error. A Server of [NewServer] does not know its fields.
func (s *Server[Req, Resp]) CheckRoute(params []string) error {
	if s.binding == nil {
		return nil
	}
	for _, f := range s.binding.fields {
		if f.source == "path" && !slices.Contains(params, f.name) && !slices.Contains(s.outerParams, f.name) {
			return fmt.Errorf("%s has the tag path:%q, but the route's params are %q; name one of an outer Mux, a scope or "+
				"middleware by endpoint.ServerOuterParams", f.label, f.name, params)
		}
	}
	return nil
}

// ServeHTTP serves a request.
func (s *Server[Req, Resp]) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.ServeHTTPContext(r.Context(), w, r)
}

// serving is a request while it is served.
//
// optimization: decoders and writers get pointers into it, so all is one allocation (TestAllocations, BenchmarkServer in compat/).
type serving[Req any] struct {
	request Req
	writer  mutil.Place
}

// ServeHTTPContext serves a request with ctx instead of its own context.
//
// If encoding fails or panics in the middle of the response, it is too late to answer an error. Then the connection is aborted, as by
// http.ErrAbortHandler, so that the client does not take half a response for a whole one. It is not aborted if the response has all of
// its Content-Length, or if encoding returns an error and the status is 400 or more.
func (s *Server[Req, Resp]) ServeHTTPContext(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	if s.attends {
		var end func()
		ctx, end = attend(ctx, r)
		defer end()
	}
	own := new(serving[Req])
	proxy, panics := own.writer.Wrap(w), true
	defer func() {
		if panics && half.Is(proxy, r.Method) {
			half.Cut(proxy) // also if a PanicHandler handles the panic
		}
		if len(s.finalizer) > 0 {
			s.finalize(ctx, proxy, r, panics)
		}
	}()
	response, err := s.call(&ctx, r, &own.request)
	if err == nil {
		err = s.respond(&ctx, proxy, r, response)
	}
	if err == nil {
		panics = false
		return
	}
	s.fail(ctx, proxy, r, err)
	panics = false
}

// fail reports an error and answers it.
func (s *Server[Req, Resp]) fail(ctx context.Context, w mutil.WriterProxy, r *http.Request, err error) {
	err = incoming.Explain(r.Context(), err)
	if s.errorHandler != nil && err != errGone {
		s.errorHandler.Handle(&failed{ctx, r}, err)
	}
	if half.Misleads(w, r.Method) {
		if s.errorHandler == nil && s.errorEncoder == nil && err != errGone {
			kami.HandleError(ctx, w, r.WithContext(ctx), err) // it also logs the error
		}
		panic(http.ErrAbortHandler)
	}
	if w.Status() != 0 {
		return
	}
	if s.errorEncoder == nil {
		kami.HandleError(ctx, w, r.WithContext(ctx), err)
	} else {
		s.errorEncoder(ctx, err, w)
	}
	if w.Status() == 0 {
		w.WriteHeader(statusOf(err)) // and not an empty 200
	}
}

// call decodes the request and calls the Endpoint. It keeps the context that it has reached.
func (s *Server[Req, Resp]) call(ctx *context.Context, r *http.Request, request *Req) (response Resp, err error) {
	if *ctx, err = runBefore(*ctx, s.before, r); err != nil {
		return response, err
	}
	if err = s.decode(*ctx, r, request); err != nil {
		return response, err
	}
	return s.endpoint(*ctx, *request)
}

// respond writes the response.
func (s *Server[Req, Resp]) respond(ctx *context.Context, w http.ResponseWriter, r *http.Request, response Resp) error {
	for _, f := range s.after {
		next := f(*ctx, w)
		if next == nil {
			return errNilContext
		}
		*ctx = next
	}
	if s.fails {
		if f, ok := methodsOf(response).(Failer); ok {
			if err := f.Failed(); err != nil {
				return err
			}
		}
	}
	return s.encode(*ctx, w, r, response)
}

// finalize runs the finalizers. A response without a status is an empty 200, unless a panic goes on.
func (s *Server[Req, Resp]) finalize(ctx context.Context, w mutil.WriterProxy, r *http.Request, panics bool) {
	code := w.Status()
	switch {
	case code == 0 && panics:
		code = http.StatusInternalServerError
	case code == 0:
		code = http.StatusOK
	}
	ctx = &finished{ctx, w.Header(), int64(w.BytesWritten())}
	for _, f := range s.finalizer {
		f(ctx, code, r)
	}
}
