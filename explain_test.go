package kami_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/mutil"
)

// shop has handlers and middleware of many types.
type shop struct{}

func (shop) ServeHTTP(http.ResponseWriter, *http.Request)                   {}
func (*shop) list(context.Context, http.ResponseWriter, *http.Request)      {}
func (*shop) buy(context.Context, http.ResponseWriter, *http.Request) error { return nil }
func (*shop) lost(http.ResponseWriter, *http.Request)                       {}
func (*shop) open(ctx context.Context) context.Context                      { return ctx }
func (*shop) wrap(next http.Handler) http.Handler                           { return next }
func (*shop) count(mutil.WriterProxy, *http.Request)                        {}
func (*shop) refuse(ctx context.Context, _ http.ResponseWriter, _ *http.Request) error {
	return ctx.Err()
}

// openShop registers the methods of shop.
func openShop(s *stack) {
	var own shop
	s.use("/", own.open)
	s.use("/shop/", own.wrap)
	s.use("/shop/:item/", own.open)
	s.use("/shop/sale", http.NotFoundHandler())
	s.after("/shop/", own.count)
	s.after("/", func(ctx context.Context) context.Context { return ctx })
	s.handle("GET", "/shop/:item", own.list)
	s.handle("POST", "/shop/:item", own.buy)
	s.handle("GET", "/shop/sale", own)
	s.handle("PUT", "/files/*path", own.lost)
	s.handle("GET", "/inner", kami.New())
}

// lineless cuts the line numbers off.
func lineless(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if at := strings.Index(line, ".go:"); at >= 0 {
			lines[i] = line[:at+3] + strings.TrimLeft(line[at+4:], "0123456789")
		}
	}
	return strings.Join(lines, "\n")
}

func TestRoutes(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		assert.Empty(t, slices.Collect(s.routes()))
		openShop(s)
		var got []string
		for r := range s.routes() {
			got = append(got, lineless(r.String()))
		}
		assert.Equal(t, []string{
			"PUT /files/*path  kami_test.(*shop).lost (main/explain_test.go)",
			"GET /inner  *kami.Mux (main/explain_test.go)",
			"GET /shop/:item  kami_test.(*shop).list (main/explain_test.go)",
			"POST /shop/:item  kami_test.(*shop).buy (main/explain_test.go)",
			"GET /shop/sale  kami_test.shop (main/explain_test.go)",
		}, withDirectory(got))
		for range s.routes() {
			break // which it must allow
		}
	})
}

// withDirectory replaces the name of this checkout's folder by main.
func withDirectory(lines []string) []string {
	for i, line := range lines {
		lines[i] = strings.ReplaceAll(line, "("+folder(), "(main/")
	}
	return lines
}

func TestScopes(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		assert.Empty(t, slices.Collect(s.scopes()))
		openShop(s)
		s.use("/shop/sale/", new(shop).open)
		var got []string
		for scope := range s.scopes() {
			got = append(got, scope.Kind+" "+lineless(scope.String()))
		}
		assert.Equal(t, []string{
			"middleware /  kami_test.(*shop).open (main/explain_test.go)",
			"middleware /shop/  kami_test.(*shop).wrap (main/explain_test.go)",
			"middleware /shop/sale/  kami_test.(*shop).open (main/explain_test.go)",
			"middleware /shop/sale  http.NotFound (main/explain_test.go)",
			"middleware /shop/:item/  kami_test.(*shop).open (main/explain_test.go)",
			"afterware /  kami_test.openShop.func1 (main/explain_test.go)",
			"afterware /shop/  kami_test.(*shop).count (main/explain_test.go)",
		}, withDirectory(got))
		for range s.scopes() {
			break // which it must allow
		}
	})
}

