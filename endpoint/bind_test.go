package endpoint_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/stretchr/testify/assert"
)

// Paging is embedded in requests.
type Paging struct {
	Limit  int `query:"limit"`
	Offset int `json:"offset"`
}

type hidden struct {
	Token string `header:"x-token"`
}

// everything has a field of each kind.
type everything struct {
	ID       int64            `path:"id"`
	Q        string           `query:"q"`
	Yes      bool             `query:"yes"`
	I8       int8             `query:"i8"`
	U8       uint8            `query:"u8"`
	U        uint             `query:"u"`
	F32      float32          `query:"f32"`
	F        float64          `query:"f"`
	Wait     time.Duration    `query:"wait"`
	When     time.Time        `query:"when"`
	IP       net.IP           `query:"ip"`
	N        json.Number      `query:"n"`
	No       *bool            `query:"no"`
	Pointer  *int             `query:"pointer"`
	Deadline *time.Time       `query:"deadline"`
	Ints     []int            `query:"ints"`
	Waits    []*time.Duration `query:"waits"`
	Key      string           `header:"api-key"`
	Keys     []string         `header:"X-Keys"`
	Host     string           `header:"Host"`
	Paging
	hidden
	Text string `json:"text"`
	Skip func() `json:"-"`
}

// served serves a request with the Server at /things/:id, with kami and with net/http, plain and nested. It checks that the
// answers are the same, and returns one.
func served(t *testing.T, h kami.ContextHandler, make func() *http.Request) (int, string) {
	t.Helper()
	flat, outer, inner, standard := kami.New(), kami.New(), kami.New(), http.NewServeMux()
	flat.Handle("POST", "/things/:id", h)
	inner.Handle("POST", "/things/:id", h)
	outer.Handle("POST", "/things/*rest", inner)
	standard.Handle("POST /things/{id}", h.(http.Handler))
	nested := http.NewServeMux()
	nested.Handle("/", flat)
	code, text := answer(flat, make())
	for name, mux := range map[string]http.Handler{"nested": outer, "ServeMux": standard, "kami in ServeMux": nested} {
		c, x := answer(mux, make())
		assert.Equal(t, code, c, name)
		assert.Equal(t, text, x, name)
	}
	return code, text
}

func TestFieldsComeFromTheirSources(t *testing.T) {
	query := "q=a%20b&q=second&yes=true&i8=-128&u8=255&u=7&f32=1.5&f=1e3&wait=1m30s&when=2026-01-02T03:04:05Z&ip=192.0.2.1" +
		"&pointer=4&deadline=2026-01-02T03:04:05Z&ints=1&ints=2&ints=%203%20&waits=1s&waits=2s&limit=10"
	var got everything
	s := endpoint.JSON(func(_ context.Context, r everything) (int, error) { got = r; return 0, nil })
	code, text := served(t, s, func() *http.Request {
		return request("POST", "/things/42?"+query, `{"text":"t","offset":20}`, "Api-Key: k1", "X-Keys: a", "X-Keys: b", "X-Token: secret")
	})
	assert.Equal(t, 200, code, text)
	when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	four, second, two := 4, time.Second, 2*time.Second
	assert.Equal(t, everything{
		ID: 42, Q: "a b", Yes: true, I8: -128, U8: 255, U: 7, F32: 1.5, F: 1000, Wait: 90 * time.Second, When: when,
		IP: net.ParseIP("192.0.2.1"), Pointer: &four, Deadline: &when, Ints: []int{1, 2, 3}, Waits: []*time.Duration{&second, &two},
		Key: "k1", Keys: []string{"a", "b"}, Host: "example.com", Paging: Paging{10, 20}, hidden: hidden{"secret"}, Text: "t",
	}, got)
}

