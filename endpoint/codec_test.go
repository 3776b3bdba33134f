package endpoint_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/mutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// line is a request with several kinds of JSON values.
type line struct {
	Name  string          `json:"name"`
	Count int8            `json:"count"`
	Tags  []string        `json:"tags"`
	Inner struct{ N int } `json:"inner"`
	Any   any             `json:"any"`
	Self  picky           `json:"self"`
}

// picky has UnmarshalJSON, which refuses "no" and long texts.
type picky string

func (p *picky) UnmarshalJSON(text []byte) error {
	if string(text) == `"no"` {
		return errors.New("picky does not like it")
	}
	if len(text) > 100 {
		return fmt.Errorf("picky does not like %s", text)
	}
	*p = picky(text)
	return nil
}

// refusalOf returns the expected answer to a bad body, made of encoding/json's error, because that differs between Go releases.
func refusalOf(body string) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch err := json.Unmarshal([]byte(body), new(line)); {
	case errors.As(err, &syntax):
		return fmt.Sprintf("the body is not JSON at offset %d: %v", syntax.Offset, err)
	case errors.As(err, &kind):
		return fmt.Sprintf("field %q: a JSON %s at offset %d does not fit", kind.Field, kind.Value, kind.Offset)
	}
	return "none"
}

func TestBadBodiesAreAnsweredWithTheirPlace(t *testing.T) {
	deep := func(n int) string { return `{"any":` + strings.Repeat("[", n) + strings.Repeat("]", n) + "}" }
	for _, tt := range []struct {
		name, body, contentType string
		code                    int
		want                    string
	}{
		{"fine", `{"name":"a"}`, "application/json", 200, `"a"`},
		{"no content type", `{"name":"a"}`, "none", 415, "the body has no Content-Type, which should say that it is JSON"},
		{"neither type nor body", ``, "none", 400, "the body is empty, and should be JSON"},
		{"space in the type", `{"name":"a"}`, " application/json ; x", 200, `"a"`},
		{"charset", `{"name":"a"}`, "application/json; charset=utf-8", 200, `"a"`},
		{"other charset", `{"name":"a"}`, `APPLICATION/JSON; charset="utf-8"; x=y`, 200, `"a"`},
		{"suffix", `{"name":"a"}`, "application/vnd.api+json", 200, `"a"`},
		{"null", `null`, "", 200, `""`},
		{"unknown fields", `{"what":1,"name":"a"}`, "", 200, `"a"`},
		{"duplicated key: the last one wins", `{"name":"a","name":"b"}`, "", 200, `"b"`},
		{"white space around", " \n{\"name\":\"a\"}\n\n", "", 200, `"a"`},
		{"no UTF-8", "{\"name\":\"\xff\"}", "", 200, "\"\uFFFD\""},

		{"malformed", `{"name":}`, "", 400, "the body is not JSON at offset 9: invalid character '}' looking for beginning of value"},
		{"not JSON", `name=a`, "", 400, "the body is not JSON at offset 2: invalid character 'a' in literal null (expecting 'u')"},
		{"truncated", `{"name":"a`, "", 400, "the body is not JSON at offset 10: unexpected end of JSON input"},
		{"trailing data", `{"name":"a"} {}`, "", 400, "the body is not JSON at offset 14: invalid character '{' after top-level value"},
		{"byte order mark", "\uFEFF{}", "", 400, refusalOf("\uFEFF{}")},
		{"empty", ``, "application/json", 400, "the body is empty, and should be JSON"},
		{"blank", " \n\t", "", 400, "the body is empty, and should be JSON"},
		{"wrong type", `{"name":1}`, "", 400, `field "name": a JSON number at offset 9 does not fit`},
		{"wrong type within", `{"inner":{"N":"x"}}`, "", 400, `field "inner.N": a JSON string at offset 17 does not fit`},
		{"wrong type of element", `{"tags":["a",{}]}`, "", 400, refusalOf(`{"tags":["a",{}]}`)},
		{"wrong type of all", `[1]`, "", 400, "a JSON array at offset 1 does not fit"},
		{"out of range", `{"count":128}`, "", 400, `field "count": a JSON number 128 at offset 12 does not fit`},
		{"fraction", `{"count":1.5}`, "", 400, `field "count": a JSON number 1.5 at offset 12 does not fit`},
		{"NaN", `{"count":NaN}`, "", 400, "the body is not JSON at offset 10: invalid character 'N' looking for beginning of value"},
		{"own rules", `{"self":"no"}`, "", 400, "the body does not fit: picky does not like it"},
		{"10,001 levels", deep(10_000), "", 400, refusalOf(deep(10_000))},
		{"10,000 levels", deep(9_999), "", 200, `""`},

		{"text", `{}`, "text/plain", 415, `Content-Type "text/plain" is not JSON`},
		{"form", `a=b`, "application/x-www-form-urlencoded", 415, `Content-Type "application/x-www-form-urlencoded" is not JSON`},
		{"parameters do not count", `{}`, `application/json; =`, 200, `""`},
		{"a parameter", `{}`, `text/plain; application/json`, 415, `Content-Type "text/plain; application/json" is not JSON`},
		{"several", `{}`, `application/json, text/plain`, 415, `Content-Type "application/json, text/plain" is not JSON`},
		{"a suffix alone", `{}`, `+json`, 415, `Content-Type "+json" is not JSON`},
		{"long type", `{}`, strings.Repeat("神", 100), 415, `Content-Type "` + strings.Repeat("神", 33) + `…" is not JSON`},
		// An error quotes at most 100 bytes of the body.
		{"long number", `{"count":` + strings.Repeat("9", 200) + `}`, "", 400, `field "count": a JSON number ` + strings.Repeat("9", 93) + `… at offset 209 does not fit`},
		{"long text of its own", `{"self":"` + strings.Repeat("n", 200) + `"}`, "", 400, `the body does not fit: picky does not like "` + strings.Repeat("n", 100-len(`picky does not like "`)) + `…`},
		{"almost", `{}`, "application/jsonx", 415, `Content-Type "application/jsonx" is not JSON`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name := func(_ context.Context, r line) (string, error) { return r.Name, nil }
			for _, s := range []http.Handler{
				endpoint.JSON(name),
				endpoint.NewServer(name, endpoint.DecodeJSONRequest[line], endpoint.EncodeJSONResponse[string]),
			} {
				r := request("POST", "/", tt.body)
				switch tt.contentType {
				case "":
				case "none":
					r.Header.Del("Content-Type")
				default:
					r.Header.Set("Content-Type", tt.contentType)
				}
				code, text := answer(s, r)
				assert.Equal(t, tt.code, code)
				assert.Equal(t, tt.want, text)
			}
		})
	}
}

