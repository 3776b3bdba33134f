package component_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/accesslog"
	"github.com/guregu/kami/component"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/inspect"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/mutil"
)

// Room has methods whose answers depend on their requests and on its fields.
type Room struct {
	kept [][]byte
	err  error
	nils bool
}

func (r *Room) Join(_ context.Context, v *in) (*out, error) {
	if r.nils {
		return nil, r.err
	}
	return &out{v.N}, r.err
}

func (r *Room) Keep(_ context.Context, body []byte) ([]byte, error) {
	r.kept = append(r.kept, body)
	if r.nils {
		return nil, nil
	}
	return body, nil
}

func (r *Room) Leave(context.Context, *in) error { return r.err }

func (r *Room) Left(_ context.Context, v *in) {
	if v.N == 13 {
		panic("thirteen")
	}
}

func (r *Room) Odd(context.Context) (*func(), error) {
	f := func() {}
	return &f, nil
}

// gobs is a codec of package encoding/gob.
type gobs struct{}

func (gobs) ContentType() string { return "application/x-gob" }
func (gobs) Marshal(v any) ([]byte, error) {
	if p, ok := v.(*out); ok && p == nil {
		return []byte("null"), nil
	}
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(v)
	return b.Bytes(), err
}
func (gobs) Unmarshal(data []byte, v any) error {
	return gob.NewDecoder(bytes.NewReader(data)).Decode(v)
}

