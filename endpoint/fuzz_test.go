package endpoint_test

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
)

// FuzzBind has values of path, query and header that are anything: they are bound, or answered 400.
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
		case !called && status(failed) == 400 && w.Code == 400 && w.Body.String() == failed.Error():
		default:
			t.Errorf("id %q, query %q, header %q: called %v, status %d, error %v", id, query, header, called, w.Code, failed)
		}
	})
}

// FuzzDecodeJSON has any body: it is decoded exactly if and as encoding/json does, and is answered 400 or 413 otherwise.
func FuzzDecodeJSON(f *testing.F) {
	for _, body := range []string{
		`{"name":"a","count":1,"tags":["x"],"inner":{"N":1},"any":{"a":[null]},"self":1}`, `{"name":}`, `{"name":1}`, `{"count":1e2}`,
		`{"self":"no"}`, `[]`, `null`, ``, ` `, `{} {}`, "\xff", `{"any":[[[[[[]]]]]]}`, `"`, `{"name":"a","name":"b"}`, `0`,
	} {
		f.Add([]byte(body), false)
		f.Add([]byte(body), true)
	}
	f.Fuzz(func(t *testing.T, body []byte, chunked bool) {
		const limit = 1000
		var want, got line
		wantErr := json.Unmarshal(body, &want)
		s := endpoint.JSON(func(_ context.Context, l line) (int, error) { got = l; return 0, nil }, endpoint.ServerMaxBody(limit))
		r := request("POST", "/", string(body))
		if chunked {
			r.ContentLength = -1
		}
		code, text := answer(s, r)
		wantCode := 200
		switch {
		case len(body) > limit:
			wantCode, want = 413, line{}
		case wantErr != nil:
			wantCode, want = 400, line{}
		}
		if code != wantCode || !reflect.DeepEqual(want, got) {
			t.Errorf("%q: status %d (%s), want %d; got %+v, want %+v", body, code, text, wantCode, got, want)
		}
	})
}