func TestOversizedBodies(t *testing.T) {
	text := func(bytes int) string { return `"` + strings.Repeat("x", bytes-2) + `"` }
	length := func(_ context.Context, s string) (int, error) { return len(s), nil }
	standard := endpoint.NewServer(length, endpoint.DecodeJSONRequest[string], endpoint.EncodeJSONResponse[int])
	const tooLarge = "the body is larger than 1048576 bytes"
	for _, tt := range []struct {
		name string
		s    http.Handler
		size int
		code int
		want string
	}{
		{"default, fits", endpoint.JSON(length), 1 << 20, 200, "1048574"},
		{"default, one too many", endpoint.JSON(length), 1<<20 + 1, 413, tooLarge},
		{"NewServer, fits", standard, 1 << 20, 200, "1048574"},
		{"NewServer, one too many", standard, 1<<20 + 1, 413, tooLarge},
		{"10, fits", endpoint.JSON(length, endpoint.ServerMaxBody(10)), 10, 200, "8"},
		{"10, one too many", endpoint.JSON(length, endpoint.ServerMaxBody(10)), 11, 413, "the body is larger than 10 bytes"},
		{"0 is no limit", endpoint.JSON(length, endpoint.ServerMaxBody(0)), 1<<20 + 1, 200, "1048575"},
		{"-1 is no limit", endpoint.JSON(length, endpoint.ServerMaxBody(-1)), 1<<20 + 1, 200, "1048575"},
		{"all that there may be", endpoint.JSON(length, endpoint.ServerMaxBody(math.MaxInt64)), 11, 200, "9"},
		{"limit from outside", http.MaxBytesHandler(endpoint.JSON(length), 20), 21, 413, "the body is larger than 20 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, chunked := range []bool{false, true} {
				r := request("POST", "/", text(tt.size))
				if chunked {
					r.ContentLength = -1
				}
				code, got := answer(tt.s, r)
				assert.Equal(t, tt.code, code, "chunked: %v", chunked)
				assert.Equal(t, tt.want, got, "chunked: %v", chunked)
			}
		})
	}
}

