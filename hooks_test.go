package kami_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/mutil"
)

// hooked is a stack with a whole chain for /u/:id. Each part notes its name and the exception that it sees, and panics if throws
// has a value for it.
type hooked struct {
	*stack
	ran    trail
	throws map[string]any
}

// hook registers the chain: middleware m1 and m2, standard s1 between them, handler h, afterware a2 and a1,
// PanicHandler P and LogHandler L.
func hook(s *stack) *hooked {
	h := &hooked{stack: s}
	s.use("/", h.middleware("m1"))
	s.use("/", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.note(r.Context(), "s1")
			next.ServeHTTP(w, r)
			h.note(r.Context(), "end")
		})
	})
	s.use("/u/:id", h.middleware("m2"))
	s.after("/", h.middleware("a1"))
	s.after("/u/:id", h.middleware("a2"))
	s.get("/u/:id", h.handler("h"))
	s.notFound(h.handler("404"))
	s.methodNotAllowed(h.handler("405"))
	*s.panicHandler = h.handler("P")
	*s.logHandler = func(ctx context.Context, _ mutil.WriterProxy, _ *http.Request) { h.note(ctx, "L") }
	return h
}

func (h *hooked) note(ctx context.Context, name string) {
	if v := kami.Exception(ctx); v != nil {
		h.ran.add("%s:%v", name, v)
	} else {
		h.ran.add("%s", name)
	}
	if v, ok := h.throws[name]; ok {
		panic(v)
	}
}

func (h *hooked) middleware(name string) kami.Middleware {
	return func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) context.Context {
		h.note(ctx, name)
		return context.WithValue(ctx, valueKey(name), name)
	}
}

func (h *hooked) handler(name string) kami.HandlerFunc {
	return func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) { h.note(ctx, name) }
}

// thrown serves a request for /u/7. It returns what ran, and the panic that reaches net/http.
func (h *hooked) thrown(throws map[string]any) (ran string, v any, w *httptest.ResponseRecorder) {
	h.throws, w = throws, httptest.NewRecorder()
	defer func() { ran, v = h.ran.take(), recover() }()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/u/7", nil))
	return
}

// orders say what runs if the named part panics, with X for the panic. P runs only if there is a PanicHandler.
var orders = map[string]string{
	"m1":  "m1 P:X a2:X a1:X L:X",
	"s1":  "m1 s1 P:X a2:X a1:X L:X",
	"m2":  "m1 s1 m2 P:X a2:X a1:X L:X",
	"h":   "m1 s1 m2 h P:X a2:X a1:X L:X",
	"end": "m1 s1 m2 h end P:X a2:X a1:X L:X",
	"a2":  "m1 s1 m2 h end a2 P:X a1:X L:X",
	"a1":  "m1 s1 m2 h end a2 a1 P:X L:X",
	"L":   "m1 s1 m2 h end a2 a1 L P:X",
}

func TestC40Order(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		h := hook(s)
		for at, want := range orders {
			ran, v, w := h.thrown(map[string]any{at: "boom"})
			assert.Equal(t, strings.ReplaceAll(want, "X", "boom"), ran, at)
			assert.Nil(t, v, at)
			if at != "L" {
				assert.Equal(t, 500, w.Code, at)
			}
		}
		ran, v, w := h.thrown(nil)
		assert.Equal(t, "m1 s1 m2 h end a2 a1 L", ran)
		assert.Nil(t, v)
		assert.Equal(t, 200, w.Code)
	})
}

func TestC40OtherEnds(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		h := hook(s)
		h.throws = map[string]any{"404": "boom", "405": "boom"}
		assert.Equal(t, 500, s.do("GET", "/x").Code)
		assert.Equal(t, "m1 s1 404 P:boom a1:boom L:boom", h.ran.take())
		assert.Equal(t, 500, s.do("PUT", "/u/7").Code)
		assert.Equal(t, "m1 s1 m2 405 P:boom a2:boom a1:boom L:boom", h.ran.take())
	})
}

func TestC40ForEachPanic(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		h := hook(s)
		ran, v, w := h.thrown(map[string]any{"h": "A", "a2": "B", "a1": "C", "L": "D"})
		assert.Equal(t, "m1 s1 m2 h P:A a2:A P:B a1:B P:C L:C P:D", ran)
		assert.Nil(t, v)
		assert.Equal(t, 500, w.Code)
	})
}

