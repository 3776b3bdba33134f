package kami_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/component"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/mutil"
)

// Room is a component: its methods are handlers.
type Room struct {
	mu      sync.Mutex
	members []string
}

type joinRequest struct {
	Name string `json:"name"`
}

type joined struct {
	Members []string `json:"members"`
}

// Join is called as room.join.
func (r *Room) Join(_ context.Context, request *joinRequest) (*joined, error) {
	if request.Name == "" {
		return nil, endpoint.Error(http.StatusBadRequest, "who are you?")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members = append(r.members, request.Name)
	return &joined{slices.Clone(r.members)}, nil
}

// show prints what h answers to a GET request, which may have an Accept-Language.
func show(h http.Handler, path string, language ...string) {
	r := httptest.NewRequest("GET", path, nil)
	r.Header["Accept-Language"] = language
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	body, _ := io.ReadAll(w.Result().Body)
	fmt.Println(strings.TrimSpace(fmt.Sprintf("%s: %d %s", path, w.Code, body)))
}

type greetingKey struct{}

func Example() {
	defer kami.Reset()

	guess := func(ctx context.Context, w http.ResponseWriter, r *http.Request) context.Context {
		if r.Header.Get("Accept-Language") == "ja" {
			ctx = context.WithValue(ctx, greetingKey{}, "こんにちは")
		}
		return ctx
	}
	greet := func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s, %s!", ctx.Value(greetingKey{}), kami.Param(ctx, "name"))
	}

	kami.Context = context.WithValue(context.Background(), greetingKey{}, "Hello") // the god object
	kami.Use("/hello/", guess)                                                     // middleware for all paths below /hello/
	kami.Get("/hello/:name", greet)                                                // a handler with a parameter in its path
	// kami.Serve() would serve this gracefully on :8000.

	show(kami.Handler(), "/hello/greg")
	show(kami.Handler(), "/hello/greg", "ja")
	// Output:
	// /hello/greg: 200 Hello, greg!
	// /hello/greg: 200 こんにちは, greg!
}

func ExampleMux_Explain() {
	mux := kami.New()
	mux.Use("/users/", login)
	mux.Use("/users/:id/", owner)
	mux.Use("/users/:id", owner) // for the route "/users/:id" itself
	mux.After("/user/", login)   // a mistake: there are no such routes
	mux.Get("/users/:id", profile)
	mux.Get("/users/:id/edit", edit)

	e, _ := mux.Explain("GET", "/users/7/edit")
	for _, step := range e.Middleware {
		fmt.Println(step.Path, step.Name, step.Params)
	}
	fmt.Println(e.Route.Pattern, e.Route.Handler, e.Params)

	for _, finding := range mux.Check() {
		fmt.Println(finding.Problem + ": " + finding.Text)
	}
	// Output:
	// /users/ kami_test.login []
	// /users/:id/ kami_test.owner [id = "7"]
	// /users/:id/edit kami_test.edit [id = "7"]
	// unused scope: afterware kami_test.login for "/user/" covers no route
}

func login(ctx context.Context) context.Context                   { return ctx }
func owner(ctx context.Context) context.Context                   { return ctx }
func profile(context.Context, http.ResponseWriter, *http.Request) {}
func edit(context.Context, http.ResponseWriter, *http.Request)    {}

func ExampleDefaultErrorHandler() {
	mux := kami.New()
	mux.Get("/users/:id", func(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
		if kami.Param(ctx, "id") != "7" {
			return fmt.Errorf("user %s: %w", kami.Param(ctx, "id"), errMissing)
		}
		_, err := fmt.Fprint(w, "greg")
		return err
	})

	show(mux, "/users/7")
	show(mux, "/users/8")
	// Output:
	// /users/7: 200 greg
	// /users/8: 404 user 8: there is no such user
}

// missing is an error with a status.
type missing struct{}

func (missing) Error() string   { return "there is no such user" }
func (missing) StatusCode() int { return http.StatusNotFound }

var errMissing error = missing{}

func ExampleMux_Use() {
	mux := kami.New()
	var ran []string
	note := func(name string) kami.Middleware {
		return func(ctx context.Context, w http.ResponseWriter, r *http.Request) context.Context {
			ran = append(ran, name)
			return ctx // nil would halt here
		}
	}
	for _, scope := range []string{"/users/:id/", "/users/7/edit", "/users/", "/"} {
		mux.Use(scope, note(scope))
		mux.After(scope, note("after "+scope))
	}
	mux.Get("/users/:id/edit", func(w http.ResponseWriter, r *http.Request) { ran = append(ran, "HANDLER") })

	for _, path := range []string{"/users/7/edit", "/users/8/edit", "/users/"} {
		show(mux, path)
		fmt.Printf("ran: %s\n\n", strings.Join(ran, ", "))
		ran = nil
	}
	// Output:
	// /users/7/edit: 200
	// ran: /, /users/, /users/7/edit, /users/:id/, HANDLER, after /users/:id/, after /users/7/edit, after /users/, after /
	//
	// /users/8/edit: 200
	// ran: /, /users/, /users/:id/, HANDLER, after /users/:id/, after /users/, after /
	//
	// /users/: 404 404 page not found
	// ran: /, /users/, after /users/, after /
}