// slowly is a body that comes in pieces. It records by how much a reader's buffer was larger than the bytes that had come.
type slowly struct {
	pieces     []string
	come, most int
}

func (s *slowly) Read(p []byte) (int, error) {
	s.most = max(s.most, len(p)-s.come)
	if len(s.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.pieces[0])
	if s.pieces[0] = s.pieces[0][n:]; s.pieces[0] == "" {
		s.pieces = s.pieces[1:]
	}
	s.come += n
	return n, nil
}

func TestNoRoomIsMadeForABodyThatHasNotCome(t *testing.T) {
	for _, pieces := range [][]string{{`"a"`}, {`"`, strings.Repeat("a", 5000), strings.Repeat("a", 100_000), `"`}} {
		body := &slowly{pieces: pieces}
		r := request("POST", "/", "x")
		r.Body, r.ContentLength = io.NopCloser(body), 1<<20
		code, _ := answer(endpoint.JSON(func(context.Context, json.RawMessage) (int, error) { return 0, nil }), r)
		assert.Equal(t, 200, code)
		assert.LessOrEqual(t, body.most, 2<<10)
	}
}

func TestOversizedBodyIsNotReadIfItsLengthIsSaid(t *testing.T) {
	r := request("POST", "/", "x")
	r.Body, r.ContentLength = io.NopCloser(iotest.ErrReader(errors.New("it is read"))), 1<<20+1
	code, _ := answer(endpoint.JSON(sum), r)
	assert.Equal(t, 413, code)
}

