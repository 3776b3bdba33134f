package kami_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	goji "github.com/zenazn/goji/web/mutil"

	"github.com/guregu/kami"
	"github.com/guregu/kami/mutil"
)

func TestC01ModuleFile(t *testing.T) {
	data, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	lines := strings.Split(strings.ReplaceAll(string(data), "\r", ""), "\n")
	assert.Contains(t, lines, "module github.com/guregu/kami")
	assert.Contains(t, lines, "go 1.26")
}

// golang runs the go command and returns the set of words that it prints.
func golang(t *testing.T, env string, args ...string) []string {
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), env)
	out, err := cmd.Output()
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
		t.Fatalf("go %s: %s", strings.Join(args, " "), failed.Stderr)
	}
	require.NoError(t, err)
	words := strings.Fields(string(out))
	slices.Sort(words)
	return slices.Compact(words)
}

func TestC01Dependencies(t *testing.T) {
	const module = "{{with .Module}}{{.Path}}{{end}}"
	assert.Equal(t, []string{"github.com/guregu/kami", "github.com/zenazn/goji"},
		golang(t, "", "list", "-deps", "-f", module, "./..."))
	assert.Subset(t, golang(t, "", "list", "-deps", "-test", "-f", module, "."),
		[]string{"github.com/dimfeld/httptreemux/v5", "github.com/stretchr/testify"})
}

// TestC01ReplaceLine builds an app of kami v2 in which only one line of its go.mod is changed.
func TestC01ReplaceLine(t *testing.T) {
	here, err := os.Getwd()
	require.NoError(t, err)
	sums, err := os.ReadFile("go.sum")
	require.NoError(t, err)
	app := t.TempDir()
	for name, text := range map[string]string{
		"go.sum": string(sums),
		"go.mod": "module app\n\ngo 1.26\n\nrequire github.com/guregu/kami v2.2.1+incompatible\n\n" +
			"replace github.com/guregu/kami => " + strconv.Quote(here) + "\n",
		"main.go": `package main

import (
	"context"
	"net/http"

	"github.com/guregu/kami"
	"github.com/zenazn/goji/web/mutil"
)

func main() {
	kami.Context = context.Background()
	kami.LogHandler = func(ctx context.Context, w mutil.WriterProxy, r *http.Request) {}
	kami.Use("/", func(ctx context.Context, w http.ResponseWriter, r *http.Request) context.Context { return ctx })
	kami.Get("/:id", func(ctx context.Context, w http.ResponseWriter, r *http.Request) { kami.Param(ctx, "id") })
	kami.Serve()
}
`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(app, name), []byte(text), 0o600))
	}
	t.Chdir(app)
	golang(t, "GOWORK=off", "build", "-mod=mod", "-o", filepath.Join(app, "app"), ".")
}