func TestC40ExceptionIsTheValue(t *testing.T) {
	failed := errors.New("failed")
	everywhere(t, func(t *testing.T, s *stack) {
		var throw func()
		var got any
		*s.panicHandler = func(_ http.ResponseWriter, r *http.Request) { got = kami.Exception(r.Context()) }
		s.get("/", func(http.ResponseWriter, *http.Request) { throw() })
		for _, want := range []any{"text", 42, failed, []int{1}, map[string]int{}, context.Canceled} {
			throw = func() { panic(want) }
			s.do("GET", "/")
			assert.Equal(t, want, got)
		}
		throw = func() { panic(nil) } //nolint:govet // on purpose
		s.do("GET", "/")
		assert.IsType(t, (*runtime.PanicNilError)(nil), got)
		var none []int
		throw = func() { none[len(none)] = 1 }
		s.do("GET", "/")
		assert.Implements(t, (*runtime.Error)(nil), got)
	})
}

func TestC40ContextReached(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		h := hook(s)
		s.use("/u/:id", passing(withValue))
		s.use("/u/:id", h.middleware("m3"))
		var reached []string
		*s.panicHandler = func(_ http.ResponseWriter, r *http.Request) {
			reached = append(reached, kami.Param(r.Context(), "id"))
			for _, name := range []string{"m1", "m2", "prior", "m3", "a2", "a1"} {
				if r.Context().Value(valueKey(name)) != nil {
					reached = append(reached, name)
				}
			}
		}
		for at, want := range map[string]string{
			"m1": "7", "s1": "7 m1", "m2": "7 m1", "m3": "7 m1 m2 prior", "h": "7 m1 m2 prior m3",
			"end": "7 m1 m2 prior m3", "a2": "7 m1 m2 prior m3", "a1": "7 m1 m2 prior m3 a2", "L": "7 m1 m2 prior m3 a2 a1",
		} {
			reached = nil
			h.thrown(map[string]any{at: "boom"})
			assert.Equal(t, want, strings.Join(reached, " "), at)
		}
	})
}

func TestC40KindsOfPanicHandler(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		answer := func(ctx context.Context, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprint(w, kami.Exception(ctx))
		}
		vanilla := func(w http.ResponseWriter, r *http.Request) { answer(r.Context(), w, r) }
		type defined func(http.ResponseWriter, *http.Request)
		s.get("/", func(http.ResponseWriter, *http.Request) { panic("boom") })
		for _, handler := range []kami.HandlerType{answer, kami.HandlerFunc(answer), vanilla, http.HandlerFunc(vanilla),
			defined(vanilla), struct{ kami.ContextHandler }{kami.HandlerFunc(answer)}, struct{ http.Handler }{http.HandlerFunc(vanilla)}} {
			*s.panicHandler = handler
			w := s.do("GET", "/")
			assert.Equal(t, "418 boom", fmt.Sprint(w.Code, " ", w.Body), "%T", handler)
		}
	})
}

// TestC40ServerErrorIfNothingWasWritten has the named parts write a status.
func TestC40ServerErrorIfNothingWasWritten(t *testing.T) {
	for _, tt := range []struct {
		writes       string
		after, final int // the statuses that afterware and LogHandler see
		begun        bool
	}{
		{"", 0, 500, false}, {"handler", 202, 202, true}, {"panic", 418, 418, false}, {"after", 503, 503, false},
		{"flush", 200, 200, true}, {"body", 200, 200, true},
	} {
		t.Run(tt.writes, func(t *testing.T) {
			each(t, func(t *testing.T, s *stack) {
				var ran trail
				write := func(name string, w http.ResponseWriter, code int) {
					if tt.writes == name {
						w.WriteHeader(code)
					}
				}
				s.get("/", func(w http.ResponseWriter, _ *http.Request) {
					switch write("handler", w, 202); tt.writes {
					case "flush":
						w.(http.Flusher).Flush()
					case "body":
						io.WriteString(w, "half")
					}
					panic("boom")
				})
				*s.panicHandler = func(w http.ResponseWriter, _ *http.Request) { write("panic", w, 418) }
				s.after("/", func(w mutil.WriterProxy, _ *http.Request) {
					write("after", w, 503)
					ran.add("%d", w.Status())
				})
				*s.logHandler = func(_ context.Context, w mutil.WriterProxy, _ *http.Request) { ran.add("%d", w.Status()) }
				w, aborted := s.aborts("GET", "/")
				assert.Equal(t, tt.final, w.Code)
				assert.Equal(t, tt.begun, aborted, "half a response does not look whole")
				assert.Equal(t, fmt.Sprint(tt.after, " ", tt.final), ran.take())
			})
		})
	}
}

