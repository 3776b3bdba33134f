package endpoint_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
)

func ExampleJSON() {
	type addNote struct {
		User int64  `path:"id"`
		Sync bool   `query:"sync"`
		Text string `json:"text"`
	}
	type note struct {
		User int64  `json:"user"`
		Text string `json:"text"`
	}
	add := func(ctx context.Context, r addNote) (note, error) {
		if r.Text == "" {
			return note{}, endpoint.Error(http.StatusUnprocessableEntity, "a note needs a text")
		}
		return note{r.User, r.Text}, nil
	}

	mux := kami.New()
	mux.Post("/users/:id/notes", endpoint.JSON(add))

	post := func(path, body string) {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, jsonRequest("POST", path, body))
		fmt.Println(w.Code, strings.TrimSpace(w.Body.String()))
	}
	post("/users/7/notes?sync=true", `{"text": "buy milk"}`)
	post("/users/7/notes", `{"text": ""}`)
	post("/users/7/notes", `{"text": 1}`)
	post("/users/me/notes", `{"text": "buy milk"}`)
	// Output:
	// 200 {"user":7,"text":"buy milk"}
	// 422 a note needs a text
	// 400 field "text": a JSON number at offset 10 does not fit
	// 400 path "id": "me" is not an integer
}

func ExampleNewServer() {
	upper := func(ctx context.Context, text string) (string, error) {
		if text == "" {
			return "", errors.New("there is no text")
		}
		return strings.ToUpper(text), nil
	}
	decode := func(ctx context.Context, r *http.Request) (string, error) {
		return r.FormValue("text"), nil
	}
	encode := func(ctx context.Context, w http.ResponseWriter, text string) error {
		_, err := io.WriteString(w, text)
		return err
	}

	mux := kami.New()
	mux.Get("/upper", endpoint.NewServer(upper, decode, encode,
		endpoint.ServerAfter(endpoint.SetContentType("text/plain")),
		endpoint.ServerFinalizer(func(ctx context.Context, code int, r *http.Request) {
			fmt.Println(r.Method, r.URL, code, ctx.Value(endpoint.ContextKeyResponseSize), "bytes")
		})))

	for _, target := range []string{"/upper?text=hello", "/upper"} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		fmt.Println(w.Body)
	}
	// Output:
	// GET /upper?text=hello 200 5 bytes
	// HELLO
	// GET /upper 500 16 bytes
	// there is no text
}

func ExampleNewClient() {
	type sumRequest struct{ A, B int }
	type sumResponse struct{ Sum int }
	server := httptest.NewServer(endpoint.JSON(func(ctx context.Context, r sumRequest) (sumResponse, error) {
		if r.A < 0 || r.B < 0 {
			return sumResponse{}, endpoint.Error(http.StatusBadRequest, "only natural numbers")
		}
		return sumResponse{r.A + r.B}, nil
	}))
	defer server.Close()
	target, _ := url.Parse(server.URL)

	sum := endpoint.NewClient("POST", target,
		endpoint.EncodeJSONRequest[sumRequest], endpoint.DecodeJSONResponse[sumResponse]).Endpoint()

	response, err := sum(context.Background(), sumRequest{1, 2})
	fmt.Println(response.Sum, err)
	_, err = sum(context.Background(), sumRequest{1, -2})
	fmt.Println(err, err == endpoint.Error(http.StatusBadRequest, "only natural numbers"))
	// Output:
	// 3 <nil>
	// only natural numbers true
}

func ExampleChain() {
	annotate := func(name string) endpoint.Middleware[string, string] {
		return func(next endpoint.Endpoint[string, string]) endpoint.Endpoint[string, string] {
			return func(ctx context.Context, request string) (string, error) {
				fmt.Println(name, "sees", request)
				defer fmt.Println(name, "is done")
				return next(ctx, request)
			}
		}
	}

	e := endpoint.Chain(annotate("first"), annotate("second"))(endpoint.Nop[string, string])

	_, _ = e(context.Background(), "hello")
	// Output:
	// first sees hello
	// second sees hello
	// second is done
	// first is done
}

// One struct is the request of both sides.
func ExampleJSONClient() {
	type addNote struct {
		User int64  `path:"id"`
		Sync bool   `query:"sync"`
		Text string `json:"text"`
	}
	mux := kami.New()
	mux.Post("/users/:id/notes", endpoint.JSON(func(ctx context.Context, r addNote) (string, error) {
		return fmt.Sprintf("note of user %d: %s", r.User, r.Text), nil
	}))
	server := httptest.NewServer(mux)
	defer server.Close()

	add := endpoint.JSONClient[addNote, string]("POST", server.URL+"/users/:id/notes").Endpoint()

	fmt.Println(add(context.Background(), addNote{User: 7, Sync: true, Text: "buy milk"}))
	// Output:
	// note of user 7: buy milk <nil>
}

func ExampleError() {
	find := func(ctx context.Context, name string) (string, error) {
		return "", fmt.Errorf("finding %q: %w", name, endpoint.Error(http.StatusNotFound, "no such user"))
	}

	w := httptest.NewRecorder()
	endpoint.JSON(find).ServeHTTP(w, jsonRequest("POST", "/", `"bob"`))
	fmt.Print(w.Code, " ", w.Body)
	// Output:
	// 404 finding "bob": no such user
}

// bucket limits as *rate.Limiter of golang.org/x/time does, but never refills.
type bucket int

func (b *bucket) Allow() bool {
	*b--
	return *b >= 0
}

