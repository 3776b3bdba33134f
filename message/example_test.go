package message_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
)

type joinRequest struct {
	Room string `path:"id" json:"-"`
	Name string `json:"name"`
}

type joined struct {
	Members []string `json:"members"`
}

func join(_ context.Context, r joinRequest) (joined, error) {
	if r.Name == "" {
		return joined{}, endpoint.Error(400, "who are you?")
	}
	return joined{[]string{"ann", r.Name}}, nil
}

type tick struct {
	N int `json:"n"`
}

func ticks(_ context.Context, r tick) (iter.Seq2[tick, error], error) {
	return func(yield func(tick, error) bool) {
		for n := range r.N {
			if !yield(tick{n + 1}, nil) {
				return
			}
		}
	}, nil
}

func ExampleServe() {
	mux := kami.New()
	mux.Post("/room/:id/join", endpoint.JSON(join))

	// curl -d '{"name": "bob"}' -H 'Content-Type: application/json' localhost:8000/room/7/join
	r := httptest.NewRequest("POST", "/room/7/join", strings.NewReader(`{"name": "bob"}`))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Print(w.Code, " ", w.Body)

	reply := message.Serve(context.Background(), mux, &message.Message{
		Route: "room.7.join",
		Body:  []byte(`{"name": "bob"}`),
	})
	fmt.Print(reply.Status, " ", string(reply.Body))
	// Output:
	// 200 {"members":["ann","bob"]}
	// 200 {"members":["ann","bob"]}
}

func ExampleRemote() {
	mux := kami.New()
	mux.Post("/room/:id/join", endpoint.JSON(join))
	to := message.Local(mux) // or message.HTTP(nil, base)

	type request struct {
		Name string `json:"name"`
	}
	call := message.Remote[request, joined](to, "room.7.join")
	answer, err := call(context.Background(), request{"bob"})
	fmt.Println(answer.Members, err)

	_, err = call(context.Background(), request{})
	fmt.Println(err, errors.Is(err, endpoint.Error(400, "who are you?")))
	// Output:
	// [ann bob] <nil>
	// who are you? true
}

func ExampleStream() {
	mux := kami.New()
	mux.Post("/ticks", endpoint.Stream(ticks))

	watch := message.Stream[tick, tick](message.Local(mux), "ticks")
	for t, err := range watch(context.Background(), tick{3}) {
		if err != nil {
			fmt.Println("it has broken:", err)
			break
		}
		fmt.Println(t.N)
	}
	// Output:
	// 1
	// 2
	// 3
}

func ExampleHTTP() {
	mux := kami.New()
	mux.Use("/", message.Deadline) // heeds how long callers wait
	mux.Cancel = true              // ends contexts when they leave
	mux.Post("/room/:id/join", endpoint.JSON(join))
	server := httptest.NewServer(mux)
	defer server.Close()

	base, _ := url.Parse(server.URL)
	call := message.Remote[map[string]string, joined](message.HTTP(nil, base), "room.7.join")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	answer, err := call(ctx, map[string]string{"name": "bob"})
	fmt.Println(answer.Members, err)
	// Output:
	// [ann bob] <nil>
}

func ExampleAnswer() {
	mux := kami.New()
	mux.Use("/", func(ctx context.Context, w http.ResponseWriter, r *http.Request) context.Context {
		if r.Header.Get("Token") == "" {
			_ = message.Answer(w, endpoint.Error(401, "log in first"))
			return nil
		}
		return ctx
	})
	mux.Post("/room/:id/join", endpoint.JSON(join))

	reply := message.Serve(context.Background(), mux, &message.Message{Route: "room.7.join"})
	fmt.Println(reply.Err())
	// Output:
	// log in first
}
