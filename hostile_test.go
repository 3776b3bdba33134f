package kami_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// megabyte is the longest path over net/http, whose server reads a megabyte of headers by default.
const megabyte = 1 << 20

// hostilePaths are parts of paths that are expensive for routers. Each is repeated to a megabyte.
var hostilePaths = map[string]string{
	"slashes":         "//",
	"dots":            "/.",
	"ways up":         "/..",
	"there and back":  "/a/..",
	"encoded dots":    "/%2e%2E",
	"encoded slashes": "a%2F",
	"encoded letters": "/%41%41%41",
	"one segment":     "a",
	"short segments":  "/a",
	"to be escaped":   `"`,
	"mixed":           `/%41"//..%2f%2e/b`,
	"text and slash":  "/a%2Fb/",
}

// hostileStacks are stacks whose scopes make kami read a path in several ways.
var hostileStacks = map[string]func(s *stack){
	"scopes": func(s *stack) { // twenty of each kind
		for i := range 20 {
			s.use(fmt.Sprintf("/a/s%d/", i), keep)
			s.use(fmt.Sprintf("/:x/s%d/", i), keep)
			s.use(strings.Repeat("/:", i)+"/*c", keep)
		}
		s.get("/*all", echoNothing)
		s.get("/a/:b/:c", echoNothing)
	},
	"deep scopes": func(s *stack) {
		for _, depth := range []int{50, 100, 200} {
			s.use(strings.Repeat("/a", depth)+"/", keep)
			s.use(strings.Repeat("/:", depth)+"/", keep)
			s.after(strings.Repeat("/:", depth-1)+"/a/", keep)
		}
		s.get("/*all", echoNothing)
		s.get("/:a/:b/", echoNothing)
	},
	"routes": func(s *stack) {
		for i := range 20 {
			s.get(fmt.Sprintf("/a/r%d/", i), echoNothing)
			s.get(fmt.Sprintf("/:x/r%d/", i), echoNothing)
			s.get(strings.Repeat("/:", i+1), echoNothing)
		}
	},
	"not found": func(s *stack) { s.notFound(echoNothing) },
	"params": func(s *stack) { // for targets that reach a route with encoded slashes in many params
		s.use("/repos/:owner/", keep)
		s.use("/repos/:owner/:repo/", keep)
		s.get("/repos/:owner/:repo/issues/:number/comments/:id", echoNothing)
		route := ""
		for i := range 20 {
			route += fmt.Sprintf("/:p%d", i)
			s.use(route+"/", keep)
			s.use(route+"/*rest", keep)
			s.after(route+"/", keep)
		}
		s.get(route, echoNothing)
	},
}

// hostileTargets are more paths, with a megabyte in one of their segments.
var hostileTargets = map[string]string{
	"last param":  "/repos/a%2Fb/c%2Fd/issues/e%2Ff/comments/" + strings.Repeat(strings.Repeat("a", 60)+"%2F", megabyte/63) + "f",
	"first param": "/" + strings.Repeat("a%2F", megabyte/4) + "b" + strings.Repeat("/x%2Fy", 19),
	"one escape":  "/%41" + strings.Repeat("a", megabyte) + strings.Repeat("/x", 19),
	"query":       "/repos//a?" + strings.Repeat("'\xff", megabyte/2),
}

func keep(ctx context.Context) context.Context { return ctx }

// hostile calls run with each of the hostile requests.
func hostile(run func(name string, register func(*stack), r *http.Request)) {
	request := func(target string) *http.Request {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			panic(err)
		}
		return &http.Request{Method: "GET", URL: u, Header: http.Header{}, Host: "host"}
	}
	for stack, register := range hostileStacks {
		for name, part := range hostilePaths {
			for _, end := range []string{"", "//"} {
				target := "/" + strings.TrimPrefix(strings.Repeat(part, megabyte/len(part))+end, "/")
				run(stack+"/"+name+end, register, request(target))
			}
		}
	}
	for name, target := range hostileTargets {
		run("params/"+name, hostileStacks["params"], request(target))
	}
}

func serveMux() http.Handler {
	var mux http.ServeMux
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/{a}/{b}/", func(http.ResponseWriter, *http.Request) {})
	return &mux
}

func TestC24HostileRequestsAllocateLittle(t *testing.T) {
	const limit = 10 << 20
	hostile(func(name string, register func(*stack), r *http.Request) {
		s := newStack()
		register(s)
		s.ServeHTTP(&blank{http.Header{}}, r.Clone(context.Background()))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s.ServeHTTP(&blank{http.Header{}}, r)
		runtime.ReadMemStats(&after)
		assert.LessOrEqual(t, after.TotalAlloc-before.TotalAlloc, uint64(limit), name)
	})
}

// BenchmarkHostile prints the time of each request in kami and in http.ServeMux. The slowest in kami is to take at most twice as long as
// the slowest in http.ServeMux.
func BenchmarkHostile(b *testing.B) {
	hostile(func(name string, register func(*stack), r *http.Request) {
		s := newStack()
		register(s)
		for router, handler := range map[string]http.Handler{"kami": s, "ServeMux": serveMux()} {
			b.Run(name+"/"+router, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					handler.ServeHTTP(&blank{http.Header{}}, r)
				}
			})
		}
	})
}