func TestC40OwnPanicGoesOn(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		h := hook(s)
		for at := range orders {
			ran, v, _ := h.thrown(map[string]any{at: "first", "P": "own"})
			assert.Equal(t, "own", v, at)
			assert.Equal(t, 1, strings.Count(ran, "P:first"), at)
			assert.Equal(t, 1, strings.Count(ran, "a2"), at)
			assert.Equal(t, 1, strings.Count(ran, "a1"), at)
			assert.Equal(t, 1, strings.Count(ran, "L"), at)
			assert.NotContains(t, ran, "P:own", at)
		}
		ran, v, _ := h.thrown(map[string]any{"h": "A", "P": "own", "a1": "B"})
		assert.Equal(t, "own", v)
		assert.Contains(t, ran, "P:B", "it runs for each other panic still")
	})
}

// raw serves one request with h over a connection. It returns everything that the client gets, and the server's log. Headers
// are lines of the request.
func raw(t *testing.T, h http.Handler, headers ...string) (response, lines string) {
	var logged bytes.Buffer
	served := make(chan struct{})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(served)
		h.ServeHTTP(w, r)
	}))
	srv.Config.ErrorLog = log.New(&logged, "", 0)
	srv.Start()
	defer srv.Close()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", srv.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET /u/7 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+strings.Join(headers, "\r\n")+"\r\n")
	require.NoError(t, err)
	all, err := io.ReadAll(conn)
	require.NoError(t, err)
	<-served
	srv.Close() // which waits for what is logged, unless hijacked
	return string(all), logged.String()
}

const hijacked = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"

// hijack is middleware that hijacks the connection and answers on it.
func hijack(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, hijacked)
}

func TestC40NothingAfterHijack(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		h := hook(s)
		s.use("/u/7", func(w http.ResponseWriter, r *http.Request) context.Context {
			hijack(w, r)
			return r.Context() // and so does not halt
		})
		for at, want := range orders {
			if at == "m1" || at == "s1" {
				continue // before it
			}
			h.throws = map[string]any{at: "boom"}
			response, lines := raw(t, s)
			assert.Equal(t, hijacked, response, at)
			assert.Empty(t, lines, at)
			assert.Equal(t, strings.ReplaceAll(want, "X", "boom"), h.ran.take(), at)
		}
	})
}

// failing is a reader that panics after its text.
type failing struct{ text *strings.Reader }

func (f failing) Read(b []byte) (int, error) {
	if f.text.Len() == 0 {
		panic("source")
	}
	return f.text.Read(b)
}

// TestC43SourceThatPanics copies from a source that panics before its first byte, or after it.
func TestC43SourceThatPanics(t *testing.T) {
	sorry := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "sorry", http.StatusInternalServerError) }
	none := func(http.ResponseWriter, *http.Request) {}
	for _, tt := range []struct {
		text         string
		panicHandler func(http.ResponseWriter, *http.Request)
		logged       int
		answer       string // of a whole one
	}{
		{"", sorry, 500, "500 sorry\n"},
		{"", none, 500, "500 "},
		{"", nil, 0, ""},
		{"half", sorry, 200, ""},
		{"half", none, 200, ""},
		{"half", nil, 200, ""},
	} {
		for major, start := range map[int]func(*httptest.Server){
			1: (*httptest.Server).Start,
			2: func(srv *httptest.Server) { srv.EnableHTTP2 = true; srv.StartTLS() },
		} {
			each(t, func(t *testing.T, s *stack) {
				logged := make(chan string, 1)
				*s.logHandler = func(_ context.Context, w mutil.WriterProxy, r *http.Request) {
					logged <- fmt.Sprint("HTTP/", r.ProtoMajor, " ", w.Status())
				}
				if tt.panicHandler != nil {
					*s.panicHandler = tt.panicHandler
				}
				s.get("/", func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, failing{strings.NewReader(tt.text)}) })
				srv := httptest.NewUnstartedServer(s)
				srv.Config.ErrorLog = log.New(io.Discard, "", 0)
				start(srv)
				defer srv.Close()
				resp, err := srv.Client().Get(srv.URL)
				assert.Equal(t, fmt.Sprint("HTTP/", major, " ", tt.logged), <-logged, "%+v", tt)
				if err != nil {
					assert.Empty(t, tt.answer, "%+v: %v", tt, err)
					return
				}
				defer resp.Body.Close()
				if body, err := io.ReadAll(resp.Body); tt.answer != "" {
					assert.NoError(t, err)
					assert.Equal(t, tt.answer, fmt.Sprint(resp.StatusCode, " ", string(body)), "%+v", tt)
				}
			})
		}
	}
}

