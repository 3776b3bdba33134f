package compat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	kithttp "github.com/go-kit/kit/transport/http"
	"github.com/guregu/kami/endpoint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// These tests send the same request through a Server of go-kit and through one of package endpoint, and compare everything that
// can be seen. Where the two differ on purpose, go-kit's service does itself what package endpoint does (see the uses of alike),
// so that the other parts of such a request are still compared. TestGoKitServerDifferences checks what each does by default. The
// differences are:
//
//   - An error's status is from 400 to 599, any other becomes 500: a 200 with an error inside looks like a success, and net/http
//     panics on an invalid status.
//   - StatusCoder, Headerer and json.Marshaler are found in wrapped errors, so that wrapping a 404 with %w does not make it a
//     500.
//   - Errors have X-Content-Type-Options: nosniff, as http.Error's do, so that no client takes their text for HTML. They do not
//     have the Content-Length that was set for the response.
//   - A Headerer's Content-Type replaces the encoder's. go-kit sends both, and clients use the first.
//   - A response is marshalled before its header is sent. If that fails, the answer is a 500, and not an empty 200.
//   - A response's status is from 200 to 999, any other is an error: a 1xx is not an answer, and net/http panics on others.
//   - 205 and 304 have no body, like 204: RFC 9110 forbids it, and net/http refuses it for 304, which go-kit answers as an
//     error. None of the three has the encoder's Content-Type.
//   - If the encoder fails or panics after it has begun to write, the connection is aborted. Otherwise a client would take the
//     error's text for a part of the response, and the incomplete response for a complete one. A HEAD has no body to abort.
//   - If an ErrorEncoder writes nothing, the answer is empty, but has the error's status.
//   - A RequestFunc that returns nil or an ended context stops the request with an error, and so does a ServerResponseFunc that
//     returns nil. go-kit passes nil on, and whatever uses it panics. With an ended context it does work for nothing.
//   - A response that is a Failer and has failed goes to the error handler and the error encoder. In go-kit each service's
//     encoder must check it, or it answers 200.
//   - If there was a panic before a status, finalizers get 500 and not 200. They get the final status, and not a 1xx before it.
//   - The size that finalizers get includes bytes written through io.ReaderFrom.
//   - Functions that are nil are refused when a server is made, and a nil ErrorEncoder means the default. In go-kit the
//     request panics.
//   - DecodeJSONRequest, which go-kit leaves to each service, refuses a body with anything other than one JSON value, and a body
//     without a Content-Type.

// stage is where a request stops.
type stage int

const (
	nowhere     stage = iota
	beforeNil         // the first RequestFunc returns nil
	beforeEnded       // it returns a context that has ended
	decoding
	serving
	afterNil    // the first response func returns nil
	failing     // the response is a Failer that has failed
	encoding    // before anything is written
	halfEncoded // after something is
	panicking
	stages int = iota
)

// The traits of errors and responses.
const (
	hasCode = 1 << iota
	hasHeaders
	hasJSON
	badJSON // it has, but it does not marshal
	isWrapped
	traits

	isFailer = hasJSON // of responses
)

type (
	coder   int
	headers http.Header
	marshal struct{ err error }
	failer  struct{ err error }
)

func (c coder) StatusCode() int                { return int(c) }
func (h headers) Headers() http.Header         { return http.Header(h) }
func (m marshal) MarshalJSON() ([]byte, error) { return []byte(`{"failed":true}`), m.err }
func (f failer) Failed() error                 { return f.err }

// failure describes an error.
type failure struct {
	traits, code int
	text         string
	headers      headers
}

// error makes the error that is described. If it is alike, both servers take the same from it.
func (f failure) error(alike bool) error {
	text, c, has := f.text, coder(f.code), f.traits
	if alike && has&isWrapped != 0 {
		text, has = "wrapped: "+text, has&^isWrapped
	}
	if alike && (c < 400 || c > 599) {
		c = 500
	}
	err, m := errors.New(text), marshal{}
	if has&badJSON != 0 {
		m.err, has = errors.New("it does not marshal"), has|hasJSON
	}
	switch has & (hasCode | hasHeaders | hasJSON) {
	case hasCode:
		err = struct {
			error
			coder
		}{err, c}
	case hasHeaders:
		err = struct {
			error
			headers
		}{err, f.headers}
	case hasCode | hasHeaders:
		err = struct {
			error
			coder
			headers
		}{err, c, f.headers}
	case hasJSON:
		err = struct {
			error
			marshal
		}{err, m}
	case hasJSON | hasCode:
		err = struct {
			error
			marshal
			coder
		}{err, m, c}
	case hasJSON | hasHeaders:
		err = struct {
			error
			marshal
			headers
		}{err, m, f.headers}
	case hasJSON | hasCode | hasHeaders:
		err = struct {
			error
			marshal
			coder
			headers
		}{err, m, c, f.headers}
	}
	if has&isWrapped != 0 {
		err = fmt.Errorf("wrapped: %w", err)
	}
	return err
}

