package compat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	kithttp "github.com/go-kit/kit/transport/http"
	"github.com/guregu/kami/endpoint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// These tests call the same server through a Client of go-kit and through one of package endpoint. Like the tests of servers, they
// compare everything except these differences, which TestGoKitClientDifferences checks:
//
//   - JSON and XML requests have a Content-Length, and a GetBody. So servers that refuse chunked requests are served, and
//     307 and 308 are followed.
//   - A Headerer's names need not be canonical, and a name without values is left out: go-kit sends an empty header.
//   - A nil context from a RequestFunc or a ClientResponseFunc is an error. go-kit passes it on, and whatever uses it panics.
//   - A context that a RequestFunc has ended stops the call with its cause. In go-kit the HTTP client is asked first.
//   - The error of a call whose context has ended wraps the cause, with any HTTP client. (*http.Client does it too.)
//   - The context of finalizers ends only with the caller's, because a logger may stop when its context ends.
//   - Finalizers get an error if the call panics, because it has not succeeded.
//   - The body of a request that is not sent is closed. The response's own body is closed, even if a hook has replaced it.
//   - A BufferedStream is closed if the call fails or panics, because the caller does not get it then.
//   - The request that the encoder and RequestFuncs get has the call's context. In go-kit it has none.
//   - SetClient(nil) means the default. In go-kit each call panics.
//   - NewClient panics if no request can be made of method and target. In go-kit each call fails.
//   - The error names the type that cannot be encoded, and wraps encoding/json's error.
//   - An error in sending a request or decoding an answer gets 502 if it has no status. A Server whose Endpoint returns it answers
//     502; go-kit's answers 500.
//   - DecodeJSONResponse, which go-kit leaves to each client, returns an error for a response that is not a valid answer.

// clientCase is a call, the server's answer, and the hooks around that.
type clientCase struct {
	method, path, query string
	request             asked
	headers             headers // of the request, which is a Headerer if there are some
	xml, unencodable    bool

	code                      int
	contentType, body         string
	answers                   manner
	stops                     stage
	decodeErr                 bool
	before, after, finalizers int
	buffered                  bool
}

// manner says how a server answers.
type manner int

const (
	wholly     manner = iota
	halfway           // the connection breaks in the body
	hangingUp         // it breaks before the header
	never             // and the call's context ends
	elsewhere         // by a redirect that has the body sent again
	seeOther          // by one that does not
	unanswered        // nobody is there
	manners    int    = iota
)

type headedAsked struct {
	asked
	headers `json:"-" xml:"-"`
}

// peer is a server and its HTTP client.
type peer struct {
	*httptest.Server
	handler http.HandlerFunc
}

// newPeer starts a server. Its connections are not reused.
func newPeer(t testing.TB, l net.Listener, dial func(context.Context, string, string) (net.Conn, error)) *peer {
	p := new(peer)
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.handler(w, r) }))
	if l != nil {
		p.Listener.Close()
		p.Listener = l
	}
	p.Start()
	t.Cleanup(p.Close)
	transport := p.Client().Transport.(*http.Transport)
	transport.DisableKeepAlives = true
	if dial != nil {
		transport.DialContext = dial
	}
	return p
}

// pipes is a listener in memory.
type pipes struct {
	conns  chan net.Conn
	closed context.Context
	close  context.CancelFunc
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed.Done():
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.close(); return nil }

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// pipedPeer starts a server without sockets.
func pipedPeer(t testing.TB) *peer {
	ctx, cancel := context.WithCancel(context.Background())
	l := &pipes{make(chan net.Conn), ctx, cancel}
	return newPeer(t, l, l.dial)
}

// caller calls the case's server, and notes what it sees.
type caller struct {
	clientCase
	noted
	doer endpoint.HTTPClient
	got  *http.Response
}

// result is the result of a call.
type result struct {
	response asked
	class    string // of its error
	caused   bool   // which has the cause
	hooks    []string
}