func encoded(t *testing.T, v any) string {
	text, err := gobs{}.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

// exact is a codec for JSON that refuses unknown fields.
type exact struct{ message.Codec }

func (exact) Unmarshal(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

func TestK03TheCodecOfTheContentType(t *testing.T) {
	mux := started(t, new(Room), component.WithCodecs(gobs{}))
	three := encoded(t, in{N: 3})
	const jsonType = "application/json; charset=utf-8"
	for _, test := range []struct {
		contentType, body string
		status            int
		wantType, want    string
	}{
		{"", `{"n":3}`, 200, jsonType, `{"n":3}` + "\n"},
		{"application/json", `{"n":3}`, 200, jsonType, `{"n":3}` + "\n"},
		{"Application/JSON ; charset=utf-8", `{"n":3}`, 200, jsonType, `{"n":3}` + "\n"},
		{"application/vnd.room+json", `{"n":3}`, 200, jsonType, `{"n":3}` + "\n"},
		{"application/x-gob", three, 200, "application/x-gob", encoded(t, &out{3})},
		{"Application/X-Gob; v=1", three, 200, "application/x-gob", encoded(t, &out{3})},
		{"application/x-gob", "", 200, "application/x-gob", encoded(t, &out{0})},
		{"application/x-gob", three[:7], 400, "text/plain; charset=utf-8", "the body is not application/x-gob: unexpected EOF\n"},
		{"application/x-www-form-urlencoded", `{"n":3}`, 415, "text/plain; charset=utf-8",
			`Content-Type "application/x-www-form-urlencoded" is none of: application/json, application/x-gob` + "\n"},
		{"text/plain", "", 200, jsonType, `{"n":0}` + "\n"}, // an empty body may have any type
	} {
		w := post(mux, "/Room/Join", test.contentType, test.body)
		assert.Equal(t, test.status, w.Code, test.contentType)
		assert.Equal(t, test.wantType, w.Header().Get("Content-Type"), test.contentType)
		assert.Equal(t, test.want, w.Body.String(), test.contentType)
	}
}

// A page of another origin can make a browser send a body without a type, with the user's cookies. The browser does not ask the server
// first. So such a body is refused.
func TestK03NoTypeFromAnotherOrigin(t *testing.T) {
	mux := started(t, new(Room))
	for site, want := range map[string]int{"": 200, "same-origin": 200, "none": 200, "same-site": 415, "cross-site": 415} {
		for contentType, typed := range map[string]bool{"": false, "application/json": true} {
			r := httptest.NewRequest("POST", "/Room/Join", strings.NewReader(`{"n":3}`))
			r.Header.Set("Sec-Fetch-Site", site)
			r.Header.Set("Content-Type", contentType)
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			if typed { // the browser asks the server before it sends this type
				assert.Equal(t, 200, w.Code, site)
				continue
			}
			assert.Equal(t, want, w.Code, site)
			if want == 415 {
				assert.Equal(t, "the body has no Content-Type, which a page of another origin must send: application/json\n", w.Body.String())
			}
		}
	}
}

func TestK03ACodecInThePlaceOfJSON(t *testing.T) {
	mux := started(t, new(Room), component.WithCodecs(exact{message.JSON}))
	assert.Equal(t, 200, post(mux, "/Room/Join", "", `{"n":3}`).Code)
	w := post(mux, "/Room/Join", "application/json", `{"x":3}`)
	assert.Equal(t, 400, w.Code)
	assert.Equal(t, `the body is not application/json: json: unknown field "x"`+"\n", w.Body.String())
	assert.Equal(t, 400, post(mux, "/Room/Join", "a/b+json", `{"x":3}`).Code)
}

// TestK03Remote checks that message.Remote and message.Stream can call a component's method, with a codec.
func TestK03Remote(t *testing.T) {
	mux := started(t, new(Room), component.WithCodecs(gobs{}))
	call := message.Remote[in, *out](message.Local(mux), "Room.Join", message.WithCodec(gobs{}))
	got, err := call(t.Context(), in{N: 3})
	require.NoError(t, err)
	assert.Equal(t, &out{3}, got)
	watch := message.Stream[in, out](message.Local(mux), "Room.Join")
	n := 0
	for item, err := range watch(t.Context(), in{N: 4}) {
		require.NoError(t, err)
		assert.Equal(t, out{4}, item)
		n++
	}
	assert.Equal(t, 1, n, "an answer that is whole is one item")
}

func TestK03EmptyBodies(t *testing.T) {
	room := new(Room)
	mux := started(t, room)
	assert.Equal(t, `{"n":0}`+"\n", string(send(mux, "Room.Join", "").Body))
	assert.Equal(t, `{"n":0}`+"\n", post(mux, "/Room/Join", "application/json", "null").Body.String())
	chunked := httptest.NewRequest("POST", "/Room/Join", io.MultiReader(strings.NewReader(""))) // of unknown length
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, chunked)
	assert.Equal(t, `{"n":0}`+"\n", w.Body.String())
	none := httptest.NewRequest("POST", "/Room/Join", nil)
	none.Body = nil
	w = httptest.NewRecorder()
	mux.ServeHTTP(w, none)
	assert.Equal(t, `{"n":0}`+"\n", w.Body.String())
	assert.Equal(t, 200, post(mux, "/Room/Keep", "", "").Code)
	assert.Empty(t, room.kept[0])
}

// TestK03BytesMayBeKept checks that later calls do not change the bytes that earlier calls have got.
func TestK03BytesMayBeKept(t *testing.T) {
	room := new(Room)
	mux := started(t, room)
	for _, body := range []string{"first", "other", "third"} {
		w := post(mux, "/Room/Keep", "text/plain", body)
		assert.Equal(t, body, w.Body.String())
		assert.Equal(t, "application/json; charset=utf-8", w.Header().Get("Content-Type"))
	}
	assert.Equal(t, [][]byte{[]byte("first"), []byte("other"), []byte("third")}, room.kept)
	_ = append(room.kept[0], "xx"...)
	assert.Equal(t, "other", string(room.kept[1]))
	room.nils = true
	w := post(mux, "/Room/Keep", "", "x")
	assert.Equal(t, 200, w.Code)
	assert.Empty(t, w.Body.String())
}

// keeping is a codec whose values keep the text that they are decoded from, without a copy.
type keeping struct{}

type kept struct{ text []byte }

func (keeping) ContentType() string                { return "text/kept" }
func (keeping) Marshal(v any) ([]byte, error)      { return v.(*kept).text, nil }
func (keeping) Unmarshal(data []byte, v any) error { v.(*kept).text = data; return nil }

// Shelf keeps its requests.
type Shelf struct{ all []*kept }

func (s *Shelf) Keep(_ context.Context, v *kept) error { s.all = append(s.all, v); return nil }

// TestK03ACodecMayKeepItsText checks that later bodies do not change the text that a codec has kept.
func TestK03ACodecMayKeepItsText(t *testing.T) {
	shelf := new(Shelf)
	mux := started(t, shelf, component.WithCodecs(keeping{}))
	for _, body := range []string{"first", "other", "third"} {
		require.Equal(t, 204, post(mux, "/Shelf/Keep", "text/kept", body).Code)
	}
	assert.Equal(t, []*kept{{[]byte("first")}, {[]byte("other")}, {[]byte("third")}}, shelf.all)
}

// teapot is an error with a status and headers.
type teapot struct{}

func (teapot) Error() string        { return "short and stout" }
func (teapot) StatusCode() int      { return 418 }
func (teapot) Headers() http.Header { return http.Header{"Retry-After": {"7"}} }

func TestK03ErrorsAnswerAsThoseOfHandlers(t *testing.T) {
	log, room := logs(t), &Room{err: teapot{}}
	mux := started(t, room)
	for _, path := range []string{"/Room/Join", "/Room/Leave"} {
		w := post(mux, path, "", "{}")
		assert.Equal(t, 418, w.Code)
		assert.Equal(t, "7", w.Header().Get("Retry-After"))
		assert.Equal(t, "short and stout\n", w.Body.String())
	}
	assert.Empty(t, log.String())
	room.err = errors.New("secret")
	w := post(mux, "/Room/Join", "", "{}")
	assert.Equal(t, 500, w.Code)
	assert.Equal(t, "Internal Server Error\n", w.Body.String())
	assert.Contains(t, log.String(), "secret")
	mux.ErrorHandler = func(_ context.Context, w http.ResponseWriter, r *http.Request, err error) {
		http.Error(w, r.Pattern+": "+err.Error(), 599)
	}
	assert.Equal(t, 599, post(mux, "/Room/Join", "", "{}").Code)
	w = post(mux, "/Room/Join", "", "[]")
	assert.Equal(t, "/Room/Join: a JSON array at offset 1 does not fit\n", w.Body.String())
}

// TestK03RemoteErrors checks that a caller gets the error that a method returns.
func TestK03RemoteErrors(t *testing.T) {
	mux := started(t, &Room{err: endpoint.Error(409, "taken")})
	_, err := message.Remote[in, out](message.Local(mux), "Room.Join")(t.Context(), in{})
	assert.ErrorIs(t, err, endpoint.Error(409, "taken"))
}

func TestK03PanicsGoOn(t *testing.T) {
	log := logs(t)
	mux := started(t, new(Room))
	assert.Equal(t, "thirteen", panicOf(func() { post(mux, "/Room/Left", "", `{"n":13}`) }))
	assert.Equal(t, 500, send(mux, "Room.Left", `{"n":13}`).Status)
	assert.Contains(t, log.String(), "(*Room).Left")
}

// broken is a writer whose Write fails, as if the client has gone after the header.
type broken struct{ http.ResponseWriter }

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// TestK03HalfAnAnswer checks that a handler aborts the connection if its answer cannot be written.
func TestK03HalfAnAnswer(t *testing.T) {
	log := logs(t)
	mux := started(t, new(Room))
	for _, path := range []string{"/Room/Join", "/Room/Keep"} {
		v := panicOf(func() {
			mux.ServeHTTP(broken{httptest.NewRecorder()}, httptest.NewRequest("POST", path, strings.NewReader("{}")))
		})
		assert.Equal(t, http.ErrAbortHandler, v)
	}
	assert.Contains(t, log.String(), "broken pipe")
}

func TestK04NoContent(t *testing.T) {
	mux := started(t, new(Room))
	for _, method := range []string{"Leave", "Left"} {
		w := post(mux, "/Room/"+method, "", "{}")
		assert.Equal(t, 204, w.Code)
		assert.Empty(t, w.Body.String())
		assert.Empty(t, w.Header())
		reply := send(mux, "Room."+method, "{}")
		assert.Equal(t, 204, reply.Status)
		assert.Empty(t, reply.Body)
	}
}

func TestK04NilIsNull(t *testing.T) {
	mux := started(t, &Room{nils: true}, component.WithCodecs(gobs{}))
	assert.Equal(t, "null\n", post(mux, "/Room/Join", "", "{}").Body.String())
	assert.Equal(t, "null", post(mux, "/Room/Join", "application/x-gob", "").Body.String())
	got, err := message.Remote[in, *out](message.Local(mux), "Room.Join")(t.Context(), in{})
	assert.NoError(t, err)
	assert.Nil(t, got)
}

func TestK04Notifications(t *testing.T) {
	log := logs(t)
	room := new(Room)
	mux := started(t, room)
	require.NoError(t, message.Notify(t.Context(), message.Local(mux), "Room.Join", in{N: 1}))
	require.NoError(t, message.Notify(t.Context(), message.Local(mux), "Room.Left", in{N: 1}))
	assert.Empty(t, log.String())
	room.err = endpoint.Error(409, "taken")
	require.NoError(t, message.Notify(t.Context(), message.Local(mux), "Room.Leave", in{N: 1}))
	assert.Contains(t, log.String(), "taken")
}

// TestBadInput checks the status and the text of the answer to each kind of bad input.
func TestBadInput(t *testing.T) {
	mux := started(t, new(Room), component.WithCodecs(gobs{}))
	large := strings.Repeat("x", endpoint.DefaultMaxBody+1)
	for _, test := range []struct {
		name, route, contentType, body string
		status                         int
		text                           string
	}{
		{"wrong type", "Room.Join", "", `{"n":"x"}`, 400, `field "n": a JSON string at offset 8 does not fit`},
		{"not an object", "Room.Join", "", `[]`, 400, "a JSON array at offset 1 does not fit"},
		{"not json", "Room.Join", "", `{"n":`, 400, "the body is not JSON at offset 5: unexpected end of JSON input"},
		{"two values", "Room.Join", "", `{} {}`, 400, "the body is not JSON at offset 4: invalid character '{' after top-level value"},
		{"space", "Room.Join", "", " \n", 400, "the body is empty, and should be JSON"},
		{"duplicate keys", "Room.Join", "", `{"n":1,"n":2}`, 200, `{"n":2}`}, // as in encoding/json, the last one counts
		{"unknown keys", "Room.Join", "", `{"x":1}`, 200, `{"n":0}`},
		{"deep", "Room.Join", "", `{"any":` + strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001) + "}", 400, "the body is not JSON at offset 10007: exceeded max depth"},
		{"too large", "Room.Join", "", `{"any":"` + large + `"}`, 413, "the body is larger than 1048576 bytes"},
		{"too many bytes", "Room.Keep", "", large, 413, "the body is larger than 1048576 bytes"},
		{"too large for a codec", "Room.Join", "application/x-gob", large, 413, "the body is larger than 1048576 bytes"},
		{"not that codec's", "Room.Join", "application/x-gob", "{}", 400, "the body is not application/x-gob: unexpected EOF"},
		{"another type", "Room.Join", "text/plain", "{}", 415, `Content-Type "text/plain" is none of: application/json, application/x-gob`},
		{"an odd type", "Room.Join", "\x00;;", "{}", 415, `Content-Type "\x00;;" is none of: application/json, application/x-gob`},
		{"a long type", "Room.Join", strings.Repeat("y", 1000), "{}", 415, `Content-Type "` + strings.Repeat("y", 100) + `…" is none of: application/json, application/x-gob`},
		{"no such method", "Room.Dance", "", "{}", 404, "404 page not found"},
		{"no such component", "Hall.Join", "", "{}", 404, "404 page not found"},
		{"another case", "room.join", "", "{}", 404, "404 page not found"},
		{"an unexported method", "Room.say", "", "{}", 404, "404 page not found"},
		{"an answer that cannot be encoded", "Room.Odd", "", "{}", 500, "Internal Server Error"},
		{"nor by a codec", "Room.Odd", "application/x-gob", "", 500, "Internal Server Error"},
	} {
		t.Run(test.name, func(t *testing.T) {
			log := logs(t)
			m := &message.Message{Route: test.route, Body: []byte(test.body)}
			if test.contentType != "" {
				m.Header = http.Header{"Content-Type": {test.contentType}}
			}
			reply := message.Serve(t.Context(), mux, m)
			w := post(mux, "/"+strings.ReplaceAll(test.route, ".", "/"), test.contentType, test.body)
			assert.Equal(t, test.status, reply.Status)
			assert.Equal(t, test.status, w.Code)
			for _, body := range []string{string(reply.Body), w.Body.String()} {
				text := strings.Replace(body, "invalid character '[' exceeded", "exceeded", 1) // Go 1.26 adds the character
				assert.Equal(t, test.text+"\n", text)
			}
			assert.Equal(t, test.status == 500, strings.Contains(log.String(), "encoding"), log)
		})
	}
}