// The ways to answer errors.
const (
	byDefault  = iota // without an option
	recorded          // by default, and noted
	byOwn             // by the service's own encoder
	errorModes int    = iota
)

// serverCase is a request, what becomes of it, and the hooks around that.
type serverCase struct {
	method, path, query, body string
	header                    http.Header

	stops                     stage
	err                       failure
	errors                    int
	traits, code              int // of the response
	headers                   headers
	text                      string
	unencodable               bool
	before, after, finalizers int
	populates, setsLength     bool
}

type (
	asked struct {
		Text string
		N    int
		List []string
	}
	value struct {
		Text string
		Bad  any `json:",omitempty"`
	}
	codedValue struct {
		value
		coder
	}
	headedValue struct {
		value
		headers
	}
	bothValue struct {
		value
		coder
		headers
	}
	failerValue struct {
		value
		failer
	}
	fullValue struct {
		value
		coder
		headers
		failer
	}
)

const nilContext = "endpoint: a function returned a nil context"

// run serves the case by either, over a way to ask a server.
func (c serverCase) run(kit, alike bool, over func(http.Handler, serverCase) answered) outcome {
	s := &service{serverCase: c}
	s.of(kit, alike)
	v := value{Text: c.text}
	if c.unencodable {
		v.Bad = make(chan int)
	}
	f := failer{}
	if c.stops == failing {
		f.err, c.traits = c.err.error(s.alike), c.traits|isFailer
	}
	var h http.Handler
	switch c.traits & (hasCode | hasHeaders | isFailer) {
	case 0:
		h = handlerOf(s, v)
	case hasCode:
		h = handlerOf(s, codedValue{v, coder(c.code)})
	case hasHeaders:
		h = handlerOf(s, headedValue{v, c.headers})
	case hasCode | hasHeaders:
		h = handlerOf(s, bothValue{v, coder(c.code), c.headers})
	case isFailer:
		h = handlerOf(s, failerValue{v, f})
	default:
		h = handlerOf(s, fullValue{v, coder(c.code), c.headers, f})
	}
	got := over(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if v := recover(); v != nil {
				s.add(fmt.Sprint("panic: ", v))
				panic(http.ErrAbortHandler)
			}
		}()
		r.Host, r.RemoteAddr = "sum.example", "192.0.2.1:1234"
		h.ServeHTTP(w, r)
	}), c)
	return outcome{got, s.take()}
}

// answered is the answer that a client sees.
type answered struct {
	code    int
	header  http.Header
	body    string
	aborted bool
}

// outcome is the answer, and the records of hooks.
type outcome struct {
	answered
	hooks []string
}

// noted is the journal of a request to one of the servers.
type noted struct {
	journal
	kit     bool
	alike   bool // go-kit shall do by itself what ours does
	keys    []any
	stopped error // what it is to return for that
}

func (n *noted) of(kit, alike bool) {
	n.kit, n.alike, n.keys = kit, kit && alike, kamiKeys
	if kit {
		n.keys = kitKeys
	}
}

// service is the service of a case. It notes what it sees.
type service struct {
	serverCase
	noted
	half bool // of the response has been written
}

// The context keys, which have the same names in go-kit and package endpoint.
var (
	kitKeys = []any{
		kithttp.ContextKeyRequestMethod, kithttp.ContextKeyRequestURI, kithttp.ContextKeyRequestPath,
		kithttp.ContextKeyRequestProto, kithttp.ContextKeyRequestHost, kithttp.ContextKeyRequestRemoteAddr,
		kithttp.ContextKeyRequestXForwardedFor, kithttp.ContextKeyRequestXForwardedProto,
		kithttp.ContextKeyRequestAuthorization, kithttp.ContextKeyRequestReferer, kithttp.ContextKeyRequestUserAgent,
		kithttp.ContextKeyRequestXRequestID, kithttp.ContextKeyRequestAccept,
		kithttp.ContextKeyResponseHeaders, kithttp.ContextKeyResponseSize,
	}
	kamiKeys = []any{
		endpoint.ContextKeyRequestMethod, endpoint.ContextKeyRequestURI, endpoint.ContextKeyRequestPath,
		endpoint.ContextKeyRequestProto, endpoint.ContextKeyRequestHost, endpoint.ContextKeyRequestRemoteAddr,
		endpoint.ContextKeyRequestXForwardedFor, endpoint.ContextKeyRequestXForwardedProto,
		endpoint.ContextKeyRequestAuthorization, endpoint.ContextKeyRequestReferer, endpoint.ContextKeyRequestUserAgent,
		endpoint.ContextKeyRequestXRequestID, endpoint.ContextKeyRequestAccept,
		endpoint.ContextKeyResponseHeaders, endpoint.ContextKeyResponseSize,
	}
)