func TestBodyThatCannotBeRead(t *testing.T) {
	reset := &net.OpError{Op: "read", Source: &net.TCPAddr{Port: 1}, Err: errors.New("connection reset by peer")}
	late := &net.OpError{Op: "read", Source: &net.TCPAddr{Port: 1}, Err: os.ErrDeadlineExceeded}
	for _, tt := range []struct {
		err  error
		code int
		want string
	}{
		{io.ErrUnexpectedEOF, 499, "the body is not complete"},
		{fmt.Errorf("wrapped: %w", io.ErrUnexpectedEOF), 499, "the body is not complete"},
		{reset, 499, "the client has left"},
		{late, 408, "the body did not come in time"},
		{os.ErrDeadlineExceeded, 408, "the body did not come in time"},
		{&http.MaxBytesError{Limit: 7}, 413, "the body is larger than 7 bytes"},
		{fmt.Errorf("wrapped: %w", &http.MaxBytesError{Limit: 7}), 413, "the body is larger than 7 bytes"},
		{errors.New("invalid byte in chunk length"), 400, "the body cannot be read: invalid byte in chunk length"},
	} {
		var reported error
		s := endpoint.JSON(sum, endpoint.ServerErrorHandler(endpoint.ErrorHandlerFunc(func(_ context.Context, err error) { reported = err })))
		r := request("POST", "/", "x")
		r.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"A":`), iotest.ErrReader(tt.err)))
		code, text := answer(s, r)
		assert.Equal(t, tt.code, code)
		assert.Equal(t, tt.want, text)
		assert.ErrorIs(t, reported, tt.err)
	}
}

// The error of a custom decoder has the same status with each ErrorEncoder.
func TestErrorsOfABodyFromAnyDecoder(t *testing.T) {
	for _, tt := range []struct {
		err  error
		code int
	}{
		{&http.MaxBytesError{Limit: 7}, 413},
		{fmt.Errorf("wrapped: %w", &http.MaxBytesError{Limit: 7}), 413},
		{fmt.Errorf("wrapped: %w", os.ErrDeadlineExceeded), 408},
		{io.ErrUnexpectedEOF, 500},
	} {
		for _, encoder := range []endpoint.ErrorEncoder{nil, endpoint.DefaultErrorEncoder} {
			s := endpoint.NewServer(sum, func(context.Context, *http.Request) (r sumRequest, err error) { return r, tt.err },
				endpoint.EncodeJSONResponse[sumResponse], endpoint.ServerErrorEncoder(encoder))
			code, _ := answer(s, request("POST", "/", "{}"))
			assert.Equal(t, tt.code, code, "%v", tt.err)
		}
		w := httptest.NewRecorder()
		endpoint.DefaultErrorEncoder(t.Context(), tt.err, w)
		assert.Equal(t, tt.code, w.Code, "%v", tt.err)
	}
}

func TestBodyThatDoesNotComeInTime(t *testing.T) {
	decode := func(_ context.Context, r *http.Request) (request sumRequest, err error) {
		return request, json.NewDecoder(r.Body).Decode(&request)
	}
	for name, s := range map[string]kami.ContextHandler{
		"JSON":           endpoint.JSON(sum),
		"custom decoder": endpoint.NewServer(sum, decode, endpoint.EncodeJSONResponse[sumResponse]),
	} {
		m := kami.New()
		m.Use("/", func(ctx context.Context, w http.ResponseWriter, _ *http.Request) context.Context {
			assert.NoError(t, http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0))) // http.Server.ReadTimeout sets such a deadline
			return ctx
		})
		m.Post("/", s)
		for _, http2 := range []bool{false, true} {
			server := httptest.NewUnstartedServer(m)
			server.EnableHTTP2 = http2
			server.StartTLS()
			body, end := io.Pipe()
			response, err := server.Client().Post(server.URL, "application/json", body)
			require.NoError(t, err)
			text, err := io.ReadAll(response.Body)
			assert.NoError(t, err)
			assert.Equal(t, 408, response.StatusCode, "%s, HTTP/2: %v", name, http2)
			assert.Equal(t, "the body did not come in time", strings.TrimSpace(string(text)))
			_ = response.Body.Close()
			_ = end.Close()
			server.Close()
		}
	}
}

// If the client has left, the status is 499, whether the server notices it while it reads the body or later.
func TestClientThatHasLeftIsLogged499(t *testing.T) {
	waits := func(ctx context.Context, _ struct{}) (int, error) {
		<-ctx.Done()
		return 0, fmt.Errorf("querying: %w", ctx.Err())
	}
	decode := func(context.Context, *http.Request) (struct{}, error) { return struct{}{}, nil }
	for name, s := range map[string]func(...endpoint.ServerOption) kami.ContextHandler{
		"in its body": func(o ...endpoint.ServerOption) kami.ContextHandler { return endpoint.JSON(sum, o...) },
		"later":       func(o ...endpoint.ServerOption) kami.ContextHandler { return endpoint.JSON(waits, o...) },
		"with NewServer": func(o ...endpoint.ServerOption) kami.ContextHandler {
			return endpoint.NewServer(waits, decode, endpoint.EncodeJSONResponse[int], o...)
		},
	} {
		log := slogged(t)
		m, statuses := kami.New(), make(chan int, 1)
		m.Cancel = true
		m.LogHandler = func(_ context.Context, w mutil.WriterProxy, _ *http.Request) { statuses <- w.Status() }
		begun := make(chan bool, 1)
		m.Post("/", s(endpoint.ServerErrorHandler(endpoint.LogErrors(nil)),
			endpoint.ServerBefore(func(ctx context.Context, _ *http.Request) context.Context { begun <- true; return ctx })))
		server := httptest.NewServer(m)
		c, err := net.Dial("tcp", server.Listener.Addr().String())
		require.NoError(t, err)
		length := "0"
		if name == "in its body" {
			length = "9"
		}
		_, err = io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "+length+"\r\n\r\n")
		require.NoError(t, err)
		next(t, begun)
		require.NoError(t, c.Close())
		assert.Equal(t, 499, next(t, statuses), name)
		server.Close()
		assert.NotContains(t, log.String(), "ERROR", name)
		assert.Contains(t, log.String(), "INFO", name)
	}
}

func TestRequestWithoutABody(t *testing.T) {
	for method, want := range map[string]int{"GET": 200, "HEAD": 200, "DELETE": 200, "POST": 400, "PUT": 400, "PATCH": 400} {
		for _, body := range []io.ReadCloser{nil, http.NoBody, io.NopCloser(strings.NewReader(""))} {
			r := request(method, "/", "")
			r.Body = body
			code, _ := answer(endpoint.JSON(sum), r)
			assert.Equal(t, want, code, "%s %T", method, body)
		}
	}
	code, text := answer(endpoint.JSON(sum), request("DELETE", "/", `{"A":1}`))
	assert.Equal(t, 200, code)
	assert.Equal(t, `{"Sum":1}`, text, "one that is there counts")
}

// special is a response with a status and headers.
type special struct {
	code    int
	headers http.Header
	Text    string
}

func (s special) StatusCode() int      { return s.code }
func (s special) Headers() http.Header { return s.headers }

func TestEncodeJSONResponse(t *testing.T) {
	for _, tt := range []struct {
		code int
		text string
	}{
		{200, "{\"Text\":\"<a&b>\"}\n"},
		{201, "{\"Text\":\"<a&b>\"}\n"},
		{404, "{\"Text\":\"<a&b>\"}\n"},
		{204, ""},
		{205, ""},
		{304, ""},
	} {
		w := httptest.NewRecorder()
		w.Header().Set("X-Many", "a")
		err := endpoint.EncodeJSONResponse(context.Background(), w, special{tt.code, http.Header{"X-Many": {"b", "c"}}, "<a&b>"})
		require.NoError(t, err)
		assert.Equal(t, tt.code, w.Code)
		assert.Equal(t, strings.NewReplacer("<", `\u003c`, "&", `\u0026`, ">", `\u003e`).Replace(tt.text), w.Body.String())
		want := []string{"application/json; charset=utf-8"}
		if tt.text == "" {
			want = nil
		}
		assert.Equal(t, want, w.Header()["Content-Type"])
		assert.Equal(t, []string{"a", "b", "c"}, w.Header()["X-Many"])
	}
}

// A nil pointer is encoded as null, and its methods are not called, because they could panic.
func TestNilPointersAreNull(t *testing.T) {
	for _, s := range []http.Handler{
		endpoint.JSON(func(context.Context, struct{}) (*special, error) { return nil, nil }),
		endpoint.JSON(func(context.Context, struct{}) (*business, error) { return nil, nil }),
		endpoint.JSON(func(context.Context, struct{}) (any, error) { return (*special)(nil), nil }),
		endpoint.JSON(func(context.Context, struct{}) (endpoint.Failer, error) { return (*business)(nil), nil }),
	} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, request("GET", "/", ""))
		assert.Equal(t, 200, w.Code)
		assert.Equal(t, "null\n", w.Body.String())
	}
	r := request("GET", "/", "")
	require.NoError(t, endpoint.EncodeJSONRequest(t.Context(), r, (*special)(nil)))
	text, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	assert.Equal(t, "null\n", string(text))
}

func TestUnknownFields(t *testing.T) {
	name := func(_ context.Context, r line) (string, error) { return r.Name, nil }
	for body, want := range map[string]string{
		`{"name":"a","inner":{"N":1}}`:           `200 "a"`,
		` {"name":"a"} `:                         `200 "a"`,
		`{"name":"a","what":1}`:                  `400 the body does not fit: json: unknown field "what"`,
		`{"name":"a","inner":{"M":1}}`:           `400 the body does not fit: json: unknown field "M"`,
		`{"what":1,"name":2}`:                    `400 field "name": a JSON number at offset 18 does not fit`,
		`{"what":1} {}`:                          `400 the body is not JSON at offset 12: invalid character '{' after top-level value`,
		`{"` + strings.Repeat("x", 200) + `":1}`: `400 the body does not fit: json: unknown field "` + strings.Repeat("x", 79) + `…`,
		``:                                       `400 the body is empty, and should be JSON`,
	} {
		code, text := answer(endpoint.JSON(name, endpoint.ServerDisallowUnknownFields()), request("POST", "/", body))
		assert.Equal(t, want, fmt.Sprintf("%d %s", code, text), body)
	}
	stream := func(context.Context, line) (iter.Seq2[int, error], error) { return seq(nil, 1), nil }
	code, _ := answer(endpoint.Stream(stream, endpoint.ServerDisallowUnknownFields()), request("POST", "/", `{"what":1}`))
	assert.Equal(t, 400, code)
}

