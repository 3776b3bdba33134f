package endpoint_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// wired sends requests to the handler as bytes, as over a network.
func wired(h http.Handler) endpoint.ClientOption {
	return endpoint.SetClient(doer(func(r *http.Request) (*http.Response, error) {
		var wire bytes.Buffer
		if err := r.Write(&wire); err != nil {
			return nil, err
		}
		received, err := http.ReadRequest(bufio.NewReader(&wire))
		if err != nil {
			return nil, err
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, received)
		return w.Result(), nil
	}))
}

// kind has methods that encode and decode it. Its zero value cannot be encoded.
type kind int

func (k kind) MarshalText() ([]byte, error) {
	if k < 1 || k > 3 {
		return nil, errors.New("no such kind")
	}
	return []byte(strings.Repeat("I", int(k))), nil
}

func (k *kind) UnmarshalText(text []byte) error {
	*k = kind(len(text))
	return nil
}

type (
	// common is embedded in requests of both sides.
	common struct {
		Trace  string `header:"x-trace" json:"trace"`
		Locale string `json:"locale"`
	}
	// both is a request with a field of each kind, for both sides.
	both struct {
		User  int64            `path:"user"`
		Note  string           `path:"note"`
		Kind  kind             `path:"kind" json:"kind"`
		Rest  string           `path:"rest"`
		Bool  bool             `query:"bool"`
		U8    uint8            `query:"u8"`
		Int   int              `query:"int"`
		F32   float32          `query:"f32"`
		F64   float64          `query:"f64"`
		N     json.Number      `query:"n"`
		Text  string           `query:"te+xt&"`
		Wait  time.Duration    `query:"wait"`
		When  time.Time        `query:"when"`
		IP    net.IP           `query:"ip"`
		Ptr   *int             `query:"ptr"`
		Flag  *bool            `query:"flag"`
		Texts []string         `query:"texts"`
		Ints  []int8           `query:"ints"`
		Waits []*time.Duration `query:"waits"`
		Addr  netip.Addr       `header:"X-Addr"`
		Keys  []string         `header:"X-Keys"`
		Host  string           `header:"Host" json:"-"`
		common
		Body  string            `json:"body"`
		Inner struct{ N []int } `json:"inner"`
		Map   map[string]bool   `json:"map,omitempty"`
		Next  *both             `json:"-"`
	}
)

// random makes values that arrive unchanged, by the rules that JSONClient documents.
type random struct{ *rand.Rand }

func (r random) text(from string) string {
	runes := []rune(from)
	var b strings.Builder
	for range r.IntN(6) {
		b.WriteRune(runes[r.IntN(len(runes))])
	}
	return b.String()
}

const (
	anyText    = "aZ09 /.%?#&=+;:*\\\"'<>{}[]|~^`@!$(),-_\t\n\r\x00\x7f神é\uFFFD"
	headerText = "aZ09/.%?#&=+;:*\\\"'<>{}[]|~^`@!$(),-_神é"
)

// segment returns a value for a param, or for a catch-all.
func (r random) segment(catchAll bool) string {
	for {
		text := r.text(anyText)
		parts := strings.Split(text, "/")
		fits := text != ""
		for _, part := range parts {
			fits = fits && part != "." && part != ".." && (part != "" || !catchAll)
		}
		if fits {
			return text
		}
	}
}