// note notes an event, and the values in the context.
func (n *noted) note(ctx context.Context, format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	if ctx == nil {
		n.add(what + " without a context")
		return
	}
	what += fmt.Sprintf(" %v", ctx.Value(key("trail")))
	for i, k := range n.keys {
		if v := ctx.Value(k); v != nil {
			what += fmt.Sprintf(" %d=%T:%q", i, v, fmt.Sprint(v))
		}
	}
	n.add(what)
}

// trailed returns the context with one step more.
func trailed(ctx context.Context, step string) context.Context {
	if ctx == nil {
		return nil
	}
	trail, _ := ctx.Value(key("trail")).(string)
	return context.WithValue(ctx, key("trail"), trail+step)
}

// befores are the RequestFuncs.
func (s *service) befores() (funcs []func(context.Context, *http.Request) context.Context) {
	for i := range s.before {
		funcs = append(funcs, func(ctx context.Context, r *http.Request) context.Context {
			s.note(ctx, "before %d %s %s", i, r.Method, r.URL)
			switch {
			case i == 0 && s.stops == beforeNil && s.alike:
				s.stopped = errors.New(nilContext)
				return ctx
			case i == 0 && s.stops == beforeNil:
				return nil
			case i == 0 && s.stops == beforeEnded:
				ctx, cancel := context.WithCancelCause(trailed(ctx, "ended"))
				cancel(s.err.error(s.alike))
				if s.alike {
					s.stopped = context.Cause(ctx)
				}
				return ctx
			}
			return trailed(ctx, fmt.Sprint("b", i))
		})
		if s.alike && (s.stops == beforeNil || s.stops == beforeEnded) {
			break
		}
	}
	return funcs
}

func (s *service) decode(ctx context.Context, r *http.Request) (request asked, err error) {
	if s.stopped != nil {
		return request, s.stopped
	}
	s.note(ctx, "decode")
	if s.stops == decoding {
		return request, s.err.error(s.alike)
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return request, err
	}
	if s.alike || !s.kit {
		r.Body = io.NopCloser(bytes.NewReader(text))
		request, err = endpoint.DecodeJSONRequest[asked](ctx, r)
	}
	if s.kit && err == nil {
		request = asked{}
		err = json.NewDecoder(bytes.NewReader(text)).Decode(&request)
	}
	return request, err
}

func (s *service) serve(ctx context.Context, request asked) error {
	s.note(ctx, "serve %+v", request)
	switch s.stops {
	case serving:
		return s.err.error(s.alike)
	case panicking:
		panic(s.err.text)
	}
	return nil
}

// afters are the ServerResponseFuncs.
func (s *service) afters() (funcs []func(context.Context, http.ResponseWriter) context.Context) {
	for i := range s.after {
		funcs = append(funcs, func(ctx context.Context, w http.ResponseWriter) context.Context {
			s.note(ctx, "after %d", i)
			w.Header().Set(fmt.Sprint("X-After-", i), "set")
			if s.setsLength {
				w.Header().Set("Content-Length", "5")
			}
			switch {
			case i == 0 && s.stops == afterNil && s.alike:
				s.stopped = errors.New(nilContext)
				return ctx
			case i == 0 && s.stops == afterNil:
				return nil
			}
			return trailed(ctx, fmt.Sprint("a", i))
		})
		if s.alike && s.stops == afterNil {
			break
		}
	}
	return funcs
}