// inconstant has a MarshalJSON that fails.
type inconstant struct{}

func (inconstant) MarshalJSON() ([]byte, error) { return nil, errors.New("not today") }

func TestResponseThatCannotBeEncodedIsAnError(t *testing.T) {
	for want, s := range map[string]http.Handler{
		"endpoint: encoding chan int: json: unsupported type: chan int": endpoint.JSON(func(context.Context, struct{}) (chan int, error) { return make(chan int), nil }),
		"endpoint: encoding func(): json: unsupported type: func()":     endpoint.JSON(func(context.Context, struct{}) (any, error) { return func() {}, nil }),
		"endpoint: encoding float64: json: unsupported value: NaN":      endpoint.JSON(func(context.Context, struct{}) (float64, error) { return math.NaN(), nil }),
		"endpoint: encoding []float64: json: unsupported value: +Inf":   endpoint.JSON(func(context.Context, struct{}) ([]float64, error) { return []float64{1, 2, math.Inf(1)}, nil }),
		"endpoint: encoding []interface {}: json: error calling MarshalJSON for type ": endpoint.JSON(func(context.Context, struct{}) ([]any, error) {
			return []any{strings.Repeat("long", 10_000), inconstant{}}, nil
		}),
		"endpoint: endpoint_test.special says the status 99, which is not from 200 to 999":   endpoint.JSON(func(context.Context, struct{}) (special, error) { return special{code: 99}, nil }),
		"endpoint: endpoint_test.special says the status 1000, which is not from 200 to 999": endpoint.JSON(func(context.Context, struct{}) (special, error) { return special{code: 1000}, nil }),
	} {
		log, w := slogged(t), httptest.NewRecorder()
		s.ServeHTTP(w, request("GET", "/", ""))
		assert.Equal(t, 500, w.Code)
		assert.Equal(t, "Internal Server Error\n", w.Body.String())
		assert.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"))
		assert.Contains(t, log.String(), want)
	}
}

