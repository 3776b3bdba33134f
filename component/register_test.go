package component_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/component"
	"github.com/guregu/kami/message"
)

type unexported struct{ Adder }

type Text string

func (*Text) Say(context.Context) {}

type Nothing struct{ component.Base }

// Cases has two methods whose names differ only in case.
type Cases struct{}

func (*Cases) Join(context.Context) {}
func (*Cases) JOIN(context.Context) {}

type codec struct {
	message.Codec
	kind string
}

func (c codec) ContentType() string { return c.kind }

func TestK02Refusals(t *testing.T) {
	const noStruct = "a component must be a pointer to a struct of an exported type, such as *Room"
	const noSegment = "is no segment of a path: a name must not be empty, a dot segment, or have a slash"
	one := func(o component.Option) []component.Option { return []component.Option{o} }
	for _, test := range []struct {
		c    any
		opts []component.Option
		want string
	}{
		{nil, nil, "Register <nil> (component/suite_test.go:"},
		{nil, nil, "the component must not be nil"},
		{(*Adder)(nil), nil, "the component must not be nil"},
		{Adder{}, nil, noStruct},
		{new(unexported), nil, noStruct},
		{new(Text), nil, noStruct},
		{new(struct{ Adder }), nil, noStruct},
		{1, nil, noStruct},
		{new(Nothing), nil, "it has no handler: a handler takes (context.Context)"},
		{new(Cases), one(component.WithNameFunc(strings.ToLower)), `the methods (*Cases).JOIN and (*Cases).Join have the same path "/Cases/join": see component.WithNameFunc`},
		{new(Adder), one(nil), "an option must not be nil"},
		{new(Adder), one(component.WithNameFunc(nil)), "the function of WithNameFunc must not be nil"},
		{new(Adder), one(component.WithName("")), `"" ` + noSegment},
		{new(Adder), one(component.WithName("..")), `".." ` + noSegment},
		{new(Adder), one(component.WithName("a/b")), `"a/b" ` + noSegment},
		{new(Adder), one(component.WithPrefix("a//b")), `"" ` + noSegment},
		{new(Adder), one(component.WithPrefix("a/./b")), `"." ` + noSegment},
		{new(Adder), one(component.WithNameFunc(func(string) string { return "" })), `method Add: "" ` + noSegment},
		{new(Adder), one(component.WithName(strings.Repeat("x", 300))), "is that of no route: it is too long"},
		{new(Adder), one(component.WithCodecs(nil)), "a codec of WithCodecs must not be nil"},
		{new(Adder), one(component.WithCodecs(codec{kind: " ;x"})), "has no content type"},
		{new(Adder), one(component.WithCodecs(codec{kind: "a/b"}, codec{kind: "A/B; c=d"})), `are both for "A/B"`},
		{new(Adder), one(component.WithCodecs(codec{kind: "application/json"}, codec{kind: "application/json"})), `are both for "application/json"`},
	} {
		assert.Contains(t, refusal(t, test.c, test.opts...), test.want)
	}
	assert.Contains(t, panicOf(func() { new(component.Set).Register(nil, new(Adder)) }), "the function that registers, as kami.Handle, must not be nil")
}

func TestK02ANameUsedTwice(t *testing.T) {
	var set component.Set
	mux, other := kami.New(), kami.New()
	set.Register(mux.Handle, new(Adder))
	text := panicOf(func() { set.Register(other.Handle, new(Shapes), component.WithName("Adder")) })
	assert.Regexp(t, `^component: Register \*component_test.Shapes \(component/register_test.go:\d+\): the name "Adder" is that of \*component_test.Adder `+
		`\(component/register_test.go:\d+\): use component.WithName$`, text)
	assert.Empty(t, routes(other))
	set.Register(other.Handle, new(Shapes), component.WithName("Adder"), component.WithPrefix("v2"))
}

// ways returns functions that register on a mux in different ways.
func ways(mux *kami.Mux) map[string]func(method, path string, h kami.HandlerType) {
	return map[string]func(method, path string, h kami.HandlerType){
		"method value": mux.Handle,
		"function":     func(method, path string, h kami.HandlerType) { mux.Handle(method, path, h) },
		"prefix":       func(method, path string, h kami.HandlerType) { mux.Handle(method, "/v1/:id"+path, h) },
	}
}

// TestK02ARouteThatTheMuxHas checks that Register registers no method if the mux has the route of one, even if the mux already serves.
func TestK02ARouteThatTheMuxHas(t *testing.T) {
	for name := range ways(kami.New()) {
		t.Run(name, func(t *testing.T) {
			mux := kami.New()
			prefix := ""
			if name == "prefix" {
				prefix = "/v1/:name"
			}
			mux.Post(prefix+"/Shapes/ROfT", func(http.ResponseWriter, *http.Request) {})
			assert.Equal(t, 404, post(mux, "/Shapes/None", "", "").Code)
			var set component.Set
			text := panicOf(func() { set.Register(ways(mux)[name], new(Shapes)) })
			assert.Regexp(t, `^kami: POST "[/:a-z0-9]*/Shapes/ROfT" \(component/register_test.go:\d+\) conflicts with "[/:a-z0-9]*/Shapes/ROfT" `+
				`\(component/register_test.go:\d+\): both match the same paths$`, text)
			assert.Len(t, routes(mux), 1)
			assert.Empty(t, collect(&set))
			set.Register(ways(mux)[name], new(Shapes), component.WithName("Other"))
			assert.Len(t, routes(mux), 1+len(shapes))
		})
	}
}