func TestExplain(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		openShop(s)
		for _, test := range []struct{ method, path, want string }{
			{"GET", "/shop/a%2fb?x=1", `GET "/shop/a%2fb?x=1"
  middleware  /  kami_test.(*shop).open (main/explain_test.go)
  middleware  /shop/  kami_test.(*shop).wrap (main/explain_test.go)
  middleware  /shop/:item/  kami_test.(*shop).open (main/explain_test.go), item = "a", for "/shop/a/b": the path decoded
  answer      GET /shop/:item  kami_test.(*shop).list (main/explain_test.go)
              item = "a/b"
  afterware   /shop/  kami_test.(*shop).count (main/explain_test.go)
  afterware   /  kami_test.openShop.func1 (main/explain_test.go)
`},
			{"POST", "/x/../shop/sale/", `POST "/x/../shop/sale/"
  middleware  /  kami_test.(*shop).open (main/explain_test.go)
  middleware  /shop/  kami_test.(*shop).wrap (main/explain_test.go), for "/shop/sale/": the path cleaned
  middleware  /shop/sale  http.NotFound (main/explain_test.go), for "/shop/sale/": the path cleaned
  middleware  /shop/:item/  kami_test.(*shop).open (main/explain_test.go), item = "sale", for "/shop/sale/": the path cleaned
  answer      307 Temporary Redirect to /shop/sale
  afterware   /shop/  kami_test.(*shop).count (main/explain_test.go), for "/shop/sale/": the path cleaned
  afterware   /  kami_test.openShop.func1 (main/explain_test.go)
`},
			{"HEAD", "/inner", `HEAD "/inner"
  middleware  /  kami_test.(*shop).open (main/explain_test.go)
  answer      GET /inner  *kami.Mux (main/explain_test.go)
  afterware   /  kami_test.openShop.func1 (main/explain_test.go)
`},
			{"DELETE", "/shop/1", `DELETE "/shop/1"
  middleware  /  kami_test.(*shop).open (main/explain_test.go)
  middleware  /shop/  kami_test.(*shop).wrap (main/explain_test.go)
  answer      405 Method Not Allowed, Allow: GET, HEAD, OPTIONS, POST
  afterware   /shop/  kami_test.(*shop).count (main/explain_test.go)
  afterware   /  kami_test.openShop.func1 (main/explain_test.go)
`},
			{"OPTIONS", "*", `OPTIONS "*"
  middleware  /  kami_test.(*shop).open (main/explain_test.go)
  answer      404 Not Found
  afterware   /  kami_test.openShop.func1 (main/explain_test.go)
`},
			{"CONNECT", "a.test:80", `CONNECT "a.test:80"
  middleware  /  kami_test.(*shop).open (main/explain_test.go)
  answer      404 Not Found
  afterware   /  kami_test.openShop.func1 (main/explain_test.go)
`},
		} {
			e, err := s.explain(test.method, test.path)
			require.NoError(t, err, test.path)
			assert.Equal(t, test.want, withDirectory([]string{lineless(e.String())})[0])
		}
	})
}

// TestM05ExplainOfARedirect checks that a path that redirects a request serves a message, and that Explain names the route.
func TestM05ExplainOfARedirect(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		s.handle("POST", "/room/:id/", echo("room", "id"))
		s.get("/page/", echo("page"))
		e, err := s.explain("POST", "/room/7")
		require.NoError(t, err)
		assert.Equal(t, 307, e.Status)
		require.NotNil(t, e.Message)
		assert.Equal(t, "/room/:id/", e.Message.Pattern)
		assert.Contains(t, e.String(), "\n  message     POST /room/:id/  kami_test.")
		text, err := json.Marshal(e)
		require.NoError(t, err)
		assert.Contains(t, string(text), `"message":{"method":"POST","pattern":"/room/:id/"`)
		reply := message.Serve(t.Context(), s.Handler, &message.Message{Route: "room.7"})
		assert.Equal(t, "room(id=7)", string(reply.Body))
		assert.Equal(t, e.Message.Pattern, reply.Pattern)
		for _, other := range []string{"GET /page", "POST /room/7/", "POST /room//7", "POST /none"} {
			method, path, _ := strings.Cut(other, " ")
			e, err := s.explain(method, path)
			require.NoError(t, err)
			assert.Nil(t, e.Message, other)
		}
	})
}