// Afterware and hooks see an upgrade as a 101, although the handler writes that status on the hijacked connection.
func TestC43UpgradeIsA101(t *testing.T) {
	for _, tt := range []struct {
		upgrade string
		panics  any
		want    string
	}{
		{"Upgrade: websocket\r\n", nil, "after:101 log:101"},
		{"Upgrade: websocket\r\n", "boom", "panic:101 after:101 log:101"},
		{"", nil, "after:0 log:0"},
	} {
		for _, wrapped := range []bool{false, true} {
			each(t, func(t *testing.T, s *stack) {
				var ran trail
				note := func(name string) func(context.Context, mutil.WriterProxy, *http.Request) context.Context {
					return func(ctx context.Context, w mutil.WriterProxy, _ *http.Request) context.Context {
						ran.add("%s:%d", name, w.Status())
						return ctx
					}
				}
				if wrapped {
					s.use("/", func(next http.Handler) http.Handler {
						return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(&unwraps{w}, r) })
					})
				}
				s.get("/u/:id", func(w http.ResponseWriter, r *http.Request) {
					if hijack(w, r); tt.panics != nil {
						panic(tt.panics)
					}
				})
				s.after("/", note("after"))
				*s.panicHandler = func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
					note("panic")(ctx, w.(mutil.WriterProxy), r)
					http.Error(w, "sorry", 500)
				}
				*s.logHandler = func(ctx context.Context, w mutil.WriterProxy, r *http.Request) { note("log")(ctx, w, r) }
				response, lines := raw(t, s, tt.upgrade)
				assert.Equal(t, hijacked, response)
				assert.Empty(t, lines)
				assert.Equal(t, tt.want, ran.take(), "%+v, wrapped: %t", tt, wrapped)
			})
		}
	}
}

// unwraps is a writer without Hijack, around another writer.
type unwraps struct{ http.ResponseWriter }

func (w *unwraps) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestC41WithoutPanicHandlerItGoesOn(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		h := hook(s)
		*s.panicHandler = nil
		for at, want := range orders {
			ran, v, w := h.thrown(map[string]any{at: "boom"})
			want = strings.ReplaceAll(strings.Replace(want, " P:X", "", 1), "X", "boom")
			assert.Equal(t, want, ran, at)
			assert.Equal(t, "boom", v, at)
			assert.Equal(t, 200, w.Code, "nothing is written: %s", at)
		}
	})
}

func TestC41FirstPanicGoesOn(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		h := hook(s)
		*s.panicHandler = nil
		ran, v, _ := h.thrown(map[string]any{"h": "A", "a2": "B", "a1": "C", "L": "D"})
		assert.Equal(t, "m1 s1 m2 h a2:A a1:B L:C", ran)
		assert.Equal(t, "A", v)
		ran, v, _ = h.thrown(map[string]any{"a1": "C", "L": "D"})
		assert.Equal(t, "m1 s1 m2 h end a2 a1 L:C", ran)
		assert.Equal(t, "C", v)
	})
}

func TestC41WithoutAnyHook(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		s.get("/", func(http.ResponseWriter, *http.Request) { panic("boom") })
		assert.PanicsWithValue(t, "boom", func() { s.do("GET", "/") })
	})
}

func theCulprit(v any) { panic(v) }

// stackOf returns the stack that f panics with, as net/http prints it.
func stackOf(f func()) (stack string) {
	defer func() {
		if recover() != nil {
			stack = string(debug.Stack())
		}
	}()
	f()
	return ""
}