// TestBadInputThatBreaks checks the answer to a body that cannot be read.
func TestBadInputThatBreaks(t *testing.T) {
	mux := started(t, new(Room))
	for _, path := range []string{"/Room/Join", "/Room/Keep"} {
		r := httptest.NewRequest("POST", path, iotest.ErrReader(errors.New("odd")))
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		assert.Equal(t, 400, w.Code)
		assert.Equal(t, "the body cannot be read: odd\n", w.Body.String())
	}
}

func TestK07TheMethodIsNamed(t *testing.T) {
	log := new(bytes.Buffer)
	mux := started(t, new(Room))
	mux.LogHandler = accesslog.New(slog.New(slog.NewTextHandler(log, nil)))
	e, err := mux.Explain("POST", "/Room/Join")
	require.NoError(t, err)
	assert.Equal(t, "(*Room).Join", e.Route.Handler)
	assert.Contains(t, e.String(), "POST /Room/Join  (*Room).Join (component/suite_test.go:")
	assert.Empty(t, mux.Check())

	page := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/?method=POST&path=/Room/Join", nil)
	r.Host, r.RemoteAddr = "localhost", "127.0.0.1:1"
	inspect.Handler(mux).ServeHTTP(page, r)
	assert.Equal(t, 200, page.Code)
	assert.Contains(t, page.Body.String(), "(*Room).Join")

	post(mux, "/Room/Join", "", "{}")
	send(mux, "Room.Join", "{}")
	assert.Equal(t, 2, strings.Count(log.String(), `handler=(*Room).Join`), log)
	log.Reset()
	outer := kami.New()
	outer.After("/", func(ctx context.Context, w mutil.WriterProxy, r *http.Request) { mux.LogHandler(ctx, w, r) })
	outer.Mount("/", mux)
	post(outer, "/Room/Left", "", "{}")
	assert.Equal(t, 2, strings.Count(log.String(), `handler=(*Room).Left`), log)
}