// encode encodes the response with go-kit's or package endpoint's encoder.
func (s *service) encode(ctx context.Context, w http.ResponseWriter, response any, by func(http.ResponseWriter) error) error {
	if s.stopped != nil {
		return s.stopped
	}
	if f, ok := response.(endpoint.Failer); ok && s.alike && f.Failed() != nil {
		return f.Failed()
	}
	s.note(ctx, "encode")
	switch s.stops {
	case encoding:
		return s.err.error(s.alike)
	case halfEncoded:
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, "half of it, ")
		s.half = true
		return s.err.error(s.alike)
	}
	if s.alike {
		w = oneType{w}
		code := http.StatusOK
		if c, ok := response.(endpoint.StatusCoder); ok {
			code = c.StatusCode()
		}
		if code < 200 || code > 999 {
			return fmt.Errorf("endpoint: %T says the status %d, which is not from 200 to 999", response, code)
		}
		noContent := code == http.StatusNoContent
		empty := code == http.StatusNotModified || code == http.StatusResetContent
		if empty || noContent {
			w = bodiless{w, headersOf(response)}
		}
		if _, err := json.Marshal(response); err != nil && !noContent && !empty {
			return fmt.Errorf("endpoint: encoding %T: %w", response, err)
		}
		if empty && s.unencodable {
			response = bothValue{coder: coder(code), headers: headersOf(response)}
			by = func(w http.ResponseWriter) error { return kithttp.EncodeJSONResponse(ctx, w, response) }
		}
	}
	return by(w)
}

func headersOf(response any) headers {
	if h, ok := response.(endpoint.Headerer); ok {
		return headers(h.Headers())
	}
	return nil
}

// oneType keeps only the last Content-Type.
type oneType struct{ http.ResponseWriter }

func (w oneType) WriteHeader(code int) {
	if types := w.Header()["Content-Type"]; len(types) > 1 {
		w.Header()["Content-Type"] = types[len(types)-1:]
	}
	w.ResponseWriter.WriteHeader(code)
}

// bodiless drops the body, and a Content-Type that is not the response's own.
type bodiless struct {
	http.ResponseWriter
	own headers
}

func (bodiless) Write(p []byte) (int, error) { return len(p), nil }

func (b bodiless) WriteHeader(code int) {
	if !hasContentType(b.own) {
		b.Header().Del("Content-Type")
	}
	b.ResponseWriter.WriteHeader(code)
}

func hasContentType(h headers) bool {
	for name, values := range h {
		if http.CanonicalHeaderKey(name) == "Content-Type" && len(values) > 0 {
			return true
		}
	}
	return false
}

func (s *service) handle(ctx context.Context, err error) { s.note(ctx, "handle %q", err) }

// encodeError encodes an error with one of the default encoders, or with the case's own.
func (s *service) encodeError(ctx context.Context, err error, w http.ResponseWriter, by endpoint.ErrorEncoder) {
	switch {
	case s.alike && s.half && s.method == http.MethodHead:
		return
	case s.alike && s.half:
		panic(http.ErrAbortHandler)
	}
	if s.errors != byDefault {
		s.note(ctx, "encode error %q", err)
	}
	if s.errors == byOwn {
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "own: %v", err)
		return
	}
	if s.alike {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Del("Content-Length")
		w = oneType{w}
	}
	by(ctx, err, w)
}

func (s *service) finalize(i int) func(context.Context, int, *http.Request) {
	return func(ctx context.Context, code int, r *http.Request) {
		if s.alike && s.stops == panicking && code == http.StatusOK {
			code = http.StatusInternalServerError
		}
		s.note(ctx, "finalize %d %d %s %s", i, code, r.Method, r.URL)
	}
}

// handlerOf returns a server of go-kit or package endpoint with the response.
func handlerOf[Resp any](s *service, response Resp) http.Handler {
	if s.kit {
		return kitHandler(s, response)
	}
	opts := []endpoint.ServerOption{}
	if s.populates {
		opts = append(opts, endpoint.ServerBefore(endpoint.PopulateRequestContext))
	}
	for _, f := range s.befores() {
		opts = append(opts, endpoint.ServerBefore(f))
	}
	for _, f := range s.afters() {
		opts = append(opts, endpoint.ServerAfter(f))
	}
	for i := range s.finalizers {
		opts = append(opts, endpoint.ServerFinalizer(s.finalize(i)))
	}
	if s.errors != byDefault {
		opts = append(opts, endpoint.ServerErrorHandler(endpoint.ErrorHandlerFunc(s.handle)),
			endpoint.ServerErrorEncoder(func(ctx context.Context, err error, w http.ResponseWriter) {
				s.encodeError(ctx, err, w, endpoint.DefaultErrorEncoder)
			}))
	}
	return endpoint.NewServer(
		func(ctx context.Context, request asked) (Resp, error) { return response, s.serve(ctx, request) },
		s.decode,
		func(ctx context.Context, w http.ResponseWriter, response Resp) error {
			return s.encode(ctx, w, response, func(w http.ResponseWriter) error {
				return endpoint.EncodeJSONResponse(ctx, w, response)
			})
		},
		opts...,
	)
}

// kitErrorHandler is a go-kit ErrorHandler.
type kitErrorHandler func(context.Context, error)