func (r random) both() both {
	b := both{
		User: r.Int64() - r.Int64(), Note: r.segment(false), Kind: kind(1 + r.IntN(3)), Rest: r.segment(true),
		Bool: r.IntN(2) == 1, U8: uint8(r.IntN(256)), Int: r.IntN(3) - 1, F32: float32(r.NormFloat64()), F64: r.NormFloat64() * 1e300,
		Text: r.text(anyText), Wait: time.Duration(r.Int64() - r.Int64()), Host: "host.test",
		common: common{Trace: r.text(headerText), Locale: r.text(anyText)}, Body: r.text(anyText),
	}
	if r.IntN(2) == 1 {
		b.N = json.Number(fmt.Sprint(r.NormFloat64()))
		b.When = time.Unix(r.Int64N(1e10), r.Int64N(1e9)).UTC()
		b.IP = net.IPv4(192, 0, 2, byte(r.IntN(256)))
		b.Addr = netip.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(256))})
		zero, flag := r.IntN(2), r.IntN(2) == 1
		b.Ptr, b.Flag = &zero, &flag
		b.Map = map[string]bool{r.text(anyText): true}
	}
	for range r.IntN(3) {
		wait := time.Duration(r.IntN(3))
		b.Texts = append(b.Texts, r.text(anyText))
		b.Ints = append(b.Ints, int8(r.IntN(256)-128))
		b.Waits = append(b.Waits, &wait)
		b.Keys = append(b.Keys, r.text(headerText))
		b.Inner.N = append(b.Inner.N, r.Int())
	}
	return b
}

// A Server gets the value that JSONClient was given.
func TestJSONClientIsTheOtherHalfOfJSON(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	r := random{rand.New(rand.NewPCG(seed, 0))}
	var got both
	m := kami.New()
	serve := func(_ context.Context, request both) (string, error) { got = request; return request.Body, nil }
	m.Post("/a b/:user/:note/:kind/*rest", endpoint.JSON(serve, endpoint.ServerDisallowUnknownFields()))
	const target = "http://host.test/a%20b/:user/:note/:kind/*rest?x=y"
	byValue := endpoint.JSONClient[both, string]("POST", target, wired(m)).Endpoint()
	byPointer := endpoint.JSONClient[*both, *string]("POST", target, wired(m)).Endpoint()
	for range 500 {
		want := r.both()
		answer, err := byValue(t.Context(), want)
		require.NoError(t, err, "seed %d: %+v", seed, want)
		require.Equal(t, want, got, "seed %d", seed)
		require.Equal(t, want.Body, answer)
		got = both{}
		_, err = byPointer(t.Context(), &want)
		require.NoError(t, err)
		require.Equal(t, want, got, "seed %d", seed)
	}
}

// sent returns the request that a client sends, as a text: method, target, three headers and body.
func sent[Req any](t *testing.T, method, target string, request Req) (string, error) {
	t.Helper()
	var text string
	c := endpoint.JSONClient[Req, any](method, target, endpoint.SetClient(doer(func(r *http.Request) (*http.Response, error) {
		text = r.Method + " " + r.URL.String()
		for _, name := range []string{"Content-Type", "X-Trace", "X-Own"} {
			if values := r.Header[name]; values != nil {
				text += fmt.Sprintf(" %s: %s", name, strings.Join(values, "|"))
			}
		}
		if r.Body != nil {
			body, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			assert.Equal(t, r.ContentLength, int64(len(body)))
			text += " " + string(body)
		}
		return &http.Response{StatusCode: 204, Body: http.NoBody}, nil
	})))
	_, err := c.Endpoint()(t.Context(), request)
	return text, err
}

type (
	userNote struct {
		ID   string `path:"id" json:"id"`
		Page int    `query:"page"`
		common
		Text string `json:"text,omitempty"`
	}
	files struct {
		Path string `path:"path"`
		Up   *bool  `query:"up"`
	}
	// shared has a tagged field and a field of the body with the same name in JSON.
	shared struct {
		ID   string `path:"id"`
		Name string `json:"ID"`
	}
	owned struct {
		Text string
	}
	timedNote struct {
		time.Time
		ID int `path:"id"`
	}
)

func (owned) Headers() http.Header { return http.Header{"X-Own": {"1"}} }