func ExampleException() {
	mux := kami.New()
	mux.PanicHandler = func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		http.Error(w, fmt.Sprint("sorry: ", kami.Exception(ctx)), http.StatusInternalServerError)
	}
	mux.LogHandler = func(ctx context.Context, w mutil.WriterProxy, r *http.Request) {
		fmt.Println("log:", r.Pattern, kami.Param(ctx, "id"), w.Status(), w.BytesWritten(), "bytes")
	}
	mux.Get("/users/:id", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		panic("out of users")
	})

	show(mux, "/users/7")
	// Output:
	// log: /users/:id 7 500 20 bytes
	// /users/7: 500 sorry: out of users
}

func ExampleNew() {
	admin := kami.New() // has its own Context, middleware, routes and hooks
	admin.Use("/", func(ctx context.Context, w http.ResponseWriter, r *http.Request) context.Context {
		if r.Header.Get("Authorization") == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return nil
		}
		return ctx
	})
	admin.Get("/admin/stats", func(w http.ResponseWriter, r *http.Request) {})

	server := http.NewServeMux() // or any other
	server.Handle("/admin/", admin)

	show(server, "/admin/stats")
	// Output: /admin/stats: 401
}

// legacy answers with the path that it sees.
var legacy http.HandlerFunc = func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Method, " ", r.URL.Path) }

func ExampleMux_Mount() {
	admin := kami.New()
	admin.Get("/admin/stats", stats) // with its whole path

	mux := kami.New()
	mux.Mount("/admin/", admin)
	mux.Mount("/old/", http.StripPrefix("/old", legacy)) // any handler, here one that knows /old/users as /users

	for _, path := range []string{"/admin/stats", "/old/users"} {
		show(mux, path)
	}
	e, _ := mux.Explain("GET", "/admin/stats")
	fmt.Println(e.Route.Pattern, e.Route.Handler)
	// Output:
	// /admin/stats: 200 all is well
	// /old/users: 200 GET /users
	// /admin/stats kami_test.stats
}

func stats(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "all is well") }

func ExampleSetParam() {
	greet := func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Hello, %s!", kami.Param(ctx, "name"))
	}
	w := httptest.NewRecorder()
	ctx := kami.SetParam(context.Background(), "name", "greg")
	greet(ctx, w, httptest.NewRequest("GET", "/", nil))
	fmt.Println(w.Body)
	// Output: Hello, greg!
}

func ExampleMux_ServeContext_stop() {
	mux := kami.New()
	mux.DrainTimeout = 20 * time.Second // how long a stop waits for requests; without it, as long as they take
	mux.Get("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "hello") })

	listener, _ := net.Listen("tcp", "127.0.0.1:0")
	ctx, stop := context.WithCancel(context.Background()) // or signal.NotifyContext
	served := make(chan error, 1)
	go func() { served <- mux.ServeContext(ctx, listener, &http.Server{ReadHeaderTimeout: 5 * time.Second}) }()

	response, _ := http.Get("http://" + listener.Addr().String())
	fmt.Println(response.Status)
	stop()
	fmt.Println(<-served)
	// Output:
	// 200 OK
	// <nil>
}

func Example_endpoint() {
	type division struct {
		A int64 `path:"a"`
		B int64 `query:"b"` // untagged fields come from a JSON body
	}
	divide := func(ctx context.Context, r division) (int64, error) {
		if r.B == 0 {
			return 0, endpoint.Error(http.StatusUnprocessableEntity, "nothing is divided by zero")
		}
		return r.A / r.B, nil
	}
	mux := kami.New()
	mux.Get("/divide/:a", endpoint.JSON(divide))

	show(mux, "/divide/6?b=2")
	show(mux, "/divide/6?b=0")
	show(mux, "/divide/six?b=2")
	// Output:
	// /divide/6?b=2: 200 3
	// /divide/6?b=0: 422 nothing is divided by zero
	// /divide/six?b=2: 400 path "a": "six" is not an integer
}

func Example_message() {
	mux, components := kami.New(), new(component.Set)
	components.Register(mux.Handle, new(Room), component.WithName("room"), component.WithNameFunc(strings.ToLower))
	if err := components.Start(context.Background()); err != nil {
		fmt.Println(err)
	}

	// curl -d '{"name": "bob"}' -H 'Content-Type: application/json' localhost:8000/room/join
	r := httptest.NewRequest("POST", "/room/join", strings.NewReader(`{"name": "bob"}`))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Print(w.Body)

	// The same call within the program. Other transports carry it by websockets and between servers.
	join := message.Remote[joinRequest, *joined](message.Local(mux), "room.join")
	all, err := join(context.Background(), joinRequest{"ann"})
	fmt.Println(all.Members, err)
	// Output:
	// {"members":["bob"]}
	// [bob ann] <nil>
}