func (f kitErrorHandler) Handle(ctx context.Context, err error) { f(ctx, err) }

func kitHandler(s *service, response any) http.Handler {
	opts := []kithttp.ServerOption{}
	if s.populates {
		opts = append(opts, kithttp.ServerBefore(kithttp.PopulateRequestContext))
	}
	for _, f := range s.befores() {
		opts = append(opts, kithttp.ServerBefore(f))
	}
	for _, f := range s.afters() {
		opts = append(opts, kithttp.ServerAfter(f))
	}
	for i := range s.finalizers {
		opts = append(opts, kithttp.ServerFinalizer(s.finalize(i)))
	}
	if s.errors != byDefault {
		opts = append(opts, kithttp.ServerErrorHandler(kitErrorHandler(s.handle)))
	}
	if s.errors != byDefault || s.alike {
		opts = append(opts, kithttp.ServerErrorEncoder(func(ctx context.Context, err error, w http.ResponseWriter) {
			s.encodeError(ctx, err, w, kithttp.DefaultErrorEncoder)
		}))
	}
	return kithttp.NewServer(
		func(ctx context.Context, request any) (any, error) { return response, s.serve(ctx, request.(asked)) },
		func(ctx context.Context, r *http.Request) (any, error) { return s.decode(ctx, r) },
		func(ctx context.Context, w http.ResponseWriter, response any) error {
			return s.encode(ctx, w, response, func(w http.ResponseWriter) error {
				return kithttp.EncodeJSONResponse(ctx, w, response)
			})
		},
		opts...,
	)
}

// inProcess asks a handler without a connection.
func inProcess(h http.Handler, c serverCase) (got answered) {
	w := httptest.NewRecorder()
	u := &url.URL{Path: c.path, RawQuery: c.query}
	r := &http.Request{
		Method: c.method, URL: u, RequestURI: u.RequestURI(), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: c.header.Clone(), Body: io.NopCloser(strings.NewReader(c.body)), ContentLength: int64(len(c.body)),
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	func() {
		defer func() { got.aborted = recover() != nil }()
		h.ServeHTTP(strict{w}, r)
	}()
	got.code, got.header, got.body = w.Code, w.Result().Header, w.Body.String()
	return got
}

// strict is a recorder that refuses the same bodies as net/http's writers.
type strict struct{ *httptest.ResponseRecorder }

func (s strict) Write(p []byte) (int, error) {
	if s.Code == http.StatusNoContent || s.Code == http.StatusNotModified {
		return 0, http.ErrBodyNotAllowed
	}
	return s.ResponseRecorder.Write(p)
}

// overHTTP returns a way to ask a handler over a real connection.
func overHTTP(t *testing.T) func(http.Handler, serverCase) answered {
	return func(h http.Handler, c serverCase) (got answered) {
		server := serve(t, h)
		var headers []string
		for name, values := range c.header {
			headers = append(headers, name, values[0])
		}
		u := &url.URL{Path: c.path, RawQuery: c.query}
		response, err := server.send(c.method, u.RequestURI(), strings.NewReader(c.body), headers...)
		if err != nil {
			return answered{aborted: true}
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		response.Header.Del("Date")
		return answered{response.StatusCode, response.Header, string(body), err != nil}
	}
}

// same checks that go-kit and package endpoint do the same.
func (c serverCase) same(t *testing.T, over func(http.Handler, serverCase) answered) {
	t.Helper()
	require.Equal(t, c.run(true, true, over), c.run(false, true, over), "%+v", c)
}

const askedText = `{"Text":"sympatico","N":7,"List":["a","b"]}`

func TestGoKitServer(t *testing.T) {
	all := http.Header{
		"Content-Type": {"application/json"}, "X-Forwarded-For": {"192.0.2.7"}, "X-Forwarded-Proto": {"https"},
		"Authorization": {"Basic Og=="}, "Referer": {"https://sum.example/"}, "User-Agent": {"test"}, "X-Request-Id": {"id-1"},
		"Accept": {"application/json"},
	}
	given := headers{"X-Given": {"1", "2"}, "x-lower": {"3"}, "Content-Type": {"text/own"}}
	var stopping []serverCase
	for s := range stages {
		for has := range traits {
			stopping = append(stopping, serverCase{
				stops: stage(s), err: failure{has, 404, "no <b>such</b> sum", given},
				errors: recorded, before: 2, after: 2, finalizers: 2, populates: has%2 == 0,
			})
		}
	}
	for _, tt := range []struct {
		name  string
		cases []serverCase
	}{
		{"answers", []serverCase{
			{}, {text: "a & b"}, {before: 3, after: 3, finalizers: 3}, {traits: hasCode, code: 201}, {traits: hasHeaders, headers: given},
			{traits: hasCode | hasHeaders, code: 202, headers: given, finalizers: 1}, {traits: isFailer},
			{traits: hasCode, code: 204, finalizers: 1}, {traits: hasCode, code: 304, finalizers: 1},
			{traits: hasCode, code: 205, finalizers: 1},
			{traits: hasCode, code: 404}, {traits: hasCode, code: 100, finalizers: 1}, {traits: hasCode, code: 1000, finalizers: 1},
			{unencodable: true, finalizers: 1, traits: hasHeaders, headers: given},
		}},
		{"contexts", []serverCase{
			{method: "PATCH", path: "/search", query: "q=sympatico", header: all, populates: true, before: 1, after: 1, finalizers: 1},
			{path: "/ä/%/..//", query: "&=;", populates: true, before: 1},
		}},
		{"bodies", []serverCase{
			{body: "{"}, {body: `{"N":"7"}`}, {body: `{"N":1e99}`}, {body: "null"}, {body: "[]"}, {body: askedText + "}"},
			{body: " \n" + askedText + "\n"}, {header: http.Header{"Content-Type": {"text/plain"}}}, {body: " "}, {header: http.Header{}},
			{header: http.Header{"Content-Type": {"application/problem+json"}}}, {body: `"` + strings.Repeat("a", 1<<20) + `"`},
		}},
		{"errors", []serverCase{
			{stops: serving, err: failure{text: "x"}}, {stops: encoding, err: failure{hasCode, 429, "x", nil}, errors: byOwn},
			{stops: serving, err: failure{hasCode, 200, "x", nil}, finalizers: 1}, {stops: decoding, err: failure{hasCode, 0, "x", nil}},
			{stops: failing, err: failure{hasCode, 600, "x", nil}, errors: byOwn, finalizers: 1},
		}},
		{"stops", stopping},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, c := range tt.cases {
				if c.method == "" {
					c.method = "POST"
				}
				if c.path == "" {
					c.path = "/sum"
				}
				if c.body == "" {
					c.body = askedText
				}
				if c.header == nil {
					c.header = http.Header{"Content-Type": {"application/json"}}
				}
				c.same(t, inProcess)
				c.same(t, overHTTP(t))
			}
		})
	}
}