func TestEmptyValues(t *testing.T) {
	yes, no, zero := true, false, 0
	for query, want := range map[string]everything{
		"u=&f=&i8&wait=&pointer=&deadline&n=&limit=": {},
		"u=&u=7":         {U: 7},
		"ints=&ints=1":   {Ints: []int{1}},
		"ints=&waits":    {},
		"pointer=0":      {Pointer: &zero},
		"yes":            {Yes: true},
		"yes=":           {Yes: true},
		"yes=on&no=off":  {Yes: true, No: &no},
		"yes=off&no=on":  {No: &yes},
		"yes=0&no":       {No: &yes},
		"q=&n=-1.5e%2B3": {N: "-1.5e+3"},
		// Pairs that belong to no field are ignored, even if they are malformed.
		"%=1&other=%&a;b=c;d&%zz&;&&=&q=x&yes;=1": {Q: "x"},
		"Q=a;b": {},
	} {
		var got everything
		s := endpoint.JSON(func(_ context.Context, r everything) (int, error) { got = r; return 0, nil })
		code, text := served(t, s, func() *http.Request {
			r := request("POST", "/things/1?"+query, "{}")
			r.Host = ""
			return r
		})
		assert.Equal(t, 200, code, "%s: %s", query, text)
		want.ID = 1
		assert.Equal(t, want, got, query)
	}
}

func TestMissingValuesStayZero(t *testing.T) {
	got := everything{ID: 1}
	s := endpoint.JSON(func(_ context.Context, r everything) (int, error) { got = r; return 0, nil })
	code, text := served(t, s, func() *http.Request {
		r := request("POST", "/things/0", "{}")
		r.Host = ""
		return r
	})
	assert.Equal(t, 200, code, text)
	assert.Equal(t, everything{}, got)
}

func TestBadValuesAreAnsweredWithTheirName(t *testing.T) {
	s := endpoint.JSON(func(context.Context, everything) (int, error) { return 0, nil })
	for _, tt := range []struct{ target, header, want string }{
		{"/things/x", "", `path "id": "x" is not an integer`},
		{"/things/1.5", "", `path "id": "1.5" is not an integer`},
		{"/things/9223372036854775808", "", `path "id": "9223372036854775808" is out of the range of int64`},
		{"/things/-9223372036854775809", "", `path "id": "-9223372036854775809" is out of the range of int64`},
		{"/things/" + strings.Repeat("9", 5000), "", `path "id": "` + strings.Repeat("9", 100) + `…" is out of the range of int64`},
		{"/things/1?yes=ja", "", `query "yes": "ja" is not true or false`},
		{"/things/1?i8=128", "", `query "i8": "128" is out of the range of int8`},
		{"/things/1?u8=256", "", `query "u8": "256" is out of the range of uint8`},
		{"/things/1?u8=-1", "", `query "u8": "-1" is not an integer from 0 on`},
		{"/things/1?u=0x10", "", `query "u": "0x10" is not an integer from 0 on`},
		{"/things/1?f=NaN", "", `query "f": "NaN" is not a number`},
		{"/things/1?f=-inf", "", `query "f": "-inf" is not a number`},
		{"/things/1?f=x", "", `query "f": "x" is not a number`},
		{"/things/1?f=1e999", "", `query "f": "1e999" is out of the range of float64`},
		{"/things/1?f32=1e39", "", `query "f32": "1e39" is out of the range of float32`},
		{"/things/1?wait=5", "", `query "wait": "5" is not a duration`},
		{"/things/1?when=today", "", `query "when": "today": parsing time "today" as "2006-01-02T15:04:05Z07:00": cannot parse "today" as "2006"`},
		{"/things/1?ip=1.2.3", "", `query "ip": "1.2.3": invalid IP address: 1.2.3`},
		{"/things/1?pointer=x", "", `query "pointer": "x" is not an integer`},
		{"/things/1?ints=1&ints=x&ints=3", "", `query "ints": "x" is not an integer`},
		{"/things/1?waits=1", "", `query "waits": "1" is not a duration`},
		{"/things/1?limit=x", "", `query "limit": "x" is not an integer`},
		{"/things/1?q=%zz", "", `query "q": invalid URL escape "%zz"`},
		{"/things/1?q=a&q=%", "", `query "q": invalid URL escape "%"`},
		{"/things/1?q=a;b", "", `query "q": a semicolon must be escaped`},
		{"/things/1?" + strings.Repeat("ints=1&", 10_001), "", `query "ints": more than 10000 values`},
		{"/things/1?n=x", "", `query "n": "x" is not a number`},
		{"/things/1?n=01", "", `query "n": "01" is not a number`},
		{"/things/1?n=true", "", `query "n": "true" is not a number`},
		{"/things/1?n=%221%22", "", `query "n": "\"1\"" is not a number`},
		{"/things/1?n=1%202", "", `query "n": "1 2" is not a number`},
		// An error quotes at most 100 bytes of a value.
		{"/things/1?u=" + strings.Repeat("%E7%A5%9E", 40), "", `query "u": "` + strings.Repeat("神", 33) + `…" is not an integer from 0 on`},
		{"/things/1?wait=" + strings.Repeat("%FF", 200), "", `query "wait": "` + strings.Repeat(`\xff`, 100) + `…" is not a duration`},
		{"/things/1?ip=" + strings.Repeat("1", 200), "", `query "ip": "` + strings.Repeat("1", 100) + `…" is no net.IP`},
	} {
		code, text := served(t, s, func() *http.Request { return request("POST", tt.target, "{}") })
		assert.Equal(t, 400, code)
		assert.Equal(t, tt.want, text)
	}

	counted := endpoint.JSON(func(_ context.Context, r struct {
		N     uint8   `header:"x-n"`
		Sizes []int16 `header:"x-sizes"`
	}) (int, error) {
		return 0, nil
	})
	for header, want := range map[string]string{
		"X-N: 256":         `header "X-N": "256" is out of the range of uint8`,
		"X-N: many":        `header "X-N": "many" is not an integer from 0 on`,
		"X-Sizes: 1, 2":    `header "X-Sizes": "1, 2" is not an integer`,
		"X-Sizes: 1000000": `header "X-Sizes": "1000000" is out of the range of int16`,
	} {
		code, text := served(t, counted, func() *http.Request { return request("POST", "/things/1", "", header) })
		assert.Equal(t, 400, code)
		assert.Equal(t, want, text)
	}
}