func TestEncodeJSONResponseThatFailsHasWrittenNothing(t *testing.T) {
	w := httptest.NewRecorder()
	assert.Error(t, endpoint.EncodeJSONResponse(context.Background(), w, []any{"begun", math.NaN()}))
	assert.Zero(t, w.Body.Len())
	assert.Empty(t, w.Header())
	assert.NoError(t, endpoint.EncodeJSONResponse(context.Background(), w, "next"), "nothing is left of it")
	assert.Equal(t, "\"next\"\n", w.Body.String())
}

// deaf is a writer whose Write fails, as if the client has gone.
type deaf struct{ http.ResponseWriter }

func (deaf) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestEncodeJSONResponseReturnsTheWritersError(t *testing.T) {
	assert.Equal(t, io.ErrClosedPipe, endpoint.EncodeJSONResponse(context.Background(), deaf{httptest.NewRecorder()}, 1))
}

// letter is a request with headers.
type letter struct {
	XMLName struct{} `json:"-" xml:"letter"`
	Text    string
	headers http.Header
}

func (l letter) Headers() http.Header { return l.headers }

func TestEncodeRequest(t *testing.T) {
	for _, tt := range []struct {
		encode            endpoint.EncodeRequestFunc[letter]
		contentType, body string
	}{
		{endpoint.EncodeJSONRequest[letter], "application/json; charset=utf-8", "{\"Text\":\"hi\"}\n"},
		{endpoint.EncodeXMLRequest[letter], "text/xml; charset=utf-8", "<letter><Text>hi</Text></letter>"},
	} {
		r, err := http.NewRequest("POST", "http://sum.test/", nil)
		require.NoError(t, err)
		r.Header.Set("X-Many", "old")
		require.NoError(t, tt.encode(context.Background(), r, letter{Text: "hi", headers: http.Header{"X-Many": {"a", "b"}, "X-None": nil}}))
		assert.Equal(t, tt.contentType, r.Header.Get("Content-Type"))
		assert.Equal(t, []string{"a"}, r.Header["X-Many"])
		assert.NotContains(t, r.Header, "X-None")
		assert.Equal(t, int64(len(tt.body)), r.ContentLength)
		for range 2 {
			body, err := r.GetBody()
			require.NoError(t, err)
			got, _ := io.ReadAll(body)
			assert.Equal(t, tt.body, string(got))
		}
		got, _ := io.ReadAll(r.Body)
		assert.Equal(t, tt.body, string(got))
	}
}

func TestHeadersOfARequestMayReplaceTheContentType(t *testing.T) {
	r, _ := http.NewRequest("POST", "http://sum.test/", nil)
	require.NoError(t, endpoint.EncodeJSONRequest(context.Background(), r, letter{headers: http.Header{"Content-Type": {"application/hal+json"}}}))
	assert.Equal(t, []string{"application/hal+json"}, r.Header["Content-Type"])
}

func TestRequestThatCannotBeEncoded(t *testing.T) {
	r, _ := http.NewRequest("POST", "http://sum.test/", nil)
	assert.EqualError(t, endpoint.EncodeJSONRequest(context.Background(), r, math.NaN()), "endpoint: encoding float64: json: unsupported value: NaN")
	assert.EqualError(t, endpoint.EncodeXMLRequest(context.Background(), r, make(chan int)), "endpoint: encoding chan int: xml: unsupported type: chan int")
	assert.Nil(t, r.Body)
}