var (
	errUnanswered = errors.New("nobody is there")
	errGone       = errors.New("the caller has gone")
)

// run makes the call with go-kit or with package endpoint.
func (c clientCase) run(p *peer, kit, alike bool) (got result) {
	s := &caller{clientCase: c, doer: p.Client()}
	s.of(kit, alike)
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	p.handler = func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, cancel) }
	target, err := url.Parse(p.URL)
	if err != nil {
		panic(err)
	}
	target.Path, target.RawQuery = c.path, c.query
	var response asked
	defer func() {
		if v := recover(); v != nil {
			got = result{class: fmt.Sprint("panic: ", v), hooks: s.take()}
		}
	}()
	switch {
	case c.headers != nil && c.unencodable:
		response, err = callOf(s, ctx, target, struct {
			headedAsked
			Bad chan int
		}{})
	case c.unencodable:
		response, err = callOf(s, ctx, target, make(chan int))
	case c.headers != nil:
		response, err = callOf(s, ctx, target, headedAsked{c.request, s.headersOf()})
	default:
		response, err = callOf(s, ctx, target, c.request)
	}
	if err == nil && c.buffered {
		text, err := io.ReadAll(s.got.Body)
		s.add(fmt.Sprintf("read %q %s", text, classOf(err)))
		s.add(fmt.Sprint("closed ", s.got.Body.Close()))
	}
	return result{response, classOf(err), !alike && errors.Is(err, errGone), s.take()}
}

// headersOf returns the request's headers, in the form that go-kit takes if it is go-kit's.
func (s *caller) headersOf() headers {
	if !s.alike {
		return s.headers
	}
	h := http.Header{}
	for name, values := range s.headers {
		if len(values) > 0 {
			h.Set(name, values[0])
		}
	}
	return headers(h)
}

// classOf says what kind of error it is.
func classOf(err error) string {
	first := firstOf(err)
	coder, coded := first.(endpoint.StatusCoder)
	switch {
	case err == nil:
		return "none"
	case err.Error() == nilContext:
		return err.Error()
	case first == context.Canceled:
		return "canceled"
	case coded:
		return fmt.Sprintf("%d %v", coder.StatusCode(), err)
	default:
		return fmt.Sprintf("%T %v", first, first)
	}
}

// firstOf returns the first error. Package endpoint adds how and why the context has ended if the error does not say it.
func firstOf(err error) error {
	for {
		switch wrapper := err.(type) {
		case interface{ Unwrap() error }:
			err = wrapper.Unwrap()
		case interface{ Unwrap() []error }:
			err = wrapper.Unwrap()[0]
		default:
			return err
		}
	}
}

// answer is the server.
func (s *caller) answer(w http.ResponseWriter, r *http.Request, cancel context.CancelCauseFunc) {
	text, err := io.ReadAll(r.Body)
	length := r.ContentLength
	if s.alike && length == -1 { // it is chunked
		length = int64(len(text))
	}
	r.Header.Del("Content-Length")
	s.add(fmt.Sprintf("received %d %s %s %v %q %s", length, r.Method, r.RequestURI, r.Header, text, classOf(err)))
	if r.URL.Path == "/landed" {
		s.write(w, s.body)
		return
	}
	switch s.answers {
	case wholly:
		s.write(w, s.body)
	case halfway:
		w.Header().Set("Content-Length", fmt.Sprint(len(s.body)+1))
		s.write(w, s.body)
	case hangingUp:
		panic(http.ErrAbortHandler)
	case never:
		cancel(errGone)
		<-r.Context().Done()
	case elsewhere:
		http.Redirect(w, r, "/landed", http.StatusTemporaryRedirect)
	case seeOther:
		http.Redirect(w, r, "/landed", http.StatusSeeOther)
	}
}

func (s *caller) write(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", s.contentType)
	w.WriteHeader(s.code)
	_, _ = io.WriteString(w, body)
}