func TestTheBodyNeverSetsTaggedFields(t *testing.T) {
	type tagged struct {
		ID   string   `path:"id"`
		User string   `header:"X-User" json:"user"`
		Tags []string `query:"tags"`
		Role *string  `query:"role"`
		Paging
		hidden
		Text string
	}
	body := `{"ID":"8","id":"8","user":"admin","User":"admin","Tags":["x"],"Role":"admin","Limit":99,"limit":99,"Token":"t","Text":"mine"}`
	for _, tt := range []struct {
		target, user string
		want         tagged
	}{
		{"/things/7", "", tagged{ID: "7", Text: "mine"}},
		{"/things/7?tags=a&limit=1", "me", tagged{ID: "7", User: "me", Tags: []string{"a"}, Paging: Paging{Limit: 1}, Text: "mine"}},
	} {
		var got tagged
		var pointed *tagged
		for _, s := range []kami.ContextHandler{
			endpoint.JSON(func(_ context.Context, r tagged) (int, error) { got = r; return 0, nil }),
			endpoint.JSON(func(_ context.Context, r *tagged) (int, error) { got, pointed = *r, r; return 0, nil }),
		} {
			code, text := served(t, s, func() *http.Request {
				r := request("POST", tt.target, body)
				if tt.user != "" {
					r.Header.Set("X-User", tt.user)
				}
				return r
			})
			assert.Equal(t, 200, code, text)
			assert.Equal(t, tt.want, got)
		}
		assert.NotNil(t, pointed)
	}
}

// stamped has UnmarshalJSON, but no exported fields.
type stamped struct{ text string }

func (s *stamped) UnmarshalJSON(text []byte) error {
	s.text = string(text)
	return nil
}