func TestNopRequestDecoderReturnsTheZeroRequest(t *testing.T) {
	got, err := endpoint.NopRequestDecoder[*sumRequest](context.Background(), request("POST", "/", `{"A":1}`))
	assert.Nil(t, got)
	assert.NoError(t, err)
}

func TestDecodeJSONResponse(t *testing.T) {
	decode := func(code int, body io.Reader) (sumResponse, error) {
		return endpoint.DecodeJSONResponse[sumResponse](context.Background(), &http.Response{StatusCode: code, Body: io.NopCloser(body)})
	}
	const neither = "endpoint: the status %d is neither an answer nor an error"
	for _, tt := range []struct {
		code  int
		body  string
		sum   int
		error string
	}{
		{200, `{"Sum":3}`, 3, ""},
		{201, `{"Sum":3}`, 3, ""},
		{299, `{"Sum":3}`, 3, ""},
		{204, ``, 0, ""},
		{205, ``, 0, ""},
		{101, ``, 0, strings.Replace(neither, "%d", "101", 1)},
		{300, `{"Sum":3}`, 0, strings.Replace(neither, "%d", "300", 1)},
		{304, ``, 0, strings.Replace(neither, "%d", "304", 1)},
		{399, ``, 0, strings.Replace(neither, "%d", "399", 1)},
		{400, "bad\n", 0, "bad"},
		{404, ``, 0, ""},
		{599, `{"e":1}`, 0, `{"e":1}`},
		{200, `{"Sum":"x"}`, 0, "endpoint: decoding the answer as endpoint_test.sumResponse: json: cannot unmarshal string into Go struct field sumResponse.Sum of type int"},
		{200, `{"Sum":3} x`, 0, "endpoint: decoding the answer as endpoint_test.sumResponse: invalid character 'x' after top-level value"},
		{200, `{"Sum":3`, 0, "endpoint: decoding the answer as endpoint_test.sumResponse: unexpected end of JSON input"},
		{200, ``, 0, "endpoint: decoding the answer as endpoint_test.sumResponse: unexpected end of JSON input"},
		{200, `<html>`, 0, "endpoint: decoding the answer as endpoint_test.sumResponse: invalid character '<' looking for beginning of value"},
	} {
		got, err := decode(tt.code, strings.NewReader(tt.body))
		assert.Equal(t, sumResponse{tt.sum}, got)
		if tt.error == "" && tt.code < 300 {
			assert.NoError(t, err)
		} else if assert.Error(t, err) {
			assert.Equal(t, tt.error, err.Error())
		}
		if tt.code >= 400 {
			assert.Equal(t, endpoint.Error(tt.code, tt.error), err)
		}
	}

	t.Run("HEAD has no body", func(t *testing.T) {
		got, err := endpoint.DecodeJSONResponse[sumResponse](context.Background(),
			&http.Response{StatusCode: 200, Body: http.NoBody, Request: request("HEAD", "/", "")})
		assert.NoError(t, err)
		assert.Zero(t, got)
	})
	t.Run("the message of an error has a limit", func(t *testing.T) {
		_, err := decode(500, strings.NewReader(strings.Repeat("x", 1<<20)))
		assert.Len(t, err.Error(), 64<<10)
	})
	t.Run("a body that breaks off", func(t *testing.T) {
		for code, want := range map[int]string{200: "endpoint: reading the answer: unexpected EOF", 404: "endpoint: reading the answer with status 404: unexpected EOF"} {
			_, err := decode(code, iotest.ErrReader(io.ErrUnexpectedEOF))
			assert.EqualError(t, err, want)
			assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
		}
	})
}

// Buffers are reused, and no request may see the text of another. These types keep the text that they are given, against the
// advice of encoding/json.
type (
	jsonKeeper struct{ text []byte }
	textKeeper struct{ text []byte }
	keyKeeper  struct{ first *byte }
	nested     struct {
		Next *nested
		Map  map[string][]jsonKeeper
	}
)

func (k *jsonKeeper) UnmarshalJSON(text []byte) error { k.text = text; return nil }
func (k *textKeeper) UnmarshalText(text []byte) error { k.text = text; return nil }
func (k *keyKeeper) UnmarshalText(text []byte) error  { k.first = &text[0]; return nil }