func TestExplainNamesOnesOwnAnswers(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var own shop
		s.get("/a", own.list)
		s.notFound(own.lost)
		s.methodNotAllowed(own.refuse)
		for _, test := range []struct{ method, path, want string }{
			{"GET", "/b", "404 Not Found, by kami_test.(*shop).lost"},
			{"PUT", "/a", "405 Method Not Allowed, Allow: GET, HEAD, OPTIONS, by kami_test.(*shop).refuse"},
			{"OPTIONS", "/a", "204 No Content, Allow: GET, HEAD, OPTIONS"},
		} {
			e, err := s.explain(test.method, test.path)
			require.NoError(t, err)
			assert.Equal(t, test.want, e.Answer())
		}
	})
}

func TestExplainRefusesWhatIsNoRequest(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		for _, test := range []struct{ method, path, want string }{
			{"GET", "", `kami: Explain: "" is no path of a request (RFC 9112, section 3.2): empty url`},
			{"GET", "shop", `kami: Explain: "shop" is no path of a request (RFC 9112, section 3.2): invalid URI for request`},
			{"GET", "/a b", `kami: Explain: "/a b" is no path of a request (RFC 9112, section 3.2): it ends at a space, which is %20 in it`},
			{"GET", "/%zz", `kami: Explain: "/%zz" is no path of a request (RFC 9112, section 3.2): invalid URL escape "%zz"`},
			{"GET", "/\n", `kami: Explain: "/\n" is no path of a request (RFC 9112, section 3.2): net/url: invalid control character in URL`},
			{"", "/", `kami: Explain: "": a method must be a token (RFC 9110, section 5.6.2)`},
			{"GET /", "/", `kami: Explain: "GET /": a method must be a token (RFC 9110, section 5.6.2)`},
		} {
			_, err := s.explain(test.method, test.path)
			assert.EqualError(t, err, test.want)
		}
	})
}

func TestExplainOfNoMux(t *testing.T) {
	var none *kami.Mux
	_, err := none.Explain("GET", "/")
	assert.EqualError(t, err, "kami: Explain: the Mux is nil")
	assert.Empty(t, slices.Collect(none.Routes()))
	assert.Empty(t, slices.Collect(none.Scopes()))
	assert.Empty(t, none.Check())
}

func TestExplanationAsJSON(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		openShop(s)
		e, err := s.explain("GET", "/shop/a%2fx")
		require.NoError(t, err)
		text, err := json.Marshal(e)
		require.NoError(t, err)
		var got map[string]any
		require.NoError(t, json.Unmarshal(text, &got))
		assert.Equal(t, []any{map[string]any{"name": "item", "value": "a/x"}}, got["params"])
		assert.Equal(t, e.Answer(), got["answer"])
		assert.Equal(t, e.Route.Place, got["route"].(map[string]any)["place"])
		middleware := got["middleware"].([]any)
		assert.Len(t, middleware, len(e.Middleware))
		assert.Equal(t, "decoded", middleware[2].(map[string]any)["how"])
		assert.Equal(t, "/shop/:item/", middleware[2].(map[string]any)["path"])

		e, err = kami.New().Explain("GET", "/")
		require.NoError(t, err)
		text, err = json.Marshal(e)
		require.NoError(t, err)
		assert.JSONEq(t, `{"method":"GET","path":"/","answer":"404 Not Found","status":404,"middleware":[],"afterware":[]}`, string(text))
	})
}

// No path, method or pattern can add a line to an explanation.
func TestExplanationHasItsLines(t *testing.T) {
	m := kami.New()
	m.Get("/a\nb\xff", echo("a"))
	m.Use("/a\nb\xff", new(shop).open)
	e, err := m.Explain("GET", "/a%0Ab%FF")
	require.NoError(t, err)
	assert.Len(t, strings.Split(strings.TrimSuffix(e.String(), "\n"), "\n"), 3)
	assert.True(t, utf8.ValidString(e.String()))
}