// TestC01NamesOfV2 is checked by the compiler: every name that v2 exports exists, with its signature.
func TestC01NamesOfV2(*testing.T) {
	type (
		handler    = func(context.Context, http.ResponseWriter, *http.Request)
		middleware = func(context.Context, http.ResponseWriter, *http.Request) context.Context
		afterware  = func(context.Context, mutil.WriterProxy, *http.Request) context.Context
		logHandler = func(context.Context, mutil.WriterProxy, *http.Request)
	)
	var (
		_ *context.Context  = &kami.Context
		_ *bool             = &kami.Cancel
		_ *kami.HandlerType = &kami.PanicHandler
		_ *logHandler       = &kami.LogHandler

		_ handler      = kami.HandlerFunc(nil)
		_ middleware   = kami.Middleware(nil)
		_ afterware    = kami.Afterware(nil)
		_ [3]any       = [...]any{kami.HandlerType(1), kami.MiddlewareType(1), kami.AfterwareType(1)} // of any type
		_ http.Handler = (*kami.Mux)(nil)
		_ *kami.Mux    = &kami.Mux{Context: context.Context(nil), Cancel: true, PanicHandler: 1, LogHandler: logHandler(nil)}

		_ func() *kami.Mux                                     = kami.New
		_ func(context.Context) interface{}                    = kami.Exception
		_ func(context.Context, string) string                 = kami.Param
		_ func(_ context.Context, _, _ string) context.Context = kami.SetParam
		_ func() http.Handler                                  = kami.Handler
		_ func()                                               = kami.Reset
	)
	type names struct {
		Handle                                       func(method, path string, handler kami.HandlerType)
		Get, Post, Put, Patch, Head, Delete, Options func(path string, handler kami.HandlerType)
		NotFound, MethodNotAllowed                   func(handler kami.HandlerType)
		EnableMethodNotAllowed                       func(enabled bool)
		Use                                          func(path string, mw kami.MiddlewareType)
		After                                        func(path string, aw kami.AfterwareType)
		Serve                                        func()
		ServeTLS                                     func(config *tls.Config)
		ServeListener                                func(listener net.Listener)
	}
	var m kami.Mux
	_ = names{kami.Handle, kami.Get, kami.Post, kami.Put, kami.Patch, kami.Head, kami.Delete, kami.Options,
		kami.NotFound, kami.MethodNotAllowed, kami.EnableMethodNotAllowed, kami.Use, kami.After,
		kami.Serve, kami.ServeTLS, kami.ServeListener}
	_ = names{m.Handle, m.Get, m.Post, m.Put, m.Patch, m.Head, m.Delete, m.Options,
		m.NotFound, m.MethodNotAllowed, m.EnableMethodNotAllowed, m.Use, m.After,
		m.Serve, m.ServeTLS, m.ServeListener}
}

func TestC02Layout(t *testing.T) {
	for _, file := range strings.Fields(`kami.go mux.go middleware.go afterware.go handler.go params.go serve.go
		example_test.go README.md go.mod`) {
		assert.FileExists(t, file)
	}
	assert.DirExists(t, "treemux")
	assert.DirExists(t, "mutil")
}

func TestC03WriterProxyIsGojis(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var ran trail
		s.after("/", func(ctx context.Context, w goji.WriterProxy, _ *http.Request) context.Context {
			ran.add("after:%d", w.BytesWritten())
			return ctx
		})
		*s.logHandler = func(_ context.Context, w goji.WriterProxy, _ *http.Request) { ran.add("log:%d", w.Status()) }
		s.get("/", echo("hi"))
		s.do("GET", "/")
		assert.Equal(t, "after:2 log:200", ran.take())
	})
}

func TestC03WrapWriterIsOurs(t *testing.T) {
	proxy := reflect.TypeOf(mutil.WrapWriter(httptest.NewRecorder()))
	if proxy.Kind() == reflect.Pointer {
		proxy = proxy.Elem()
	}
	assert.Equal(t, "github.com/guregu/kami/mutil", proxy.PkgPath())
}

func TestC04MethodsOfTheirNames(t *testing.T) {
	std, own := globalStack(t), kami.New()
	for method, register := range map[string]struct {
		std func(string, kami.HandlerType)
		own func(*kami.Mux, string, kami.HandlerType)
	}{
		"GET": {kami.Get, (*kami.Mux).Get}, "POST": {kami.Post, (*kami.Mux).Post}, "PUT": {kami.Put, (*kami.Mux).Put},
		"PATCH": {kami.Patch, (*kami.Mux).Patch}, "HEAD": {kami.Head, (*kami.Mux).Head},
		"DELETE": {kami.Delete, (*kami.Mux).Delete}, "OPTIONS": {kami.Options, (*kami.Mux).Options},
	} {
		register.std("/", echo("std "+method))
		register.own(own, "/", echo("own "+method))
		register.std("/"+method, echo(""))
		assert.Equal(t, "std "+method, std.do(method, "/").Body.String())
		assert.Equal(t, "own "+method, (&stack{Handler: own}).do(method, "/").Body.String())
		assert.Equal(t, http.StatusMethodNotAllowed, std.do("PURGE", "/"+method).Code)
	}
}