// Do sends a request, and notes what becomes of the answer's body.
func (s *caller) Do(r *http.Request) (*http.Response, error) {
	if s.stopped != nil {
		return nil, s.stopped
	}
	s.note(r.Context(), "do %s %s", r.Method, r.URL.RequestURI())
	if s.answers == unanswered {
		return nil, errUnanswered
	}
	response, err := s.doer.Do(r)
	if err == nil {
		response.Body = &notedBody{response.Body, s}
	}
	return response, err
}

type notedBody struct {
	io.ReadCloser
	s *caller
}

func (b *notedBody) Close() error {
	b.s.add("close")
	return b.ReadCloser.Close()
}

func (s *caller) befores() (funcs []func(context.Context, *http.Request) context.Context) {
	for i := range s.before {
		funcs = append(funcs, func(ctx context.Context, r *http.Request) context.Context {
			s.note(ctx, "before %d %s %v %d", i, r.Method, r.Header, min(r.ContentLength, 0))
			r.Header.Set(fmt.Sprint("X-Before-", i), "set")
			switch {
			case i == 0 && s.stops == beforeNil && s.alike:
				s.stopped = errors.New(nilContext)
				return ctx
			case i == 0 && s.stops == beforeNil:
				return nil
			case i == 0 && s.stops == beforeEnded:
				ctx, cancel := context.WithCancelCause(trailed(ctx, "ended"))
				cancel(errGone)
				if s.alike {
					s.stopped = errGone
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

func (s *caller) afters() (funcs []func(context.Context, *http.Response) context.Context) {
	for i := range s.after {
		funcs = append(funcs, func(ctx context.Context, r *http.Response) context.Context {
			s.note(ctx, "after %d %d %v", i, r.StatusCode, r.Header["Content-Type"])
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

// encoded notes a request that has been encoded.
func (s *caller) encoded(ctx context.Context, r *http.Request, err error) error {
	s.note(ctx, "encode %s", classOf(err))
	if err == nil && s.alike && s.answers == elsewhere {
		text, _ := io.ReadAll(r.Body)
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(string(text))), nil }
		r.Body, _ = r.GetBody()
	}
	return err
}

// decode decodes a response, or leaves it for later.
func (s *caller) decode(ctx context.Context, r *http.Response) (response asked, err error) {
	if s.alike && s.buffered {
		defer func() {
			if err != nil {
				_ = r.Body.Close()
			}
		}()
	}
	if s.stopped != nil {
		return response, s.stopped
	}
	s.note(ctx, "decode %d %v", r.StatusCode, r.ContentLength)
	s.got = r
	if s.decodeErr {
		return response, errUnanswered
	}
	if s.buffered {
		return response, nil
	}
	if s.kit && !s.alike {
		err = json.NewDecoder(r.Body).Decode(&response)
		return response, err
	}
	return endpoint.DecodeJSONResponse[asked](ctx, r)
}

func (s *caller) finalize(i int) func(context.Context, error) {
	return func(ctx context.Context, err error) {
		if ctx == nil {
			return
		}
		if h, ok := ctx.Value(s.keys[13]).(http.Header); ok {
			h.Del("Date")
		}
		ended := ctx.Err() != nil
		if s.alike {
			ended = context.Cause(ctx) == errGone
		}
		s.note(ctx, "finalize %t %d %s", ended, i, classOf(err))
	}
}

// callOf makes a call with go-kit or with package endpoint.
func callOf[Req any](s *caller, ctx context.Context, target *url.URL, request Req) (asked, error) {
	if s.kit {
		return kitCall(s, ctx, target, request)
	}
	opts := []endpoint.ClientOption{endpoint.SetClient(s), endpoint.BufferedStream(s.buffered)}
	for _, f := range s.befores() {
		opts = append(opts, endpoint.ClientBefore(f))
	}
	for _, f := range s.afters() {
		opts = append(opts, endpoint.ClientAfter(f))
	}
	for i := range s.finalizers {
		opts = append(opts, endpoint.ClientFinalizer(s.finalize(i)))
	}
	encode := endpoint.EncodeJSONRequest[Req]
	if s.xml {
		encode = endpoint.EncodeXMLRequest[Req]
	}
	return endpoint.NewClient(s.method, target,
		func(ctx context.Context, r *http.Request, request Req) error {
			return s.encoded(ctx, r, encode(ctx, r, request))
		}, s.decode, opts...).Endpoint()(ctx, request)
}

func kitCall(s *caller, ctx context.Context, target *url.URL, request any) (asked, error) {
	opts := []kithttp.ClientOption{kithttp.SetClient(s), kithttp.BufferedStream(s.buffered)}
	for _, f := range s.befores() {
		opts = append(opts, kithttp.ClientBefore(f))
	}
	for _, f := range s.afters() {
		opts = append(opts, kithttp.ClientAfter(f))
	}
	for i := range s.finalizers {
		opts = append(opts, kithttp.ClientFinalizer(s.finalize(i)))
	}
	encode := kithttp.EncodeJSONRequest
	if s.xml {
		encode = kithttp.EncodeXMLRequest
	}
	response, err := kithttp.NewClient(s.method, target,
		func(ctx context.Context, r *http.Request, request any) error {
			return s.encoded(ctx, r, encode(ctx, r, request))
		},
		func(ctx context.Context, r *http.Response) (any, error) { return s.decode(ctx, r) }, opts...).Endpoint()(ctx, request)
	if err != nil {
		return asked{}, err
	}
	return response.(asked), nil
}

// same checks that go-kit and package endpoint do the same.
func (c clientCase) same(t *testing.T, p *peer) {
	t.Helper()
	require.Equal(t, c.run(p, true, true), c.run(p, false, true), "%+v", c)
}

func TestGoKitClient(t *testing.T) {
	request, answer := asked{"a <b> & c", 7, []string{"d"}}, askedText
	var stopping []clientCase
	for how := range manners {
		for _, buffered := range []bool{false, true} {
			stopping = append(stopping, clientCase{answers: manner(how), buffered: buffered, before: 2, after: 2, finalizers: 2})
			for s := range stages {
				stopping = append(stopping, clientCase{
					answers: manner(how), buffered: buffered, stops: stage(s), decodeErr: s%2 == 0, before: 2, after: 2, finalizers: 2,
				})
			}
		}
	}
	for _, tt := range []struct {
		name  string
		cases []clientCase
	}{
		{"requests", []clientCase{
			{}, {request: request}, {xml: true, request: request}, {unencodable: true, finalizers: 1}, {unencodable: true, xml: true},
			{method: "GET"}, {method: "PATCH", path: "/search", query: "q=sympatico", finalizers: 1}, {path: "/ä//%/.."},
			{headers: headers{"X-Own": {"1", "2"}, "Content-Type": {"text/own"}, "x-low": {"3"}, "X-Empty": nil}},
			{headers: headers{"X-Own": {"1", "2"}}, xml: true}, {headers: headers{"X-Own": {"1"}}, unencodable: true},
		}},
		{"answers", []clientCase{
			{code: 201, finalizers: 1}, {code: 204, finalizers: 1}, {code: 304}, {code: 404, body: "no such sum", finalizers: 1}, {code: 599},
			{body: "{"}, {body: `{"N":"7"}`}, {body: " "}, {method: "HEAD", finalizers: 1}, {method: "HEAD", code: 500},
			{contentType: "text/html"}, {body: strings.Repeat(" ", 100<<10) + answer, finalizers: 1},
		}},
		{"stops", stopping},
	} {
		t.Run(tt.name, func(t *testing.T) {
			loopback, piped := newPeer(t, nil, nil), pipedPeer(t)
			for _, c := range tt.cases {
				if c.method == "" {
					c.method = "POST"
				}
				if c.code == 0 {
					c.code = 200
				}
				if c.body == "" && c.code != 204 && c.code != 304 {
					c.body = answer
				}
				c.same(t, loopback)
				c.same(t, piped)
			}
		})
	}
}

// Each case shows what go-kit and package endpoint do by default.
func TestGoKitClientDifferences(t *testing.T) {
	for _, tt := range []struct {
		name      string
		c         clientCase
		kit, kami string
	}{
		{"length", clientCase{}, "none: encode do received -1 decode close", "none: encode do received 30 decode close"},
		{
			"redirect", clientCase{answers: elsewhere}, "*errors.errorString EOF: encode do received -1 decode close",
			"none: encode do received 30 received 30 decode close",
		},
		{"nil from before", clientCase{stops: beforeNil, before: 1}, "panic: nil context: encode before", nilContext + ": encode before"},
		{
			"ended by before", clientCase{stops: beforeEnded, before: 1}, "*errors.errorString the caller has gone with the cause: encode before do",
			"*errors.errorString the caller has gone with the cause: encode before",
		},
		{
			"nil from after", clientCase{stops: afterNil, after: 1}, "none: encode do received -1 after decode without a context close",
			nilContext + ": encode do received 30 after close",
		},
		{
			"buffered", clientCase{buffered: true, decodeErr: true},
			"*errors.errorString nobody is there: encode do received -1 decode",
			"*errors.errorString nobody is there: encode do received 30 decode close",
		},
		{
			"finalizer", clientCase{finalizers: 1}, "none: encode do received -1 decode close finalize true",
			"none: encode do received 30 decode close finalize false",
		},
		{
			"no answer", clientCase{code: 404}, "none: encode do received -1 decode close",
			"404 " + askedText + ": encode do received 30 decode close",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, c := newPeer(t, nil, nil), tt.c
			c.method, c.path, c.body = "POST", "/sum", askedText
			if c.code == 0 {
				c.code = 200
			}
			assert.Equal(t, tt.kit, c.run(p, true, false).String(), "go-kit")
			assert.Equal(t, tt.kami, c.run(p, false, false).String(), "kami")
		})
	}

	encode := func(by func(context.Context, *http.Request, any) error, request any) (*http.Request, error) {
		r := httptest.NewRequest("POST", "/", nil)
		return r, by(context.Background(), r, request)
	}
	request := headedAsked{headers: headers{"x-low": {"1"}, "X-Empty": nil}}
	for _, by := range []struct {
		kit, kami func(context.Context, *http.Request, any) error
	}{
		{kithttp.EncodeJSONRequest, endpoint.EncodeJSONRequest[any]}, {kithttp.EncodeXMLRequest, endpoint.EncodeXMLRequest[any]},
	} {
		kit, err := encode(by.kit, request)
		require.NoError(t, err)
		kami, err := encode(by.kami, request)
		require.NoError(t, err)
		assert.Equal(t, []string{""}, kit.Header["X-Low"])
		assert.Equal(t, []string{""}, kit.Header["X-Empty"])
		assert.Equal(t, []string{"1"}, kami.Header["X-Low"])
		assert.NotContains(t, kami.Header, "X-Empty")
		assert.Nil(t, kit.GetBody)
		assert.NotNil(t, kami.GetBody)

		_, kitErr := encode(by.kit, make(chan int))
		_, kamiErr := encode(by.kami, make(chan int))
		assert.EqualError(t, kamiErr, "endpoint: encoding chan int: "+kitErr.Error())
		assert.IsType(t, kitErr, errors.Unwrap(kamiErr))
	}

	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errGone)
	_, err := kithttp.NewClient("GET", sumURL, kithttp.EncodeJSONRequest, nil, kithttp.SetClient(ended{})).Endpoint()(ctx, nil)
	assert.NotErrorIs(t, err, errGone)
	_, err = endpoint.NewClient("GET", sumURL, endpoint.EncodeJSONRequest[any], endpoint.DecodeJSONResponse[any],
		endpoint.SetClient(ended{})).Endpoint()(ctx, nil)
	assert.ErrorIs(t, err, errGone)
	assert.ErrorIs(t, err, context.Canceled)

	_, err = kithttp.NewClient("GET", sumURL, kithttp.EncodeJSONRequest, nil, kithttp.SetClient(ended{})).Endpoint()(ctx, nil)
	assert.False(t, errors.As(err, new(endpoint.StatusCoder)))
	_, err = endpoint.NewClient("GET", sumURL, endpoint.EncodeJSONRequest[any], endpoint.DecodeJSONResponse[any],
		endpoint.SetClient(ended{})).Endpoint()(ctx, nil)
	var coder endpoint.StatusCoder
	require.ErrorAs(t, err, &coder)
	assert.Equal(t, 502, coder.StatusCode())

	var sent *http.Request
	keep := func(_ context.Context, r *http.Request, _ any) error { sent = r; return errGone }
	ctx = trailed(context.Background(), "call")
	_, err = kithttp.NewClient("GET", sumURL, keep, nil).Endpoint()(ctx, nil)
	assert.ErrorIs(t, err, errGone)
	assert.Nil(t, sent.Context().Value(key("trail")))
	_, err = endpoint.NewClient("GET", sumURL, keep, endpoint.DecodeJSONResponse[any], endpoint.SetClient(nil)).Endpoint()(ctx, nil)
	assert.ErrorIs(t, err, errGone)
	assert.Equal(t, "call", sent.Context().Value(key("trail")))

	wrong := &url.URL{Scheme: "http", Host: "sum.example", RawQuery: "\n"}
	_, err = kithttp.NewClient("GET", wrong, kithttp.EncodeJSONRequest, nil).Endpoint()(context.Background(), nil)
	assert.ErrorContains(t, err, "invalid control character in URL")
	assert.PanicsWithValue(t, "endpoint: NewClient: "+err.Error(), func() {
		endpoint.NewClient("GET", wrong, endpoint.EncodeJSONRequest[any], endpoint.DecodeJSONResponse[any])
	})
}

// ended is an HTTP client whose error only says that the context has ended.
type ended struct{}

func (ended) Do(r *http.Request) (*http.Response, error) { return nil, r.Context().Err() }

// String is the error and the hooks' records.
func (r result) String() string {
	text := r.class
	if r.caused {
		text += " with the cause"
	}
	text += ":"
	for _, hook := range r.hooks {
		words := strings.Fields(hook)
		switch {
		case words[0] == "received" || words[0] == "finalize":
			text += " " + words[0] + " " + words[1]
		case strings.HasSuffix(hook, "without a context"):
			text += " " + words[0] + " without a context"
		default:
			text += " " + words[0]
		}
	}
	return text
}

func (d *draw) clientCase() clientCase {
	c := clientCase{
		method: pick(d, "POST", "GET", "PUT", "HEAD", "OWN"), xml: d.n(4) == 3, unencodable: d.n(8) == 7,
		code:        pick(d, 200, 404, 201, 204, 304, 299, 400, 500, 599, 999),
		contentType: pick(d, "application/json", "", "text/plain"),
		answers:     manner(d.n(manners)), stops: stage(d.n(stages)), decodeErr: d.n(4) == 3,
		before: d.n(4), after: d.n(4), finalizers: d.n(4), buffered: d.n(3) == 2,
		body: pick(d, askedText, "{", `{"N":"7"}`, "[]", "null", "", " "+askedText+" "),
	}
	if d.yes() {
		c.headers = headers{}
		for range d.n(3) {
			name := pick(d, "X-Own", "x-own2", "Content-Type", "Accept", "X-Before-0", "User-Agent")
			c.headers[name] = pick(d, nil, []string{"1"}, []string{"2", "3"}, []string{""})
		}
	}
	c.path, c.query = "/"+d.text(), url.QueryEscape(d.text())
	c.request = asked{Text: d.text(), N: d.n(256)}
	for range d.n(3) {
		c.request.List = append(c.request.List, d.text())
	}
	return c
}

func FuzzGoKitClient(f *testing.F) {
	seeds(f)
	p := pipedPeer(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		d := draw(data)
		d.clientCase().same(t, p)
	})
}