// Explain names what runs, on random stacks and for random spellings of paths.
func TestExplainAgreesWithServing(t *testing.T) {
	const muxes, paths = 400, 40
	random := rand.New(rand.NewPCG(1, 2))
	for range muxes {
		s := newStack()
		var ran trail
		registered := populate(s, random, &ran)
		for range paths {
			method := pick(random, "GET", "GET", "HEAD", "POST", "OPTIONS")
			agrees(t, s, &ran, method, spelling(random), registered)
		}
	}
}

func FuzzExplain(f *testing.F) {
	for _, path := range []string{"/", "/a/b/", "/a/../b", "/a%2f..%2fb", "//a", "/%61/.", "/a/b/a/b?q=/a", "*", "http://h/a"} {
		f.Add(uint64(1), path)
	}
	f.Fuzz(func(t *testing.T, seed uint64, path string) {
		random := rand.New(rand.NewPCG(seed, 2))
		s := newStack()
		var ran trail
		registered := populate(s, random, &ran)
		agrees(t, s, &ran, pick(random, "GET", "POST", "OPTIONS"), path, registered)
	})
}

func pick(random *rand.Rand, from ...string) string { return from[random.IntN(len(from))] }

// populate registers random middleware and handlers that note that they run, in Explain's words.
func populate(s *stack, random *rand.Rand, ran *trail) (registered []string) {
	pattern := func() string {
		var b strings.Builder
		names := []string{"x", "y", "z"}
		for depth := random.IntN(4); depth > 0; depth-- {
			switch text := pick(random, "a", "a", "b", ":", ":", "*"); text {
			case ":":
				b.WriteString("/:" + names[depth-1])
			case "*":
				b.WriteString("/*rest")
				return b.String()
			default:
				b.WriteString("/" + text)
			}
		}
		if b.Len() == 0 || random.IntN(3) == 0 {
			b.WriteString("/")
		}
		return b.String()
	}
	note := func(kind, scope string) func(context.Context) context.Context {
		var names []string
		for segment := range strings.SplitSeq(scope, "/") {
			if name := strings.TrimLeft(segment, ":*"); name != segment {
				names = append(names, name)
			}
		}
		return func(ctx context.Context) context.Context {
			var params []kami.PathParam
			for _, name := range names {
				params = append(params, kami.PathParam{Name: name, Value: kami.Param(ctx, name)})
			}
			ran.add("%s %s %q", kind, scope, params)
			return ctx
		}
	}
	for range random.IntN(6) {
		method, path := pick(random, "GET", "POST"), pattern()
		registered = append(registered, method+" "+path)
		_ = panicOf(func() { s.handle(method, path, ran.handler("handler")) }) // it may be there already
	}
	if random.IntN(3) == 0 {
		inner, path := newStack(), pattern()
		for _, within := range populate(inner, random, ran) {
			registered = append(registered, "Mount "+path+" "+within)
		}
		_ = panicOf(func() { s.mount(path, inner.Handler) }) // it may be there already, or a catch-all
	}
	for range random.IntN(6) {
		scope := pattern()
		registered = append(registered, "Use "+scope)
		s.use(scope, note("middleware", scope))
	}
	for range random.IntN(4) {
		scope := pattern()
		registered = append(registered, "After "+scope)
		s.after(scope, note("afterware", scope))
	}
	s.enableMethodNotAllowed(random.IntN(4) > 0)
	return registered
}

func spelling(random *rand.Rand) string {
	var b strings.Builder
	for range 1 + random.IntN(4) {
		b.WriteString("/" + pick(random, "a", "a", "b", "b", "c", "%61", "a%2Fb", "..", ".", "", "%2e%2e", "b%2f..", "%2E"))
	}
	return b.String() + pick(random, "", "", "/", "?q=1")
}