func TestC41StackIsKept(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		h := hook(s)
		s.get("/culprit", func(_ http.ResponseWriter, r *http.Request) { theCulprit(h.throws["culprit"]) })
		get := func() { s.do("GET", "/culprit") }
		for name, tt := range map[string]struct {
			throws  map[string]any
			handler kami.HandlerType
		}{
			"alone":           {map[string]any{"culprit": "A"}, nil},
			"with others":     {map[string]any{"culprit": "A", "a1": "B", "L": "C"}, nil},
			"abort":           {map[string]any{"culprit": http.ErrAbortHandler, "L": "C"}, h.handler("P")},
			"of PanicHandler": {map[string]any{"a1": "A"}, func(http.ResponseWriter, *http.Request) { theCulprit("own") }},
		} {
			h.throws, *s.panicHandler = tt.throws, tt.handler
			if h.throws["culprit"] == nil {
				h.throws["culprit"] = "first"
			}
			assert.Contains(t, stackOf(get), "kami_test.theCulprit", name)
			*s.cancel = !*s.cancel
		}
	})
}

func TestC41StackIsPrintedByTheServer(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		h := hook(s)
		*s.panicHandler = nil
		h.throws = map[string]any{"a1": "later"}
		s.get("/u/7", func(http.ResponseWriter, *http.Request) { theCulprit("boom") })
		response, lines := raw(t, s)
		assert.Empty(t, response)
		assert.Contains(t, lines, ": boom")
		assert.Contains(t, lines, "kami_test.theCulprit")
	})
}

func TestC41AbortGoesOn(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		h := hook(s)
		abort := http.ErrAbortHandler
		for at, want := range orders {
			ran, v, w := h.thrown(map[string]any{at: abort})
			want = strings.ReplaceAll(strings.Replace(want, " P:X", "", 1), "X", abort.Error())
			assert.Equal(t, want, ran, at)
			assert.True(t, v == any(abort), at)
			assert.Equal(t, 200, w.Code, "nothing is written: %s", at)
		}
	})
}

func TestC41AbortBesideOthers(t *testing.T) {
	abort := http.ErrAbortHandler
	each(t, func(t *testing.T, s *stack) {
		h := hook(s)
		for want, throws := range map[string]map[string]any{
			"m1 s1 m2 h P:A a2:A a1:":        {"h": "A", "a2": abort},
			"m1 s1 m2 h a2:" + abort.Error(): {"h": abort, "a2": "B"},
			"m1 s1 m2 h end a2 P:A a1:A L:A": {"a2": "A", "L": abort},
			"m1 s1 m2 h P:A a2:":             {"h": "A", "P": abort},
		} {
			ran, v, _ := h.thrown(throws)
			assert.True(t, strings.HasPrefix(ran, want), "%s: %s", want, ran)
			assert.Equal(t, 1, strings.Count(ran, "L"), ran)
			assert.NotContains(t, ran, "P:"+abort.Error())
			assert.True(t, v == any(abort), "%s: %v", ran, v)
		}
	})
}

func TestC41AbortClosesTheConnection(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		hook(s).throws = map[string]any{"h": http.ErrAbortHandler}
		response, lines := raw(t, s)
		assert.Empty(t, response)
		assert.Empty(t, lines)
	})
}

func TestC41ExceptionOfOthersIsNil(t *testing.T) {
	assert.Nil(t, kami.Exception(context.Background()))
	everywhere(t, func(t *testing.T, s *stack) {
		var seen []any
		note := func(ctx context.Context) context.Context { seen = append(seen, kami.Exception(ctx)); return ctx }
		*s.panicHandler = func(http.ResponseWriter, *http.Request) { t.Error("no panic") }
		*s.logHandler = func(ctx context.Context, _ mutil.WriterProxy, _ *http.Request) { note(ctx) }
		s.use("/", note)
		s.after("/", note)
		s.do("GET", "/")
		assert.Equal(t, []any{nil, nil, nil}, seen)
	})
}

func TestC41Goexit(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		h := hook(s)
		exit := func(context.Context) context.Context { runtime.Goexit(); return nil }
		s.use("/m/", exit)
		s.after("/a/", exit)
		s.get("/h", func(http.ResponseWriter, *http.Request) { runtime.Goexit() })
		for target, want := range map[string]string{"/m/": "m1 s1 a1 L", "/h": "m1 s1 a1 L", "/a/": "m1 s1 404 end a1 L"} {
			for _, *s.panicHandler = range []kami.HandlerType{nil, h.handler("P")} {
				var request sync.WaitGroup
				returned := false
				request.Go(func() { s.do("GET", target); returned = true })
				request.Wait()
				assert.Equal(t, want, h.ran.take(), target)
				assert.False(t, returned, target)
			}
		}
	})
}