// TestC04Delegations reads kami.go: every func F(args) of the package is std.F(args), except Handler and Reset.
func TestC04Delegations(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "kami.go", nil, 0)
	require.NoError(t, err)
	count := 0
	for _, declared := range file.Decls {
		f, ok := declared.(*ast.FuncDecl)
		if !ok || f.Name.Name == "Handler" || f.Name.Name == "Reset" {
			continue
		}
		count++
		require.Len(t, f.Body.List, 1, f.Name.Name)
		assert.Equal(t, "std."+f.Name.Name+"("+paramList(f)+")", callText(f.Body.List[0]))
	}
	assert.GreaterOrEqual(t, count, 16)
}

func paramList(f *ast.FuncDecl) string {
	var names []string
	for _, field := range f.Type.Params.List {
		for _, name := range field.Names {
			names = append(names, name.Name)
		}
	}
	return strings.Join(names, ", ")
}

// callText returns as text the call that a statement is or returns. It only knows calls of the form a.B(c, d).
func callText(statement ast.Stmt) string {
	var call *ast.CallExpr
	switch s := statement.(type) {
	case *ast.ExprStmt:
		call, _ = s.X.(*ast.CallExpr)
	case *ast.ReturnStmt:
		call, _ = s.Results[0].(*ast.CallExpr)
	}
	if call == nil {
		return "no call"
	}
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return "no method"
	}
	var args []string
	for _, arg := range call.Args {
		args = append(args, arg.(*ast.Ident).Name)
	}
	return method.X.(*ast.Ident).Name + "." + method.Sel.Name + "(" + strings.Join(args, ", ") + ")"
}

func TestC04StacksAreSeparate(t *testing.T) {
	std, own := globalStack(t), newStack()
	std.get("/std", echo("std"))
	own.get("/own", echo("own"))
	kami.LogHandler = func(_ context.Context, w mutil.WriterProxy, _ *http.Request) { w.Header().Set("Std", "1") }
	for _, tt := range []struct {
		s      *stack
		target string
		want   int
		header string
	}{
		{std, "/std", 200, "1"}, {std, "/own", 404, "1"}, {own, "/own", 200, ""}, {own, "/std", 404, ""},
	} {
		w := tt.s.do("GET", tt.target)
		assert.Equal(t, tt.want, w.Code, tt.target)
		assert.Equal(t, tt.header, w.Header().Get("Std"), tt.target)
	}
}

func TestC04SettingsAreReadWhenARequestArrives(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var ran trail
		var kept context.Context
		s.use("/", func(ctx context.Context) context.Context { // comes too late for its own request
			*s.context, *s.cancel, *s.panicHandler, *s.logHandler = nil, !*s.cancel, nil, nil
			return ctx
		})
		s.get("/", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
			kept = ctx
			panic(ctx.Value(valueKey("set")))
		})
		for _, tt := range []struct {
			value  string
			cancel bool
		}{{"first", false}, {"second", true}} {
			*s.context, *s.cancel = context.WithValue(t.Context(), valueKey("set"), tt.value), tt.cancel
			*s.panicHandler = func(w http.ResponseWriter, r *http.Request) { ran.add("panic:%v", kami.Exception(r.Context())) }
			*s.logHandler = func(context.Context, mutil.WriterProxy, *http.Request) { ran.add("log") }
			s.do("GET", "/")
			assert.Equal(t, "panic:"+tt.value+" log", ran.take())
			assert.Equal(t, tt.cancel, kept.Err() != nil)
		}
	})
}