func collect(set *component.Set) (all []component.Method) {
	for m := range set.Methods() {
		all = append(all, m)
	}
	return all
}

// TestK02TheDefaultMux checks that the place of a route is the line with Register, with kami.Handle.
func TestK02TheDefaultMux(t *testing.T) {
	t.Cleanup(kami.Reset)
	_, _, line, _ := runtime.Caller(0)
	new(component.Set).Register(kami.Handle, new(Adder))
	first := fmt.Sprintf("component/register_test.go:%d", line+1)
	for r := range kami.Routes() {
		assert.Equal(t, first, r.Place)
	}
	text := panicOf(func() { new(component.Set).Register(kami.Handle, new(Adder)) })
	second := fmt.Sprintf("component/register_test.go:%d", line+6)
	assert.Equal(t, `kami: POST "/Adder/Add" (`+second+`) conflicts with "/Adder/Add" (`+first+`): both match the same paths`, text)
}

// TestK02PlaceThroughAWrapper checks that the place of a route is the line with Register, and not a line in a wrapper of Handle.
func TestK02PlaceThroughAWrapper(t *testing.T) {
	direct, wrapped := kami.New(), kami.New()
	for _, handle := range []func(method, path string, h kami.HandlerType){direct.Handle, ways(wrapped)["function"]} {
		new(component.Set).Register(handle, new(Adder))
	}
	places := make(map[string]bool)
	for _, mux := range []*kami.Mux{direct, wrapped} {
		for r := range mux.Routes() {
			places[r.Place] = true
		}
	}
	assert.Len(t, places, 1)
}

// TestK02OtherRefusalsOfTheMux checks that no method is registered if the mux refuses a path after others.
func TestK02OtherRefusalsOfTheMux(t *testing.T) {
	mux, n := kami.New(), 0
	handle := func(method, path string, h kami.HandlerType) {
		if n++; n == 3 {
			path = "none"
		}
		mux.Handle(method, path, h)
	}
	assert.Contains(t, panicOf(func() { new(component.Set).Register(handle, new(Shapes)) }), `a path must begin with "/"`)
	assert.Empty(t, routes(mux))
}

// TestK02Wrapped checks that the function for Register can wrap the handlers.
func TestK02Wrapped(t *testing.T) {
	mux, set, calls := kami.New(), new(component.Set), 0
	set.Register(func(method, path string, h kami.HandlerType) {
		mux.Handle(method, path, func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			calls++
			h.(kami.ContextHandler).ServeHTTPContext(ctx, w, r)
		})
	}, new(Adder))
	require.NoError(t, set.Start(t.Context()))
	assert.Equal(t, 200, post(mux, "/Adder/Add", "", "{}").Code)
	assert.Equal(t, 1, calls)
}

// TestServeMux checks that Register works with net/http's mux.
func TestServeMux(t *testing.T) {
	mux, set := http.NewServeMux(), new(component.Set)
	set.Register(func(method, path string, h kami.HandlerType) { mux.Handle(method+" "+path, h.(http.Handler)) }, new(Adder))
	assert.Equal(t, 503, post(mux, "/Adder/Add", "", "{}").Code)
	require.NoError(t, set.Start(t.Context()))
	w := post(mux, "/Adder/Add", "application/json", `{"A":1,"B":2}`)
	assert.Equal(t, 200, w.Code)
	assert.Equal(t, `{"Sum":3}`+"\n", w.Body.String())
	assert.Equal(t, 400, post(mux, "/Adder/Add", "", "[]").Code)
}

// TestK02SeveralMuxes checks that one Register can register the methods on two muxes.
func TestK02SeveralMuxes(t *testing.T) {
	a, b := kami.New(), kami.New()
	both := func(method, path string, h kami.HandlerType) {
		a.Handle(method, path, h)
		b.Handle(method, path, h)
	}
	new(component.Set).Register(both, new(Shapes))
	assert.Equal(t, routes(a), routes(b))
	assert.Len(t, routes(a), len(shapes))
}

func TestK02NamesAreLiteral(t *testing.T) {
	for _, name := range []string{":x", "*x", `\:x`, `\\x`, `\x`, `\`, "{x}", "a:b"} {
		mux, set := kami.New(), new(component.Set)
		set.Register(mux.Handle, new(Adder), component.WithName(name), component.WithPrefix(name))
		require.NoError(t, set.Start(t.Context()))
		route := collect(set)[0].Route
		assert.Equal(t, 200, send(mux, route, "{}").Status, "%q is %q", name, route)
		assert.Equal(t, 404, send(mux, "other.other.Add", "{}").Status, name)
	}
}