func TestRequestsOfAllTypes(t *testing.T) {
	show := func(v any) (string, error) { return fmt.Sprintf("%v", v), nil }
	type embedded struct {
		Paging
		*http.Cookie `json:"-"`
	}
	type tagless struct {
		Text  string
		Inner struct {
			Skip chan int `json:"-"`
		}
	}
	type timed struct {
		time.Time
		ID int `path:"id"`
	}
	type queryOnly struct {
		Q string `query:"q"`
	}
	for i, tt := range []struct {
		s    kami.ContextHandler
		body string
		want string
	}{
		{endpoint.JSON(func(_ context.Context, v []int) (string, error) { return show(v) }), "[1,2]", "[1 2]"},
		{endpoint.JSON(func(_ context.Context, v map[string]int) (string, error) { return show(v) }), `{"a":1}`, "map[a:1]"},
		{endpoint.JSON(func(_ context.Context, v map[int8]int) (string, error) { return show(v) }), `{"-1":1}`, "map[-1:1]"},
		{endpoint.JSON(func(_ context.Context, v map[netip.Addr]int) (string, error) { return show(v) }), `{"192.0.2.1":1}`, "map[192.0.2.1:1]"},
		{endpoint.JSON(func(_ context.Context, v string) (string, error) { return show(v) }), `"x"`, "x"},
		{endpoint.JSON(func(_ context.Context, v *int) (string, error) { return show(*v) }), `7`, "7"},
		{endpoint.JSON(func(_ context.Context, v any) (string, error) { return show(v) }), `[true,1]`, "[true 1]"},
		{endpoint.JSON(func(_ context.Context, v json.RawMessage) (string, error) { return show(string(v)) }), `[ 1 ]`, "[ 1 ]"},
		{endpoint.JSON(func(_ context.Context, v time.Time) (string, error) { return show(v.Year()) }), `"2026-01-02T03:04:05Z"`, "2026"},
		{endpoint.JSON(func(_ context.Context, v stamped) (string, error) { return show(v.text) }), `"mine"`, `\"mine\"`},
		{endpoint.JSON(func(_ context.Context, v *stamped) (string, error) { return show(v.text) }), `"mine"`, `\"mine\"`},
		{endpoint.JSON(func(_ context.Context, v timed) (string, error) { return show([]int{v.Year(), v.ID}) }), `"2026-01-02T03:04:05Z"`, "[2026 7]"},
		{endpoint.JSON(func(_ context.Context, v embedded) (string, error) { return show(v.Paging) }), `{"offset":3,"Name":"x"}`, "{5 3}"},
		{endpoint.JSON(func(_ context.Context, v *tagless) (string, error) { return show(v.Text) }), `{"Text":"x"}`, "x"},
		{endpoint.JSON(func(_ context.Context, v *tagless) (string, error) { return show(*v == tagless{}) }), `null`, "true"},
		{endpoint.JSON(func(_ context.Context, v *everything) (string, error) { return show(v.ID) }), `null`, "7"},
		{endpoint.JSON(func(_ context.Context, v struct{}) (string, error) { return show(v) }), ``, "{}"},
		{endpoint.JSON(func(_ context.Context, v *struct{}) (string, error) { return show(*v) }), `what it does not read`, "{}"},
		{endpoint.JSON(func(_ context.Context, v queryOnly) (string, error) { return show(v.Q) }), ``, "a"},
		{endpoint.JSON(func(_ context.Context, v *queryOnly) (string, error) { return show(v.Q) }), ``, "a"},
	} {
		code, text := served(t, tt.s, func() *http.Request { return request("POST", "/things/7?q=a&limit=5", tt.body) })
		assert.Equal(t, 200, code, "case %d: %s", i, text)
		assert.Equal(t, `"`+tt.want+`"`, text, "case %d", i)
	}
}

func TestParamOfKamiGoesBeforePathValueOfNetHTTP(t *testing.T) {
	s := endpoint.JSON(func(_ context.Context, r struct {
		ID string `path:"id"`
		V  string `path:"version"`
	}) (string, error) {
		return r.ID + " " + r.V, nil
	})
	inner := kami.New()
	inner.Get("/:version/things/:id", s)
	outer := http.NewServeMux()
	outer.Handle("/{id}/things/{rest}", inner)
	code, text := answer(outer, request("GET", "/v1/things/7", ""))
	assert.Equal(t, 200, code)
	assert.Equal(t, `"7 v1"`, text)
}