func TestC04ResetEmptiesInPlace(t *testing.T) {
	s := globalStack(t)
	var ran trail
	s.get("/a", ran.handler("a"))
	s.use("/", ran.middleware("use"))
	s.use("/:x", ran.middleware("wild"))
	s.after("/", ran.afterware("after"))
	s.notFound(ran.handler("404"))
	s.methodNotAllowed(ran.handler("405"))
	s.enableMethodNotAllowed(false)
	kami.Context = context.WithValue(t.Context(), valueKey("set"), "god")
	kami.Cancel = true
	kami.PanicHandler = ran.handler("panic")
	kami.LogHandler = func(context.Context, mutil.WriterProxy, *http.Request) { ran.add("log") }
	kami.ErrorHandler = func(context.Context, http.ResponseWriter, *http.Request, error) { ran.add("error") }
	kami.DrainTimeout = time.Second

	before := kami.Handler()
	kami.Reset()
	assert.Equal(t, context.Background(), kami.Context)
	assert.False(t, kami.Cancel)
	assert.Nil(t, kami.PanicHandler)
	assert.Nil(t, kami.LogHandler)
	assert.Nil(t, kami.ErrorHandler)
	assert.Zero(t, kami.DrainTimeout)
	assert.Same(t, before, kami.Handler())
	assert.Equal(t, 404, s.do("GET", "/a").Code)
	kami.Get("/a", echo("new"))
	assert.Equal(t, "new", s.do("GET", "/a").Body.String())
	assert.Equal(t, 405, s.do("POST", "/a").Code)
	assert.Empty(t, ran.take())
}

func TestC04NilContextIsBackground(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		*s.context = nil
		s.get("/", func(ctx context.Context, w http.ResponseWriter, _ *http.Request) {
			_, has := ctx.Deadline()
			assert.False(t, has)
			assert.Nil(t, ctx.Value(valueKey("any")))
			assert.NoError(t, ctx.Err())
			w.WriteHeader(http.StatusAccepted)
		})
		for _, *s.cancel = range []bool{false, true} {
			assert.Equal(t, http.StatusAccepted, s.do("GET", "/").Code)
		}
	})
}

// logged returns the lines that f logs.
func logged(f func()) string {
	var lines bytes.Buffer
	before := log.Writer()
	log.SetOutput(&lines)
	defer log.SetOutput(before)
	f()
	return lines.String()
}

func TestC04UnusablePanicHandlerIsNil(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var ran trail
		*s.logHandler = func(context.Context, mutil.WriterProxy, *http.Request) { ran.add("log") }
		s.get("/", func(http.ResponseWriter, *http.Request) { panic("boom") })
		for _, unusable := range []any{
			42, "text", struct{}{}, func() {}, func(any) { ran.add("panic") },
			(*kami.Mux)(nil), kami.HandlerFunc(nil), http.HandlerFunc(nil), (func(http.ResponseWriter, *http.Request))(nil),
		} {
			*s.panicHandler = unusable
			w := httptest.NewRecorder()
			lines := logged(func() {
				assert.PanicsWithValue(t, "boom", func() { s.ServeHTTP(w, httptest.NewRequest("GET", "/", nil)) })
			})
			assert.Contains(t, lines, "PanicHandler", "%T", unusable)
			assert.Equal(t, "log", ran.take(), "%T", unusable)
			assert.Equal(t, 200, w.Code, "nothing is written: %T", unusable)
		}
	})
}

func TestC05ZeroMuxIsReady(t *testing.T) {
	var empty, full kami.Mux
	assert.Equal(t, 404, (&stack{Handler: &empty}).do("GET", "/").Code)
	var ran trail
	for _, register := range []func(m *kami.Mux){
		func(m *kami.Mux) { m.Use("/", ran.middleware("use")) },
		func(m *kami.Mux) { m.After("/", ran.afterware("after")) },
		func(m *kami.Mux) { m.NotFound(ran.handler("404")) },
		func(m *kami.Mux) { m.MethodNotAllowed(ran.handler("405")) },
		func(m *kami.Mux) { m.EnableMethodNotAllowed(true) },
		func(m *kami.Mux) { m.Handle("GET", "/", ran.handler("get")) },
	} {
		register(new(kami.Mux)) // each may come first
		register(&full)
	}
	for target, want := range map[string]string{"GET /": "use get after", "GET /x": "use 404 after", "PUT /": "use 405 after"} {
		method, path, _ := strings.Cut(target, " ")
		(&stack{Handler: &full}).do(method, path)
		assert.Equal(t, want, ran.take(), target)
	}
}