func ExampleEndpoint_With() {
	greet := endpoint.Endpoint[string, string](func(ctx context.Context, name string) (string, error) {
		return "Hello, " + name + "!", nil
	})
	limiter := bucket(1) // or rate.NewLimiter(10, 100)

	limited := greet.With(endpoint.Limit(&limiter))

	fmt.Println(limited(context.Background(), "greg"))
	fmt.Println(limited(context.Background(), "greg"))
	// Output:
	// Hello, greg! <nil>
	//  too many requests
}

func ExampleRetry() {
	attempts := 0
	flaky := endpoint.Endpoint[string, string](func(ctx context.Context, name string) (string, error) {
		if attempts++; attempts < 3 {
			return "", endpoint.Error(http.StatusServiceUnavailable, "not now")
		}
		return "Hello, " + name + "!", nil
	})

	patient := flaky.With(endpoint.Retry(endpoint.RetryPolicy{Attempts: 5}))

	fmt.Println(patient(context.Background(), "greg"))
	// Output:
	// Hello, greg! <nil>
}

// fuse is a circuit breaker, as those of sony/gobreaker are, that never closes again.
type fuse struct{ blown bool }

func (f *fuse) Execute(call func() (any, error)) (any, error) {
	if f.blown {
		return nil, errors.New("the fuse has blown")
	}
	result, err := call()
	f.blown = err != nil
	return result, err
}

func ExampleBreaker() {
	down := endpoint.Endpoint[string, string](func(ctx context.Context, name string) (string, error) {
		return "", endpoint.Error(http.StatusBadGateway, "nobody answers")
	})

	protected := down.With(endpoint.Breaker(new(fuse))) // or gobreaker.NewCircuitBreaker[any](settings)

	for range 2 {
		_, err := protected(context.Background(), "greg")
		var status endpoint.StatusCoder
		fmt.Println(err, errors.As(err, &status), status.StatusCode())
	}
	// Output:
	// nobody answers true 502
	// the fuse has blown true 503
}

func ExampleLogErrors() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey { // it would be another each time
				return slog.Attr{}
			}
			return a
		},
	}))
	find := func(ctx context.Context, id int) (string, error) {
		if id < 0 {
			return "", endpoint.Error(http.StatusBadRequest, "there are no negative ids")
		}
		return "", errors.New("the database is away")
	}

	mux := kami.New()
	mux.Post("/find", endpoint.NewServer(find, endpoint.DecodeJSONRequest[int], endpoint.EncodeJSONResponse[string],
		endpoint.ServerErrorHandler(endpoint.LogErrors(logger))))

	for _, body := range []string{"-1", "1"} {
		mux.ServeHTTP(httptest.NewRecorder(), jsonRequest("POST", "/find", body))
	}
	// Output:
	// level=INFO msg="endpoint failed" err="there are no negative ids" method=POST pattern=/find
	// level=ERROR msg="endpoint failed" err="the database is away" method=POST pattern=/find
}

func ExampleBufferedStream() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "a large file")
	}))
	defer server.Close()
	target, _ := url.Parse(server.URL)

	download := endpoint.NewClient("GET", target,
		func(ctx context.Context, r *http.Request, name string) error { r.URL.Path = "/" + name; return nil },
		func(ctx context.Context, r *http.Response) (io.ReadCloser, error) { return r.Body, nil },
		endpoint.BufferedStream(true)).Endpoint()

	body, err := download(context.Background(), "file")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer body.Close()
	_, _ = io.Copy(os.Stdout, body)
	// Output:
	// a large file
}

func ExampleStream() {
	type countdown struct {
		From int `query:"from"`
	}
	type tick struct {
		N int `json:"n"`
	}
	count := func(ctx context.Context, r countdown) (iter.Seq2[tick, error], error) {
		if r.From > 10 {
			return nil, endpoint.Error(http.StatusBadRequest, "that takes too long")
		}
		return func(yield func(tick, error) bool) {
			for n := r.From; n > 0; n-- {
				if !yield(tick{n}, nil) {
					return
				}
			}
		}, nil
	}

	mux := kami.New()
	mux.Get("/countdown", endpoint.Stream(count))

	for _, accept := range []string{"application/x-ndjson", "text/event-stream"} {
		r := httptest.NewRequest("GET", "/countdown?from=2", nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(w.Body)
	}
	// Output:
	// {"n":2}
	// {"n":1}
	//
	// data: {"n":2}
	//
	// data: {"n":1}
}

func ExamplePopulateRequestContext() {
	handler := endpoint.NewServer(
		func(ctx context.Context, request struct{}) (response struct{}, err error) {
			fmt.Println("Method", ctx.Value(endpoint.ContextKeyRequestMethod).(string))
			fmt.Println("RequestPath", ctx.Value(endpoint.ContextKeyRequestPath).(string))
			fmt.Println("RequestURI", ctx.Value(endpoint.ContextKeyRequestURI).(string))
			fmt.Println("X-Request-ID", ctx.Value(endpoint.ContextKeyRequestXRequestID).(string))
			return struct{}{}, nil
		},
		endpoint.NopRequestDecoder,
		func(context.Context, http.ResponseWriter, struct{}) error { return nil },
		endpoint.ServerBefore(endpoint.PopulateRequestContext),
	)

	server := httptest.NewServer(handler)
	defer server.Close()
	req, _ := http.NewRequest("PATCH", fmt.Sprintf("%s/search?q=sympatico", server.URL), nil)
	req.Header.Set("X-Request-Id", "a1b2c3d4e5")
	if resp, err := http.DefaultClient.Do(req); err == nil {
		_ = resp.Body.Close()
	}
	// Output:
	// Method PATCH
	// RequestPath /search
	// RequestURI /search?q=sympatico
	// X-Request-ID a1b2c3d4e5
}

// jsonRequest returns a request with a body of JSON.
func jsonRequest(method, target, body string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return r
}