func agrees(t *testing.T, s *stack, ran *trail, method, path string, registered []string) {
	t.Helper()
	e, err := s.explain(method, path)
	u, wrong := url.ParseRequestURI(path)
	if wrong != nil || strings.Contains(path, " ") {
		require.Error(t, err)
		return
	}
	require.NoError(t, err)
	var pattern string
	var said trail
	for _, step := range e.Middleware {
		said.add("middleware %s %q", step.Path, step.Params)
	}
	if e.Route != nil {
		said.add("handler")
		pattern = e.Route.Pattern
	}
	for _, step := range e.Afterware {
		said.add("afterware %s %q", step.Path, step.Params)
	}
	r := &http.Request{Method: method, URL: u, Header: http.Header{}}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	what := fmt.Sprintf("%s %q with %q\n%v", method, path, registered, e)
	require.Equal(t, said.take(), ran.take(), what)
	require.Equal(t, pattern, r.Pattern, what)
	if e.Route == nil {
		require.Equal(t, e.Status, w.Code, what)
	}
	require.Equal(t, e.Location, w.Header().Get("Location"), what)
	require.Equal(t, e.Allow, w.Header().Get("Allow"), what)
}

func TestExplainRunsNothing(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		fail := func(http.ResponseWriter, *http.Request) { t.Error("it runs") }
		s.use("/", fail)
		s.after("/", fail)
		s.get("/a", fail)
		s.notFound(fail)
		s.methodNotAllowed(fail)
		*s.logHandler = func(context.Context, mutil.WriterProxy, *http.Request) { t.Error("it runs") }
		for _, path := range []string{"/a", "/b", "/a/"} {
			_, err := s.explain("GET", path)
			assert.NoError(t, err)
		}
		_, err := s.explain("PUT", "/a")
		assert.NoError(t, err)
	})
}

// called is a handler that names itself.
type called struct{ shop }

func (called) HandlerName() string { return "what it does" }

// contextCalled is a ContextHandler that names itself.
type contextCalled struct{ called }

func (contextCalled) ServeHTTPContext(context.Context, http.ResponseWriter, *http.Request) {}

func TestHandlerName(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		s.handle("GET", "/plain", called{})
		s.handle("GET", "/context", kami.ContextHandler(contextCalled{}))
		s.notFound(called{})
		for r := range s.routes() {
			assert.Equal(t, "what it does", r.Handler, r)
		}
		for path, want := range map[string]string{
			"/plain": "GET /plain  what it does", "/context": "GET /context  what it does", "/x": "404 Not Found, by what it does",
		} {
			e, err := s.explain("GET", path)
			assert.NoError(t, err)
			assert.Contains(t, e.String(), want)
		}
	})
}

// bothWays is middleware and a handler.
type bothWays func(context.Context) context.Context

func (bothWays) ServeHTTP(http.ResponseWriter, *http.Request) {}

func TestScopeReadOnly(t *testing.T) {
	var own shop
	for _, test := range []struct {
		middleware any
		want       bool
	}{
		{own.open, false},
		{func(ctx context.Context, r *http.Request) context.Context { return ctx }, false},
		{func(w http.ResponseWriter, r *http.Request) context.Context { return r.Context() }, false},
		{kami.Middleware(func(ctx context.Context, w http.ResponseWriter, r *http.Request) context.Context { return ctx }), false},
		{own.wrap, false},
		{bothWays(own.open), false}, // which is called as the function
		{own.lost, true},
		{http.HandlerFunc(own.lost), true},
		{own, true},
		{http.RedirectHandler("/login", http.StatusFound), true},
	} {
		each(t, func(t *testing.T, s *stack) {
			s.use("/", test.middleware)
			s.use("/:any/", test.middleware)
			if test.want {
				s.after("/", test.middleware)
			}
			for scope := range s.scopes() {
				assert.Equal(t, test.want && scope.Kind == "middleware", scope.ReadOnly, "%T: %v", test.middleware, scope)
			}
			e, err := s.explain("GET", "/x")
			require.NoError(t, err)
			for _, step := range e.Middleware {
				assert.Equal(t, test.want, step.ReadOnly, "%T", test.middleware)
			}
			text, err := json.Marshal(e)
			require.NoError(t, err)
			assert.Equal(t, test.want, strings.Contains(string(text), `"readOnly":true`))
		})
	}
}