func TestC05PointerReceivers(t *testing.T) {
	assert.Zero(t, reflect.TypeFor[kami.Mux]().NumMethod())
	assert.Implements(t, (*http.Handler)(nil), new(kami.Mux))
	assert.Implements(t, (*kami.ContextHandler)(nil), new(kami.Mux))
	assert.Implements(t, (*kami.ContextHandler)(nil), kami.Handler())
}

func TestC05ContextInPlaceOfTheRequests(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		s.get("/:id", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			assert.Same(t, ctx, r.Context())
			fmt.Fprintln(w, kami.Param(ctx, "id"), ctx.Value(valueKey("own")), ctx.Value(valueKey("request's")), ctx.Err())
		})
		gone, end := context.WithCancel(context.WithValue(t.Context(), valueKey("request's"), 1))
		end()
		r := httptest.NewRequestWithContext(gone, "GET", "/7", nil)
		for _, *s.cancel = range []bool{false, true} {
			w := httptest.NewRecorder()
			in := context.WithValue(t.Context(), valueKey("own"), 2)
			s.Handler.(kami.ContextHandler).ServeHTTPContext(in, w, r)
			assert.Equal(t, "7 2 <nil> <nil>\n", w.Body.String())
			assert.Same(t, gone, r.Context(), "the incoming request is left alone")
		}
	})
}

func TestC05CancellationAlwaysApplies(t *testing.T) {
	endings(t, func(t *testing.T, l life, by, _, got string) {
		if l.bound {
			assert.Equal(t, "done: context canceled, because of "+by, got)
		}
	})
}

func TestC05MuxIsAHandlerOfAnother(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		outer, ran := kami.New(), trail{}
		base, end := context.WithCancel(t.Context())
		outer.Context = context.WithValue(base, valueKey("of"), "outer")
		outer.Get("/:any", s.Handler)
		*s.context = context.WithValue(t.Context(), valueKey("of"), "inner")
		s.get("/:id", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
			end()
			ran.add("%v %v", ctx.Value(valueKey("of")), ctx.Err())
		})
		(&stack{Handler: outer}).do("GET", "/7")
		assert.Equal(t, "outer context canceled", ran.take())
	})
}

func TestC05NoGoroutineIsLeftBehind(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		s.get("/", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
			child, stop := context.WithCancel(ctx)
			defer stop()
			assert.NotNil(t, child.Done())
		})
		for _, l := range lives {
			base, endBase := context.WithCancel(t.Context())
			in, endIn := context.WithCancel(t.Context())
			*s.context = base
			before := runtime.NumGoroutine()
			for range 100 {
				l.serve(s, in, "/")
			}
			left := func() int { return runtime.NumGoroutine() - before }
			for i := 0; left() >= 50 && i < 100_000; i++ {
				runtime.Gosched() // those that end need a moment
			}
			assert.Less(t, left(), 50, "%+v", l)
			endBase()
			endIn()
		}
	})
}

// counted is a context that can end, and knows the functions that wait for its end.
type counted struct {
	context.Context
	end     chan struct{}
	waiting sync.Map
}

func newCounted() *counted { return &counted{Context: context.Background(), end: make(chan struct{})} }

func (c *counted) Done() <-chan struct{} { return c.end }

// AfterFunc is the method that the context package looks for in other packages' contexts.
func (c *counted) AfterFunc(f func()) (stop func() bool) {
	key := new(int)
	c.waiting.Store(key, f)
	return func() bool {
		_, first := c.waiting.LoadAndDelete(key)
		return first
	}
}

// count returns the number of functions that wait.
func (c *counted) count() (n int) {
	c.waiting.Range(func(any, any) bool { n++; return true })
	return n
}