// ends registers each way in which a request can end, except for panics that reach net/http.
func ends(s *stack, ran *trail) {
	s.use("/", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer ran.add("end")
			next.ServeHTTP(w, r)
		})
	})
	s.use("/halted", func(w http.ResponseWriter, _ *http.Request) context.Context {
		http.Error(w, "no", http.StatusForbidden)
		return nil
	})
	s.after("/", ran.afterware("after"))
	*s.panicHandler = func(http.ResponseWriter, *http.Request) { ran.add("panic") }
	s.get("/hit", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello"); io.WriteString(w, " you") })
	s.get("/created", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); w.WriteHeader(500) })
	s.get("/empty", func(http.ResponseWriter, *http.Request) {})
	s.get("/header", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Etag", "1") })
	s.get("/panic", func(http.ResponseWriter, *http.Request) { panic("boom") })
	s.get("/late", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "half"); panic("boom") })
}

func TestC42OnceAtTheVeryEnd(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var ran trail
		ends(s, &ran)
		*s.logHandler = func(_ context.Context, w mutil.WriterProxy, r *http.Request) {
			ran.add("log:%d:%d:%s", w.Status(), w.BytesWritten(), r.URL.Path)
		}
		for target, want := range map[string]string{
			"GET /hit":      "end after log:200:9:/hit",
			"HEAD /hit":     "end after log:200:9:/hit",
			"GET /created":  "end after log:201:0:/created",
			"GET /none":     "end after log:404:19:/none",
			"POST /hit":     "end after log:405:19:/hit",
			"OPTIONS /hit":  "end after log:204:0:/hit",
			"GET /hit/":     "end after log:301:39:/hit/",
			"HEAD /./hit":   "end after log:307:0:/./hit",
			"GET /halted":   "end after log:403:3:/halted",
			"POST /halted":  "end after log:403:3:/halted",
			"GET /panic":    "end panic after log:500:0:/panic",
			"GET /late":     "end panic after log:200:4:/late",
			"PURGE /hit?x":  "end after log:405:19:/hit",
			"OPTIONS /none": "end after log:404:19:/none",
		} {
			method, path, _ := strings.Cut(target, " ")
			w, aborted := s.aborts(method, path)
			got := ran.take()
			assert.Equal(t, want, got, target)
			assert.Equal(t, path == "/late", aborted, target)
			assert.Contains(t, got, fmt.Sprintf("log:%d:%d:", w.Code, w.Body.Len()), "as sent: %s", target)
		}
	})
}

func TestC42OnceForAPanicThatGoesOn(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		h := hook(s)
		for _, *s.panicHandler = range []kami.HandlerType{nil, h.handler("P")} {
			for at := range orders {
				ran, _, _ := h.thrown(map[string]any{at: "boom", "P": "own"})
				assert.Equal(t, 1, strings.Count(ran, "L"), ran)
			}
		}
	})
}

func TestC42ChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var ran trail
		ends(s, &ran)
		srv := httptest.NewServer(s)
		defer srv.Close()
		client := srv.Client()
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		get := func(path string) string {
			resp, err := client.Get(srv.URL + path)
			require.NoError(t, err)
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			resp.Header.Del("Date")
			return fmt.Sprint(resp.Status, resp.Header, resp.ContentLength, string(body))
		}
		for path, status := range map[string]string{"/empty": "200", "/header": "200", "/hit": "200", "/created": "201",
			"/none": "404", "/hit/": "301", "/halted": "403", "/panic": "500"} {
			*s.logHandler = nil
			without := get(path)
			logged := make(chan bool, 1)
			*s.logHandler = func(context.Context, mutil.WriterProxy, *http.Request) { logged <- true }
			assert.Equal(t, without, get(path), path)
			assert.True(t, <-logged)
			assert.True(t, strings.HasPrefix(without, status+" "), "%s: %s", path, without)
		}
	})
}

func TestC40NoStatusWhereAPanicGoesOn(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		status := -1
		*s.panicHandler = func(context.Context, http.ResponseWriter, *http.Request) {}
		*s.logHandler = func(_ context.Context, w mutil.WriterProxy, _ *http.Request) { status = w.Status() }
		s.get("/", func(context.Context, http.ResponseWriter, *http.Request) { panic("handled") })
		s.after("/", func(context.Context) context.Context { panic(http.ErrAbortHandler) })
		assert.Equal(t, http.ErrAbortHandler.Error(), panicOf(func() { s.do("GET", "/") }))
		assert.Zero(t, status, "the connection is cut, which a status would contradict")
	})
}
