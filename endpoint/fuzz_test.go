package endpoint_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
)

// FuzzBind checks that any values of path, query and header are bound, or answered with 400.
func FuzzBind(f *testing.F) {
	for _, query := range []string{
		"q=a&yes=true&i8=-128&u8=255&u=7&f32=1.5&f=1e3&wait=1m30s&when=2026-01-02T03:04:05Z&ip=192.0.2.1&pointer=4&ints=1&ints=2&waits=1s&limit=10",
		"f=NaN", "f=1e999", "f32=+Inf", "i8=128", "u8=-1", "wait=9999999h", "when=x", "ip=::1", "q=%zz", "a;b", "ints=&ints", "yes", "deadline=0000-00-00T00:00:00Z",
	} {
		f.Add("42", query, "key")
	}
	f.Add("", "", "")
	f.Add("-0", "&&&", "a, b")
	f.Add("99999999999999999999", "=", "\x00\xff")
	f.Fuzz(func(t *testing.T, id, query, header string) {
		var failed error
		called := false
		s := endpoint.JSON(func(_ context.Context, r everything) (int, error) {
			called = true
			if math.IsNaN(r.F) || math.IsInf(r.F, 0) || math.IsNaN(float64(r.F32)) || math.IsInf(float64(r.F32), 0) {
				t.Errorf("%q has made the number %v or %v", query, r.F, r.F32)
			}
			if want := (http.Header{"Api-Key": {header}})["Api-Key"][0]; r.Key != want {
				t.Errorf("header %q, got %q", want, r.Key)
			}
			return 0, nil
		}, endpoint.ServerErrorHandler(endpoint.ErrorHandlerFunc(func(_ context.Context, err error) { failed = err })))
		r := request("POST", "/", "{}")
		r.URL.RawQuery = query
		r.Header["Api-Key"] = []string{header}
		w := httptest.NewRecorder()
		s.ServeHTTPContext(kami.SetParam(context.Background(), "id", id), w, r)
		switch {
		case called && failed == nil && w.Code == 200:
		case !called && status(failed) == 400 && w.Code == 400 && w.Body.String() == failed.Error()+"\n":
		default:
			t.Errorf("id %q, query %q, header %q: called %v, status %d, error %v", id, query, header, called, w.Code, failed)
		}
	})
}

// FuzzDecodeJSON checks, for a type with a custom decoder and one without, that a body is decoded with the same result as in
// encoding/json, or answered with 400 and the same place, or with 413.
func FuzzDecodeJSON(f *testing.F) {
	for _, body := range []string{
		`{"name":"a","count":1,"tags":["x"],"inner":{"N":1},"any":{"a":[null]},"self":1}`, `{"name":}`, `{"name":1}`, `{"count":1e2}`,
		`{"self":"no"}`, `[]`, `null`, ``, ` `, `{} {}`, "{}\v", " \r\n\t{} \r\n\t", "{}]", "12", "1 2", `{"text":"AAA="}`, `{"text":"!"}`, `{"map":{"a":"b"}}`, `{"count":128}`, "\ufeff{}", "\xff", `{"any":[[[[[[]]]]]]}`, `"`, `{"name":"a","name":"b"}`, `0`,
	} {
		f.Add([]byte(body), false)
		f.Add([]byte(body), true)
	}
	f.Fuzz(func(t *testing.T, body []byte, chunked bool) {
		decodesAlike[line](t, body, chunked)
		decodesAlike[plain](t, body, chunked)
	})
}

// plain is a type without custom decoders.
type plain struct {
	Name  string         `json:"name"`
	Count int8           `json:"count"`
	Tags  []string       `json:"tags"`
	Inner *plain         `json:"inner"`
	Any   any            `json:"any"`
	Text  []byte         `json:"text"`
	Map   map[string]int `json:"map"`
}

func decodesAlike[T any](t *testing.T, body []byte, chunked bool) {
	const limit = 1000
	var want, got, none T
	wantCode, place := 200, ""
	err := json.Unmarshal(body, &want)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case len(body) > limit:
		wantCode, want = 413, none
	case len(bytes.TrimSpace(body)) == 0:
		wantCode, want, place = 400, none, "the body is empty"
	case errors.As(err, &syntax):
		wantCode, want, place = 400, none, fmt.Sprintf("at offset %d: %v", syntax.Offset, syntax)
	case errors.As(err, &kind):
		wantCode, want, place = 400, none, fmt.Sprintf("a JSON %s at offset %d does", kind.Value, kind.Offset)
	case err != nil:
		wantCode, want, place = 400, none, err.Error()
	}
	s := endpoint.JSON(func(_ context.Context, v T) (int, error) { got = v; return 0, nil }, endpoint.ServerMaxBody(limit))
	r := request("POST", "/", string(body))
	if chunked {
		r.ContentLength = -1
	}
	code, text := answer(s, r)
	if code != wantCode || !strings.Contains(text, place) || !reflect.DeepEqual(want, got) {
		t.Errorf("%q as %T: status %d (%s), want %d (%s); got %+v, want %+v", body, got, code, text, wantCode, place, got, want)
	}
}