// keepsFew reports whether only few functions wait for the contexts, after the garbage that can be freed is freed.
func keepsFew(all ...*counted) bool {
	few := func() bool {
		sum := 0
		for _, c := range all {
			sum += c.count()
		}
		return sum <= 3
	}
	if !few() {
		collect()
	}
	return few()
}

func TestC05LongLivedContextsKeepNoRequests(t *testing.T) {
	const requests = 50
	for _, outer := range []int{1, 2} { // in turn, as where one Mux is mounted in two others
		t.Run(fmt.Sprint(outer), func(t *testing.T) {
			each(t, func(t *testing.T, s *stack) {
				s.get("/", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) { ctx.Done() })
				for _, l := range lives {
					base, in := newCounted(), []*counted{newCounted(), newCounted()}
					*s.context = base
					for i := range requests {
						l.serve(s, in[i%outer], "/")
					}
					if l.cancel {
						assert.Zero(t, base.count()+in[0].count()+in[1].count(), "%+v: at once", l)
					}
					assert.True(t, keepsFew(base), "%+v: kami.Context", l)
					assert.True(t, keepsFew(in...), "%+v: incoming", l)
				}
			})
		})
	}
}

func TestC05ContextsThatEndLeaveTheOther(t *testing.T) {
	const requests = 50
	each(t, func(t *testing.T, s *stack) {
		s.get("/", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) { ctx.Done() })
		for _, l := range lives {
			base := newCounted()
			*s.context = base
			for range requests {
				in, end := context.WithCancel(t.Context()) // as net/http's
				l.serve(s, in, "/")
				end()
			}
			assert.True(t, keepsFew(base), "%+v", l)
		}
	})
}

// TestC05ContextsThatNeverEndAreLetGo serves requests whose incoming contexts never end.
func TestC05ContextsThatNeverEndAreLetGo(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		s.get("/", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) { ctx.Done() })
		for _, l := range lives {
			base := newCounted()
			*s.context = base
			for range 50 {
				in := newCounted()
				l.serve(s, in, "/")
				assert.True(t, keepsFew(in), "%+v", l)
			}
			assert.True(t, keepsFew(base), "%+v", l)
		}
	})
}

// kept returns how many bytes are kept of each of n runs. As many runs before them make room for goroutines.
func kept(n int, run func()) int64 {
	var before, after runtime.MemStats
	for range n {
		run()
	}
	collect()
	runtime.ReadMemStats(&before)
	for range n {
		run()
	}
	for range 10 { // until all cleanups have run
		collect()
		runtime.ReadMemStats(&after)
		if after.HeapAlloc < before.HeapAlloc+uint64(n)*50 {
			break
		}
	}
	return (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / int64(n)
}

// TestC05NothingIsKeptOfRequests serves bound requests whose contexts end, never end, or are the same for all.
func TestC05NothingIsKeptOfRequests(t *testing.T) {
	const requests = 5_000
	each(t, func(t *testing.T, s *stack) {
		s.get("/", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
			_, stop := context.WithTimeout(ctx, time.Minute)
			defer stop()
			ctx.Done()
		})
		outer, end := context.WithTimeout(t.Context(), time.Hour)
		defer end()
		base, endBase := context.WithTimeout(t.Context(), time.Hour/2)
		defer endBase()
		*s.context = base
		w, r := &blank{http.Header{}}, httptest.NewRequest("GET", "/", nil)
		for name, incoming := range map[string]func() (context.Context, context.CancelFunc){
			"ends": func() (context.Context, context.CancelFunc) { return context.WithCancel(outer) },
			"never ends": func() (context.Context, context.CancelFunc) {
				in, stop := context.WithCancel(context.WithoutCancel(outer))
				return in, func() { _ = stop }
			},
			"of all": func() (context.Context, context.CancelFunc) {
				return context.WithValue(outer, valueKey("a"), make([]byte, 1000)), func() {}
			},
		} {
			assert.Less(t, kept(requests, func() {
				in, done := incoming()
				s.Handler.(kami.ContextHandler).ServeHTTPContext(in, w, r)
				done()
			}), int64(100), name)
		}
	})
}