func TestParamsOfOuterMuxesCount(t *testing.T) {
	s := endpoint.JSON(func(_ context.Context, r struct {
		ID      int    `path:"id"`
		Version string `path:"version"`
	}) (string, error) {
		return r.Version, nil
	}, endpoint.ServerOuterParams("version"))
	inner, outer, standard := kami.New(), kami.New(), http.NewServeMux()
	inner.Get("/:v/things/:id", s)
	outer.Handle("GET", "/:version/things/*rest", inner)
	standard.Handle("/{version}/things/{id}", inner)
	for name, mux := range map[string]http.Handler{"kami": outer, "ServeMux": standard} {
		code, text := answer(mux, request("GET", "/v1/things/7", ""))
		assert.Equal(t, 200, code, name)
		assert.Equal(t, `"v1"`, text, name)
	}
}

func TestParamThatTheRouteDoesNotHave(t *testing.T) {
	type item struct {
		ID string `path:"id"`
	}
	get := func(_ context.Context, r item) (string, error) { return r.ID, nil }
	stream := func(context.Context, *item) (iter.Seq2[int, error], error) { return seq[int](nil), nil }
	for _, s := range []kami.ContextHandler{endpoint.JSON(get), endpoint.Stream(stream), endpoint.JSON(get, endpoint.ServerOuterParams("ID"))} {
		for path, params := range map[string]string{
			"/things": "[]", "/things/id": "[]", "/things/:ids": `["ids"]`, "/:a/things/*b": `["a" "b"]`, "/things/:": `[""]`,
		} {
			message := fmt.Sprint(recovered(func() { kami.New().Get(path, s) }))
			assert.Contains(t, message, `kami: GET "`+path+`" (endpoint/bind_test.go:`)
			assert.Contains(t, message, `: field ID of endpoint_test.item has the tag path:"id", but the route's params are `+params+
				"; name one of an outer Mux, a scope or middleware by endpoint.ServerOuterParams")
		}
	}
	m, s := kami.New(), endpoint.JSON(get)
	m.Get("/c/:id", s)
	m.Get("/d/*id", s)
	m.Get("/:tenant/x", endpoint.JSON(get, endpoint.ServerOuterParams("id")))
	m.Get("/by/function", s.ServeHTTPContext) // kami sees only a function, not the Server
	standard := http.NewServeMux()
	for _, path := range []string{"/a/{ids}", "/by/function", "/c/{id}", "/d/{id...}"} {
		standard.Handle(path, s)
	}
	for _, tt := range []struct {
		mux          http.Handler
		target, want string
	}{
		{m, "/c/7", `200 "7"`}, {standard, "/c/7", `200 "7"`},
		{m, "/d/7", `200 "7"`}, {standard, "/d/7", `200 "7"`}, {standard, "/d/", `200 ""`},
		{m, "/7/x", "500 Internal Server Error"}, {m, "/by/function", "500 Internal Server Error"},
		{standard, "/a/7", "500 Internal Server Error"}, {standard, "/by/function", "500 Internal Server Error"},
	} {
		code, text := answer(tt.mux, request("GET", tt.target, ""))
		assert.Equal(t, tt.want, fmt.Sprintf("%d %s", code, text), tt.target)
	}
	code, _ := answer(s, request("GET", "/", ""))
	assert.Equal(t, 200, code, "without a route nobody knows")
}