// Each case shows what go-kit and package endpoint do by default.
func TestGoKitServerDifferences(t *testing.T) {
	own := headers{"X-Own": {"1"}}
	for _, tt := range []struct {
		name      string
		c         serverCase
		kit, kami string
	}{
		{"nosniff", serverCase{stops: serving, err: failure{text: "x"}}, `500 "x" [] [] code 500`, `500 "x" [nosniff] [] code 500`},
		{
			"an error's status", serverCase{stops: serving, err: failure{hasCode, 200, "x", nil}},
			`200 "x" [] [] code 200`, `500 "x" [nosniff] [] code 500`,
		},
		{
			"an error's status that is none", serverCase{stops: serving, err: failure{hasCode, 0, "x", nil}},
			`200 "" [] [] code 0, panic: invalid WriteHeader code 0`, `500 "x" [nosniff] [] code 500`,
		},
		{
			"wrapped", serverCase{stops: serving, err: failure{isWrapped | hasCode | hasHeaders | hasJSON, 404, "x", own}},
			`500 "wrapped: x" [] [] code 500`, `404 "{\"failed\":true}" [nosniff] [1] code 404`,
		},
		{
			"unencodable", serverCase{unencodable: true},
			`200 "json: unsupported type: chan int" [] [] code 500`,
			`500 "endpoint: encoding compat.value: json: unsupported type: chan int" [nosniff] [] code 500`,
		},
		{
			"a response's status that is none", serverCase{traits: hasCode, code: 0}, `200 "" [] [] code 0, panic: invalid WriteHeader code 0`,
			`500 "endpoint: compat.codedValue says the status 0, which is not from 200 to 999" [nosniff] [] code 500`,
		},
		{
			"not modified", serverCase{traits: hasCode, code: 304},
			`304 "" [] [] code 500`, `304 "" [] [] code 304`,
		},
		{
			"no content", serverCase{traits: hasCode | hasHeaders, code: 204, headers: own},
			`204 "" [] [1] code 204, application/json; charset=utf-8`, `204 "" [] [1] code 204`,
		},
		{
			"no Content-Type", serverCase{header: http.Header{}}, `200 "{\"Text\":\"\"}\n" [] [] code 200`,
			`415 "the body has no Content-Type, which should say that it is JSON" [nosniff] [] code 415`,
		},
		{
			"reset content", serverCase{traits: hasCode, code: 205},
			`205 "{\"Text\":\"\"}\n" [] [] code 205`, `205 "" [] [] code 205`,
		},
		{
			"half encoded", serverCase{stops: halfEncoded, err: failure{text: "x"}},
			`202 "half of it, x" [] [] code 500`, `202 "half of it, " [] [] code 202, panic: net/http: abort Handler`,
		},
		{
			"nil from before", serverCase{stops: beforeNil, before: 1},
			`200 "{\"Text\":\"\"}\n" [] [], panic: cannot create context from nil parent`,
			`500 "` + nilContext + `" [nosniff] [] code 500`,
		},
		{
			"ended by before", serverCase{stops: beforeEnded, before: 1, err: failure{hasCode, 503, "x", nil}},
			`200 "{\"Text\":\"\"}\n" [] [] code 200`, `503 "x" [nosniff] [] code 503`,
		},
		{
			"nil from after", serverCase{stops: afterNil, after: 1},
			`200 "{\"Text\":\"\"}\n" [] [], panic: cannot create context from nil parent`,
			`500 "` + nilContext + `" [nosniff] [] code 500`,
		},
		{
			"failed", serverCase{stops: failing, err: failure{hasCode, 404, "x", nil}},
			`200 "{\"Text\":\"\"}\n" [] [] code 200`, `404 "x" [nosniff] [] code 404`,
		},
		{
			"panic", serverCase{stops: panicking, err: failure{text: "x"}},
			`200 "" [] [] code 200, panic: x`, `200 "" [] [] code 500, panic: x`,
		},
		{
			"trailing", serverCase{body: askedText + "}"}, `200 "{\"Text\":\"\"}\n" [] [] code 200`,
			`400 "the body is not JSON at offset 44: invalid character '}' after top-level value" [nosniff] [] code 400`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.c
			c.method, c.path, c.finalizers = "POST", "/sum", 1
			if c.body == "" {
				c.body = askedText
			}
			if c.header == nil {
				c.header = http.Header{"Content-Type": {"application/json"}}
			}
			assert.Equal(t, tt.kit, c.run(true, false, inProcess).String(), "go-kit")
			assert.Equal(t, tt.kami, c.run(false, false, inProcess).String(), "kami")
		})
	}
}

