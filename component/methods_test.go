package component_test

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/component"
)

type in struct {
	N   int `json:"n"`
	Any any `json:"any"`
}

type out struct {
	N int `json:"n"`
}

// Shapes has a method of each accepted kind, and some methods that are not handlers.
type Shapes struct {
	component.Base
	Embedded
	ran []string
}

func (s *Shapes) note(name string) { s.ran = append(s.ran, name) }

func (s *Shapes) None(context.Context)                               { s.note("None") }
func (s *Shapes) NoneOfT(_ context.Context, r *in)                   { s.note("NoneOfT") }
func (s *Shapes) NoneOfBytes(_ context.Context, b []byte)            { s.note("NoneOfBytes") }
func (s *Shapes) Fails(context.Context) error                        { return nil }
func (s *Shapes) FailsOfT(context.Context, *in) error                { return nil }
func (s *Shapes) FailsOfBytes(context.Context, []byte) error         { return nil }
func (s *Shapes) R(context.Context) (*out, error)                    { return &out{1}, nil }
func (s *Shapes) ROfT(_ context.Context, r *in) (*out, error)        { return &out{r.N}, nil }
func (s *Shapes) ROfBytes(_ context.Context, b []byte) (*out, error) { return &out{len(b)}, nil }
func (s *Shapes) Bytes(context.Context) ([]byte, error)              { return []byte("1"), nil }
func (s *Shapes) BytesOfT(_ context.Context, r *in) ([]byte, error)  { return make([]byte, r.N), nil }
func (s *Shapes) BytesOfBytes(_ context.Context, b []byte) ([]byte, error) {
	return b, nil
}

func (s *Shapes) Left()                               {}
func (s *Shapes) Alone(int) string                    { return "" }
func (s *Shapes) Second(int, context.Context)         {}
func (s *Shapes) unexported(context.Context, int) int { return 0 }

// Embedded has a handler for the types that embed it.
type Embedded struct{}

func (Embedded) Promoted(context.Context) error { return nil }

var shapes = []string{
	"Bytes", "BytesOfBytes", "BytesOfT", "Fails", "FailsOfBytes", "FailsOfT", "None", "NoneOfBytes", "NoneOfT", "Promoted",
	"R", "ROfBytes", "ROfT",
}

func TestK01Shapes(t *testing.T) {
	s := new(Shapes)
	s.unexported(t.Context(), 0)
	mux := started(t, s)
	var want []string
	for _, name := range shapes {
		want = append(want, "POST /Shapes/"+name)
	}
	assert.Equal(t, want, routes(mux))
	for _, name := range shapes {
		w := post(mux, "/Shapes/"+name, "application/json", `{"n":3}`)
		reply := send(mux, "Shapes."+name, `{"n":3}`)
		wantCode, wantBody := 204, ""
		switch name {
		case "R":
			wantCode, wantBody = 200, `{"n":1}`+"\n"
		case "ROfT":
			wantCode, wantBody = 200, `{"n":3}`+"\n"
		case "ROfBytes":
			wantCode, wantBody = 200, `{"n":7}`+"\n"
		case "Bytes":
			wantCode, wantBody = 200, "1"
		case "BytesOfT":
			wantCode, wantBody = 200, "\x00\x00\x00"
		case "BytesOfBytes":
			wantCode, wantBody = 200, `{"n":3}`
		}
		assert.Equal(t, wantCode, w.Code, name)
		assert.Equal(t, wantBody, w.Body.String(), name)
		assert.Equal(t, wantCode, reply.Status, name)
		assert.Equal(t, wantBody, string(reply.Body), name)
		assert.Equal(t, "/Shapes/"+name, reply.Pattern)
	}
	assert.Equal(t, []string{"None", "None", "NoneOfBytes", "NoneOfBytes", "NoneOfT", "NoneOfT"}, s.ran)
	assert.Equal(t, 405, doGet(mux, "/Shapes/R"))
}

func doGet(h http.Handler, path string) int {
	w := post(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Method = "GET"
		h.ServeHTTP(w, r)
	}), path, "", "")
	return w.Code
}

func TestK01Names(t *testing.T) {
	one := func(o component.Option) []component.Option { return []component.Option{o} }
	for _, test := range []struct {
		opts           []component.Option
		pattern, route string
	}{
		{nil, "/Adder/Add", "Adder.Add"},
		{one(component.WithName("sums")), "/sums/Add", "sums.Add"},
		{one(component.WithNameFunc(strings.ToLower)), "/Adder/add", "Adder.add"},
		{one(component.WithPrefix("v1")), "/v1/Adder/Add", "v1.Adder.Add"},
		{one(component.WithPrefix("/a/b/")), "/a/b/Adder/Add", "a.b.Adder.Add"},
		{one(component.WithName("a.b c")), "/a.b c/Add", "a%2Eb%20c.Add"},
		{one(component.WithName("神")), "/神/Add", "神.Add"},
	} {
		mux, set := kami.New(), new(component.Set)
		set.Register(mux.Handle, new(Adder), test.opts...)
		require.NoError(t, set.Start(t.Context()))
		assert.Equal(t, []string{"POST " + test.pattern}, routes(mux))
		assert.Equal(t, test.route, collect(set)[0].Route)
		assert.Equal(t, `{"Sum":5}`+"\n", string(send(mux, test.route, `{"A":2,"B":3}`).Body), test.route)
	}
}