// A decoded request does not change when later bodies are decoded, even if its type keeps the text.
func TestNothingIsLeftOfOtherBodies(t *testing.T) {
	keeps(t, `"$"`, func(v jsonKeeper) string { return string(v.text) })
	keeps(t, `"$"`, func(v *jsonKeeper) string { return string(v.text) })
	keeps(t, `"$"`, func(v json.RawMessage) string { return string(v) })
	keeps(t, `"$"`, func(v any) string { return v.(string) })
	keeps(t, `{"K":["$"]}`, func(v struct{ K []jsonKeeper }) string { return string(v.K[0].text) })
	keeps(t, `{"K":["$"]}`, func(v struct{ K [1]*textKeeper }) string { return string(v.K[0].text) })
	keeps(t, `{"K":{"k":"$"}}`, func(v struct{ K map[string]textKeeper }) string { return string(v.K["k"].text) })
	keeps(t, `{"Next":{"Next":{"Map":{"k":["$"]}}}}`, func(v nested) string { return string(v.Next.Next.Map["k"][0].text) })
	keeps(t, `{"Next":{"Next":{"Map":{"k":["$"]}}}}`, func(v *nested) string { return string(v.Next.Next.Map["k"][0].text) })
	keeps(t, `{"k":"$"}`, func(v map[string]string) string { return v["k"] })
	keeps(t, `{"$":1}`, func(v map[string]int) string { return slices.Collect(maps.Keys(v))[0] })
	keeps(t, `{"$":1}`, func(v map[keyKeeper]int) string {
		for k := range v {
			return strings.Repeat(string(*k.first), 52)
		}
		return ""
	})
	keeps(t, `{"Raw":["$"],"Text":"$"}`, func(v struct {
		Raw  json.RawMessage
		Text string
	}) string {
		assert.Equal(t, `["`+v.Text+`"]`, string(v.Raw))
		return v.Text
	})
}

// keeps decodes bodies of the type, each with a different text instead of $, and other bodies between them. It checks that
// each request then still has its text.
func keeps[T any](t *testing.T, body string, text func(T) string) {
	t.Helper()
	var all []T
	own := endpoint.JSON(func(_ context.Context, v T) (int, error) { all = append(all, v); return 0, nil })
	other := endpoint.JSON(func(_ context.Context, v string) (int, error) { return len(v), nil })
	texts := make([]string, 20)
	for i := range texts {
		texts[i] = strings.Repeat(string(rune('a'+i)), 52)
		code, answered := answer(own, request("POST", "/", strings.ReplaceAll(body, "$", texts[i])))
		require.Equal(t, 200, code, answered)
		code, _ = answer(other, request("POST", "/", `"`+strings.Repeat("#", 300)+`"`))
		require.Equal(t, 200, code)
	}
	for i, v := range all {
		assert.Equal(t, texts[i], strings.Trim(text(v), `"`), "%T", v)
	}
}

func TestAnswersAreLimited(t *testing.T) {
	of := func(size int) string { return `"` + strings.Repeat("a", size-2) + `"` }
	const mb = 1 << 20
	for _, tt := range []struct {
		size  int
		limit []endpoint.ClientOption
		want  string
	}{
		{10 * mb, nil, ""},
		{10*mb + 1, nil, "endpoint: the answer is larger than 10485760 bytes"},
		{5, []endpoint.ClientOption{endpoint.ClientMaxAnswer(5)}, ""},
		{6, []endpoint.ClientOption{endpoint.ClientMaxAnswer(5)}, "endpoint: the answer is larger than 5 bytes"},
		{10*mb + 1, []endpoint.ClientOption{endpoint.ClientMaxAnswer(11 * mb)}, ""},
		{10*mb + 1, []endpoint.ClientOption{endpoint.ClientMaxAnswer(0)}, ""},
		{10*mb + 1, []endpoint.ClientOption{endpoint.ClientMaxAnswer(-1)}, ""},
	} {
		answer := doer(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, ContentLength: -1, Body: io.NopCloser(strings.NewReader(of(tt.size)))}, nil
		})
		got, err := endpoint.JSONClient[struct{}, string]("GET", "http://host/", append(tt.limit, endpoint.SetClient(answer))...).
			Endpoint()(t.Context(), struct{}{})
		if tt.want == "" {
			assert.NoError(t, err)
			assert.Len(t, got, tt.size-2)
			continue
		}
		assert.EqualError(t, err, tt.want)
		assert.Equal(t, 502, status(err))
		assert.Empty(t, got)
	}
	_, err := endpoint.DecodeJSONResponse[string](t.Context(), &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(of(10*mb + 1)))})
	assert.EqualError(t, err, "endpoint: the answer is larger than 10485760 bytes")
}