// String is the finalizer's record, the only one of these cases.
func (o outcome) String() string {
	text := fmt.Sprintf("%d %q %v %v", o.code, o.body, o.header["X-Content-Type-Options"], o.header["X-Own"])
	for _, hook := range o.hooks {
		var i, code int
		if n, _ := fmt.Sscanf(hook, "finalize %d %d", &i, &code); n == 2 {
			text += fmt.Sprint(" code ", code)
		}
	}
	if contentType := o.header.Get("Content-Type"); contentType != "" && o.code == http.StatusNoContent {
		text += ", " + contentType
	}
	if last := o.hooks[len(o.hooks)-1]; strings.HasPrefix(last, "panic") {
		text += ", " + last
	}
	return text
}

// Only a service's own encoder writes a 1xx, or through io.ReaderFrom.
func TestGoKitServerFinalizerDifferences(t *testing.T) {
	for _, tt := range []struct {
		name      string
		write     func(http.ResponseWriter)
		kit, kami string
	}{
		{"1xx", func(w http.ResponseWriter) { w.WriteHeader(http.StatusEarlyHints); fmt.Fprint(w, "x") }, "103 1", "200 1"},
		{"twice", func(w http.ResponseWriter) { fmt.Fprint(w, "x"); w.WriteHeader(500) }, "500 1", "200 1"},
		{"ReaderFrom", func(w http.ResponseWriter) { _, _ = io.Copy(w, io.LimitReader(strings.NewReader("xyz"), 2)) }, "200 0", "200 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got string
			finalize := func(size any) func(context.Context, int, *http.Request) {
				return func(ctx context.Context, code int, _ *http.Request) { got = fmt.Sprint(code, ctx.Value(size)) }
			}
			kit := kithttp.NewServer(func(context.Context, any) (any, error) { return nil, nil }, kithttp.NopRequestDecoder,
				func(_ context.Context, w http.ResponseWriter, _ any) error { tt.write(w); return nil },
				kithttp.ServerFinalizer(finalize(kithttp.ContextKeyResponseSize)))
			kami := endpoint.NewServer(endpoint.Nop[any, any], endpoint.NopRequestDecoder,
				func(_ context.Context, w http.ResponseWriter, _ any) error { tt.write(w); return nil },
				endpoint.ServerFinalizer(finalize(endpoint.ContextKeyResponseSize)))
			r := httptest.NewRequest("GET", "/", nil)
			kit.ServeHTTP(&sink{header: http.Header{}}, r)
			assert.Equal(t, tt.kit, got, "go-kit")
			kami.ServeHTTP(&sink{header: http.Header{}}, r)
			assert.Equal(t, tt.kami, got, "kami")
		})
	}
}