func TestJSONClientPutsFieldsWhereTheyBelong(t *testing.T) {
	const users = "http://host:8080/users/:id/notes"
	const json = " Content-Type: application/json; charset=utf-8"
	yes := false
	for _, tt := range []struct {
		want string
		send func() (string, error)
	}{
		{"POST http://host:8080/users/7/notes" + json + ` {"locale":""}`, func() (string, error) { return sent(t, "POST", users, userNote{ID: "7"}) }},
		{
			"POST http://host:8080/users/a%2Fb%20%25:/notes?page=2" + json + ` X-Trace: t {"locale":"de","text":"x"}`,
			func() (string, error) {
				return sent(t, "POST", users, &userNote{ID: "a/b %:", Page: 2, common: common{"t", "de"}, Text: "x"})
			},
		},
		{"GET http://host:8080/users/7/notes?x=y&page=2", func() (string, error) { return sent(t, "GET", users+"?x=y", userNote{ID: "7", Page: 2}) }},
		{"DELETE http://host:8080/users/7/notes" + json + ` {"locale":"","text":"x"}`, func() (string, error) {
			return sent(t, "DELETE", users, userNote{ID: "7", Text: "x"})
		}},
		{"PUT http://host/files/a%20b/%3F/c?up=false", func() (string, error) {
			return sent(t, "PUT", "http://host/files/*path", files{"a b/?/c", &yes})
		}},
		{"POST http://host/%3Aid/7" + json + ` {"ID":"name"}`, func() (string, error) { return sent(t, "POST", "http://host/%3Aid/:id", shared{"7", "name"}) }},
		{"POST http://host/" + json + ` X-Own: 1 {"Text":"x"}`, func() (string, error) { return sent(t, "POST", "http://host/", owned{"x"}) }},
		{"POST http://host/" + json + ` {"Text":""}`, func() (string, error) { return sent(t, "POST", "http://host/", (*owned)(nil)) }},
		{"POST http://host/" + json + ` [1,2]`, func() (string, error) { return sent(t, "POST", "http://host/", []int{1, 2}) }},
		{"GET http://host/", func() (string, error) { return sent(t, "GET", "http://host/", "") }},
		{"POST http://host/", func() (string, error) { return sent(t, "POST", "http://host/", struct{}{}) }},
		{"POST http://host/7" + json + ` "2026-01-02T00:00:00Z"`, func() (string, error) {
			return sent(t, "POST", "http://host/:id", timedNote{time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), 7})
		}},
	} {
		got, err := tt.send()
		require.NoError(t, err, tt.want)
		assert.Equal(t, tt.want, got)
	}
}

func TestJSONClientSendsNothingThatCannotArrive(t *testing.T) {
	for want, send := range map[string]func() (string, error){
		`path "id": "" has an empty segment`:                              func() (string, error) { return sent(t, "GET", "http://host/:id/x", userNote{}) },
		`path "id": "." has a dot segment, which servers clean away`:      func() (string, error) { return sent(t, "GET", "http://host/:id/x", userNote{ID: "."}) },
		`path "id": "a/../b" has a dot segment, which servers clean away`: func() (string, error) { return sent(t, "GET", "http://host/:id/x", userNote{ID: "a/../b"}) },
		`path "path": "a//b" has an empty segment`:                        func() (string, error) { return sent(t, "GET", "http://host/*path", files{Path: "a//b"}) },
		`path "path": "/a" has an empty segment`:                          func() (string, error) { return sent(t, "GET", "http://host/*path", files{Path: "/a"}) },
		`path "path": "a/" has an empty segment`:                          func() (string, error) { return sent(t, "GET", "http://host/*path", files{Path: "a/"}) },
		`header "X-Trace": "a\r\nHost: x" is no value of a header`: func() (string, error) {
			return sent(t, "GET", "http://host/:id", userNote{ID: "7", common: common{Trace: "a\r\nHost: x"}})
		},
		`header "X-Trace": " a" is no value of a header`: func() (string, error) {
			return sent(t, "GET", "http://host/:id", userNote{ID: "7", common: common{Trace: " a"}})
		},
		`query "f": NaN is no number of JSON`: func() (string, error) {
			return sent(t, "GET", "http://host/", struct {
				F []float64 `query:"f"`
			}{[]float64{math.NaN()}})
		},
		`query "n": "1x" is not a number`: func() (string, error) {
			return sent(t, "GET", "http://host/", struct {
				N json.Number `query:"n"`
			}{"1x"})
		},
		`query "k": no such kind`: func() (string, error) {
			return sent(t, "GET", "http://host/", struct {
				K kind `query:"k"`
			}{4})
		},
		"json: unsupported value: NaN": func() (string, error) { return sent(t, "POST", "http://host/", math.NaN()) },
	} {
		got, err := send()
		assert.ErrorContains(t, err, want)
		assert.ErrorContains(t, err, "endpoint: encoding ")
		assert.Empty(t, got, "nothing is sent")
		assert.Zero(t, status(err), "it is no other server's fault")
	}
}