type Variadic struct{}

func (*Variadic) Say(context.Context, ...*in) error { return nil }

type OfBytes struct{}

func (*OfBytes) Say(context.Context, ...byte) {}

type OfValue struct{}

func (*OfValue) Say(context.Context, in) {}

type OfMany struct{}

func (*OfMany) Say(context.Context, *in, *in) {}

type ReturnsValue struct{}

func (*ReturnsValue) Say(context.Context) (out, error) { return out{}, nil }

type ReturnsOne struct{}

func (*ReturnsOne) Say(context.Context) *out { return nil }

type ReturnsTwo struct{}

func (*ReturnsTwo) Say(context.Context) (*out, *out) { return nil, nil }

type ReturnsMany struct{}

func (*ReturnsMany) Say(context.Context) (*out, *out, error) { return nil, nil, nil }

type ReturnsOwn struct{}

func (*ReturnsOwn) Say(context.Context) *ownError { return nil }

type ownError struct{}

func (*ownError) Error() string { return "" }

func TestK01OtherShapes(t *testing.T) {
	const accepted = "a handler takes (context.Context), (context.Context, *T) or (context.Context, []byte), " +
		"and returns nothing, error, (*R, error) or ([]byte, error)"
	for c, found := range map[any]string{
		new(Variadic):     "func(context.Context, ...*component_test.in) error",
		new(OfBytes):      "func(context.Context, ...uint8)",
		new(OfValue):      "func(context.Context, component_test.in)",
		new(OfMany):       "func(context.Context, *component_test.in, *component_test.in)",
		new(ReturnsValue): "func(context.Context) (component_test.out, error)",
		new(ReturnsOne):   "func(context.Context) *component_test.out",
		new(ReturnsTwo):   "func(context.Context) (*component_test.out, *component_test.out)",
		new(ReturnsMany):  "func(context.Context) (*component_test.out, *component_test.out, error)",
		new(ReturnsOwn):   "func(context.Context) *component_test.ownError",
	} {
		name := reflect.TypeOf(c).String()
		assert.Regexp(t, `^component: Register \`+name+` \(component/suite_test.go:\d+\): method Say is a `, refusal(t, c))
		assert.Contains(t, refusal(t, c), ": method Say is a "+found+": "+accepted)
	}
}

type BadHook struct{ Adder }

func (*BadHook) Init(int) {}

type BadStop struct{ Adder }

func (*BadStop) Shutdown(context.Context, *in) (*out, error) { return nil, nil }

// Register refuses a lifecycle method with a wrong type, because it would never be called.
func TestK05LifecycleMethodsOfOtherShapes(t *testing.T) {
	assert.Contains(t, refusal(t, new(BadHook)), "method Init is a func(int): this lifecycle method takes nothing or a context.Context, and returns nothing or an error")
	assert.Contains(t, refusal(t, new(BadStop)), "method Shutdown is a func(context.Context, *component_test.in)")
}

// Register does not take lifecycle methods as handlers.
func TestK01LifecycleMethodsAreNoHandlers(t *testing.T) {
	mux := started(t, new(Hooked))
	assert.Equal(t, []string{"POST /Hooked/Call"}, routes(mux))
}

func TestMethods(t *testing.T) {
	var set component.Set
	set.Register(kami.New().Handle, new(Shapes), component.WithName("s"), component.WithNameFunc(strings.ToLower), component.WithPrefix("p"))
	set.Register(kami.New().Handle, new(Adder))
	var all []component.Method
	for m := range set.Methods() {
		all = append(all, m)
	}
	require.Len(t, all, len(shapes)+1)
	for i, name := range shapes {
		m := all[i]
		assert.Equal(t, "p.s."+strings.ToLower(name), m.Route)
		assert.Equal(t, "(*Shapes)."+name, m.Name)
		var request, response reflect.Type
		if strings.HasSuffix(name, "OfT") {
			request = reflect.TypeFor[*in]()
		} else if strings.HasSuffix(name, "OfBytes") {
			request = reflect.TypeFor[[]byte]()
		}
		if strings.HasPrefix(name, "R") {
			response = reflect.TypeFor[*out]()
		} else if strings.HasPrefix(name, "Bytes") {
			response = reflect.TypeFor[[]byte]()
		}
		assert.Equal(t, request, m.Request, name)
		assert.Equal(t, response, m.Response, name)
	}
	assert.Equal(t, component.Method{Route: "Adder.Add", Name: "(*Adder).Add", Request: reflect.TypeFor[*addRequest](), Response: reflect.TypeFor[*addResponse]()}, all[len(shapes)])
	for range set.Methods() {
		break // the sequence must allow it
	}
}

// Generic has a name without its type arguments.
type Generic[T any] struct{}

func (*Generic[T]) Say(_ context.Context, v *T) (*T, error) { return v, nil }

func TestK01GenericTypes(t *testing.T) {
	mux := started(t, new(Generic[in]))
	assert.Equal(t, []string{"POST /Generic/Say"}, routes(mux))
	for r := range mux.Routes() {
		assert.Equal(t, "(*Generic).Say", r.Handler)
	}
}