// Functions that are nil.
func TestGoKitServerNilDifferences(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	for i, kit := range []kithttp.ServerOption{
		kithttp.ServerBefore(nil), kithttp.ServerAfter(nil), kithttp.ServerFinalizer(nil), kithttp.ServerErrorEncoder(nil),
	} {
		s := kithttp.NewServer(func(context.Context, any) (any, error) { return nil, nil },
			func(context.Context, *http.Request) (any, error) { return nil, []error{3: errGone}[i] }, kithttp.EncodeJSONResponse, kit)
		assert.Panics(t, func() { s.ServeHTTP(httptest.NewRecorder(), r) }, i)
	}

	server := func(opts ...endpoint.ServerOption) http.Handler {
		return endpoint.NewServer(endpoint.Nop[any, any], func(context.Context, *http.Request) (any, error) { return nil, errGone },
			endpoint.EncodeJSONResponse, opts...)
	}
	for i, kami := range []endpoint.ServerOption{
		endpoint.ServerBefore(nil), endpoint.ServerAfter(nil), endpoint.ServerFinalizer(nil),
	} {
		assert.Panics(t, func() { server(kami) }, i)
	}
	w := httptest.NewRecorder()
	server(endpoint.ServerErrorEncoder(nil)).ServeHTTP(w, r)
	assert.Equal(t, errGone.Error(), w.Body.String())
}

// draw makes decisions from a fuzzer's bytes. After their end all decisions are zero.
type draw []byte

func (d *draw) n(below int) int {
	if len(*d) == 0 {
		return 0
	}
	n := int((*d)[0]) % below
	*d = (*d)[1:]
	return n
}

func (d *draw) yes() bool { return d.n(2) == 1 }

func (d *draw) text() string {
	n := min(d.n(24), len(*d))
	text := string((*d)[:n])
	*d = (*d)[n:]
	return text
}

func pick[T any](d *draw, from ...T) T { return from[d.n(len(from))] }

func (d *draw) headers() headers {
	h := headers{}
	for range d.n(3) {
		name := pick(d, "X-Own", "x-low", "Content-Type", "X-Content-Type-Options", "Content-Length", "X-After-0", "X Y")
		h[name] = append(h[name], d.text())
	}
	return h
}

func (d *draw) code() int {
	return pick(d, 200, 404, 0, 99, 100, 103, 199, 201, 204, 205, 302, 304, 399, 400, 418, 429, 499, 500, 503, 599, 600, 999, 1000, -1)
}

func (d *draw) serverCase() serverCase {
	c := serverCase{
		method: pick(d, "POST", "GET", "PATCH", "HEAD", "DELETE", "OWN"),
		stops:  stage(d.n(stages)),
		err:    failure{d.n(traits), d.code(), "", d.headers()},
		errors: d.n(errorModes),
		traits: d.n(traits), code: d.code(), headers: d.headers(), unencodable: d.n(8) == 7,
		before: d.n(4), after: d.n(4), finalizers: d.n(4), populates: d.yes(), setsLength: d.n(8) == 7,
		header: http.Header{},
	}
	if d.n(8) != 7 {
		c.header.Set("Content-Type", "application/json")
	}
	c.body = pick(d, askedText, askedText, askedText+" ", `{"N":"7"}`, "{}", "[1", "null", askedText+"x", "")
	if c.body == "" {
		c.body = d.text()
	}
	for range d.n(4) {
		name := pick(d, "Content-Type", "Accept", "User-Agent", "Authorization", "Referer", "X-Request-Id", "X-Forwarded-For", "X-Forwarded-Proto")
		c.header.Add(name, pick(d, "application/json", "application/x+json; a=b", d.text()))
	}
	c.err.text, c.text, c.path, c.query = d.text(), d.text(), "/"+d.text(), d.text()
	return c
}

// seeds adds the inputs that go test always tries.
func seeds(f *testing.F) {
	f.Add([]byte(nil))
	random := rand.NewChaCha8([32]byte{})
	for range 300 {
		seed := make([]byte, 100)
		_, _ = random.Read(seed)
		f.Add(slices.Clone(seed))
	}
}

func FuzzGoKitServer(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		d := draw(data)
		d.serverCase().same(t, inProcess)
	})
}