func TestJSONClientsThatCannotWork(t *testing.T) {
	type oneWay struct {
		K onlyUnmarshals `query:"k"`
	}
	type named struct {
		common `json:"common"`
	}
	const pkg = "endpoint_test."
	for want, make := range map[string]func(){
		`the path has the params [], and the fields of ` + pkg + `files with the tag path have ["path"]`:             func() { endpoint.JSONClient[files, any]("GET", "http://host/files") },
		`the path has the params ["paths"], and the fields of *` + pkg + `files with the tag path have ["path"]`:     func() { endpoint.JSONClient[*files, any]("GET", "http://host/*paths") },
		`the path has the params ["id" "user"], and the fields of ` + pkg + `userNote with the tag path have ["id"]`: func() { endpoint.JSONClient[userNote, any]("GET", "http://host/:user/:id") },
		`field K of ` + pkg + `oneWay has the tag query: ` + pkg + `onlyUnmarshals has a method UnmarshalText, but no MarshalText`: func() {
			endpoint.JSONClient[oneWay, any]("GET", "http://host/")
		},
		`field common of ` + pkg + `named is embedded, and has fields with tags of path, query or header, but a name in the JSON`: func() {
			endpoint.JSONClient[named, any]("GET", "http://host/")
		},
		`chan int cannot be decoded`:            func() { endpoint.JSONClient[chan int, any]("GET", "http://host/") },
		`parse "http://[": missing ']' in host`: func() { endpoint.JSONClient[string, any]("GET", "http://[") },
	} {
		assert.PanicsWithValue(t, "endpoint: JSONClient: "+want, make)
	}
	assert.Panics(t, func() { endpoint.JSONClient[string, any]("BAD METHOD", "http://host/") })
}

// onlyUnmarshals cannot be sent, because it has no MarshalText.
type onlyUnmarshals struct{}

func (*onlyUnmarshals) UnmarshalText([]byte) error { return nil }

// FuzzJSONClient checks that any texts arrive unchanged, or that encoding them fails.
func FuzzJSONClient(f *testing.F) {
	f.Add("7", "a/b", "q", "h", "b")
	f.Add("%2F", "..", "\xff", "\r\n", "\xff")
	f.Add("a/./b", ".a/b.", "", " ", "<>")
	type texts struct {
		P string `path:"p"`
		R string `path:"r"`
		Q string `query:"q"`
		H string `header:"x-h"`
		B []byte
	}
	f.Fuzz(func(t *testing.T, p, r, q, h, b string) {
		var got *texts
		m := kami.New()
		m.Post("/:p/x/*r", endpoint.JSON(func(_ context.Context, request *texts) (int, error) { got = request; return 0, nil }))
		want := &texts{p, r, q, h, []byte(b)}
		_, err := endpoint.JSONClient[*texts, int]("POST", "http://host/:p/x/*r", wired(m)).Endpoint()(t.Context(), want)
		switch {
		case err == nil && !reflect.DeepEqual(want, got):
			t.Errorf("sent %+v, got %+v", want, got)
		case err != nil && !strings.HasPrefix(err.Error(), "endpoint: encoding "):
			t.Errorf("sent %+v: %v", want, err)
		}
	})
}