// recovered returns the value with which the function panics.
func recovered(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

// ServerOuterParams can name the param of a scope that is added later.
func TestParamsOfScopesCount(t *testing.T) {
	s := endpoint.JSON(func(_ context.Context, r struct {
		Tenant string `path:"tenant"`
	}) (string, error) {
		return r.Tenant, nil
	}, endpoint.ServerOuterParams("tenant"))
	m := kami.New()
	m.Get("/acme/status", s)
	m.Use("/:tenant/", func(ctx context.Context) context.Context { return ctx })
	code, text := answer(m, request("GET", "/acme/status", ""))
	assert.Equal(t, 200, code)
	assert.Equal(t, `"acme"`, text)
}

func TestDecodeJSONRequestBindsTagsToo(t *testing.T) {
	e := endpoint.NewServer(func(_ context.Context, r everything) (string, error) { return fmt.Sprint(r.ID, r.Q, r.Text), nil },
		endpoint.DecodeJSONRequest[everything], endpoint.EncodeJSONResponse[string])
	for range 2 {
		code, text := served(t, e, func() *http.Request { return request("POST", "/things/7?q=a", `{"text":"t","ID":8}`) })
		assert.Equal(t, 200, code)
		assert.Equal(t, `"7at"`, strings.ReplaceAll(text, " ", ""))
	}
	_, err := endpoint.DecodeJSONRequest[pathSlice](context.Background(), request("POST", "/", "{}"))
	assert.ErrorContains(t, err, "endpoint: DecodeJSONRequest: field IDs of endpoint_test.pathSlice has the tag path: []string cannot be made of a text")
}

// JSON refuses most of these types, because no request could be decoded into them.
type (
	twoSources struct {
		ID string `path:"id" query:"id"`
	}
	threeSources struct {
		ID string `query:"id" header:"id"`
	}
	noName struct {
		ID string `query:""`
	}
	unexported struct {
		//lint:ignore U1000 that is the point
		id string `path:"id"`
	}
	pathSlice struct {
		IDs []string `path:"ids"`
	}
	sliceOfSlices struct {
		IDs [][]string `query:"ids"`
	}
	pointerToSlice struct {
		IDs *[]string `query:"ids"`
	}
	pointerToMap struct {
		M *map[string]int `query:"m"`
	}
	structured struct {
		P Paging `query:"p"`
	}
	withOption struct {
		Q string `query:"q,omitempty"`
	}
	bytesOf struct {
		B []byte `query:"b"`
	}
	withChan struct {
		C chan int
	}
	withChans struct {
		C map[string][]*chan int
	}
	embedsBad struct {
		withChan
	}
	embedsPointer struct {
		*Paging
	}
	nestedTag struct {
		Pages []struct{ P *Paging }
	}
	recursive struct {
		W     io.Writer
		Next  *recursive
		Other []recursive
	}
)

type (
	inner         struct{ X int }
	embedsPrivate struct{ *inner }
	aboveThat     struct{ Above []embedsPrivate }
	deps          struct{ Log func() }
	embedsDeps    struct {
		deps `json:"-"`
		Name string
	}
	embedsNone struct {
		*inner `json:"-"`
		Name   string
	}
)

// Types that encoding/json ignores need not be decodable.
func TestEmbeddedTypesThatAreNotOfTheBody(t *testing.T) {
	for _, s := range []http.Handler{
		endpoint.JSON(func(_ context.Context, r embedsDeps) (string, error) { return r.Name, nil }),
		endpoint.JSON(func(_ context.Context, r embedsNone) (string, error) { return r.Name, nil }),
	} {
		code, text := answer(s, request("POST", "/", `{"Name":"x"}`))
		assert.Equal(t, 200, code)
		assert.Equal(t, `"x"`, text)
	}
}

func TestTypesThatCanNeverBeServedAreRefused(t *testing.T) {
	const pkg = "endpoint_test."
	const kinds = " cannot be made of a text: it must be a string, a bool, a number, a time.Duration, an encoding.TextUnmarshaler," +
		" or a pointer to such or (in query and header) a slice of such"
	const private = "inner cannot be set: it is an embedded pointer to a type that is not exported"
	const nested = "field Limit of " + pkg + "Paging has the tag query, which counts only in the request type and in structs embedded in it"
	for want, register := range map[string]func(){
		"JSON: field ID of " + pkg + "twoSources has the tags path and query: a value has one source":      func() { refused[twoSources]() },
		"JSON: field ID of " + pkg + "threeSources has the tags query and header: a value has one source":  func() { refused[*threeSources]() },
		"JSON: field ID of " + pkg + "noName: its tag query has \"\", which is no name":                    func() { refused[noName]() },
		"JSON: field id of " + pkg + "unexported has the tag path, but is not exported":                    func() { refused[unexported]() },
		"JSON: field IDs of " + pkg + "pathSlice has the tag path: []string" + kinds:                       func() { refused[pathSlice]() },
		"JSON: field IDs of " + pkg + "sliceOfSlices has the tag query: []string" + kinds:                  func() { refused[sliceOfSlices]() },
		"JSON: field IDs of " + pkg + "pointerToSlice has the tag query: []string" + kinds:                 func() { refused[pointerToSlice]() },
		"JSON: field M of " + pkg + "pointerToMap has the tag query: map[string]int" + kinds:               func() { refused[pointerToMap]() },
		"JSON: field P of " + pkg + "structured has the tag query: " + pkg + "Paging" + kinds:              func() { refused[structured]() },
		"JSON: field C of " + pkg + "withChan: chan int cannot be decoded":                                 func() { refused[withChan]() },
		"JSON: field C of " + pkg + "withChans: chan int cannot be decoded":                                func() { refused[withChans]() },
		"JSON: field C of " + pkg + "withChan: chan int cannot be decoded ":                                func() { refused[embedsBad]() },
		"JSON: field Paging of " + pkg + "embedsPointer: " + nested:                                        func() { refused[embedsPointer]() },
		"JSON: field Pages of " + pkg + "nestedTag: field P of struct { P *" + pkg + "Paging }: " + nested: func() { refused[nestedTag]() },
		"JSON: " + nested: func() { refused[[]Paging]() },
		"JSON: field W of " + pkg + "recursive: io.Writer cannot be decoded":                                    func() { refused[recursive]() },
		"JSON: field Q of " + pkg + `withOption: its tag query has "q,omitempty", which is no name`:             func() { refused[withOption]() },
		"JSON: field B of " + pkg + "bytesOf has the tag query: []uint8" + kinds:                                func() { refused[bytesOf]() },
		"JSON: map[float64]int cannot be decoded: its keys are neither strings nor integers":                    func() { refused[map[float64]int]() },
		"JSON: chan int cannot be decoded":                                                                      func() { refused[chan int]() },
		"JSON: func() cannot be decoded":                                                                        func() { refused[func()]() },
		"JSON: complex128 cannot be decoded":                                                                    func() { refused[complex128]() },
		"JSON: io.Reader cannot be decoded":                                                                     func() { refused[io.Reader]() },
		"JSON: field inner of " + pkg + "embedsPrivate: *" + pkg + private:                                      func() { refused[embedsPrivate]() },
		"JSON: field Above of " + pkg + "aboveThat: field inner of " + pkg + "embedsPrivate: *" + pkg + private: func() { refused[aboveThat]() },
		"Stream: chan int cannot be decoded":                                                                    func() { endpoint.Stream(noStream[chan int]) },
	} {
		assert.PanicsWithValue(t, "endpoint: "+strings.TrimSpace(want), register)
	}
}

func refused[Req any]() { endpoint.JSON(endpoint.Nop[Req, int]) }

func TestFloatsAreFinite(t *testing.T) {
	s := endpoint.JSON(func(_ context.Context, r everything) (float64, error) { return r.F, nil })
	code, text := answer(s, request("POST", "/", "{}"))
	assert.Equal(t, 400, code, text)
	ctx := kami.SetParam(context.Background(), "id", "1")
	r := request("POST", fmt.Sprintf("/?f=%.0f", math.MaxFloat64), "{}").WithContext(ctx)
	code, text = answer(s, r)
	assert.Equal(t, 200, code)
	assert.Equal(t, "1.7976931348623157e+308", text)
}

func TestEmbeddedStructThatIsNotOfTheBody(t *testing.T) {
	type page struct {
		Number int `query:"page"`
		Hidden string
	}
	type list struct {
		page `json:"-"`
	}
	m := kami.New()
	m.Post("/", endpoint.JSON(func(_ context.Context, r list) (int, error) { return r.Number, nil }))
	code, text := answer(m, request("POST", "/?page=7", ""))
	assert.Equal(t, 200, code, "it needs no body")
	assert.Equal(t, "7", text)
}
