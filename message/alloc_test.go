package message_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
)

// said is a message of a chat.
type said struct {
	ID     string   `json:"id"`
	Room   string   `json:"room"`
	Text   string   `json:"text"`
	Tags   []string `json:"tags"`
	Author struct {
		Name  string `json:"name"`
		Email string `json:"email"`
	} `json:"author"`
	Reads map[string]int `json:"reads"`
}

func newSaid() said {
	s := said{ID: "9f2c", Room: "lobby", Text: "Is anybody there?", Tags: []string{"question", "first"}, Reads: map[string]int{"ann": 3, "bob": 1}}
	s.Author.Name, s.Author.Email = "Ann", "ann@example.com"
	return s
}

var body = []byte(`{"a":1,"b":2}`)

// disguises are the ways to run what a mux has for POST /room/:id/join.
var disguises = []struct {
	name string
	run  func(ctx context.Context, h http.Handler)
}{
	{"Message", func(ctx context.Context, h http.Handler) {
		message.Serve(ctx, h, &message.Message{Route: "room.7.join", Body: body})
	}},
	{"Request", func(ctx context.Context, h http.Handler) {
		r := httptest.NewRequestWithContext(ctx, "POST", "/room/7/join", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		h.ServeHTTP(httptest.NewRecorder(), r)
	}},
	{"Bare", func(ctx context.Context, h http.Handler) { // a request that nothing has parsed
		r, _ := http.NewRequestWithContext(ctx, "POST", "/room/7/join", bytes.NewReader(body))
		h.ServeHTTP(httptest.NewRecorder(), r)
	}},
}

func joining() *kami.Mux {
	mux := kami.New()
	mux.Post("/room/:id/join", func(_ context.Context, w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
	return mux
}

func TestM01Allocations(t *testing.T) {
	if race {
		t.Skip("the race detector drops what is pooled")
	}
	mux := joining()
	allocations := map[string]float64{}
	for _, d := range disguises {
		allocations[d.name] = testing.AllocsPerRun(100, func() { d.run(t.Context(), mux) })
	}
	t.Log(allocations)
	if got, request := allocations["Message"], allocations["Bare"]; got > request+6 || got > 8 {
		t.Errorf("a message allocates %v times, and a request %v times", got, request)
	}
}

// typed are a function behind encoding/json, and the same behind a message.
func typed() map[string]func(ctx context.Context) {
	echo := func(_ context.Context, s said) (said, error) { return s, nil }
	mux := kami.New()
	mux.Post("/say", endpoint.JSON(echo))
	call, sent := message.Remote[said, said](message.Local(mux), "say"), newSaid()
	return map[string]func(ctx context.Context){
		"Remote": func(ctx context.Context) {
			if got, err := call(ctx, sent); err != nil || got.ID != sent.ID {
				panic(err)
			}
		},
		"Function": func(ctx context.Context) {
			var request, response said
			text, _ := json.Marshal(sent)
			_ = json.Unmarshal(text, &request)
			answer, _ := echo(ctx, request)
			text, _ = json.Marshal(answer)
			_ = json.Unmarshal(text, &response)
		},
	}
}

func TestM07Allocations(t *testing.T) {
	if race {
		t.Skip("the race detector drops what is pooled")
	}
	calls := typed()
	remote := testing.AllocsPerRun(100, func() { calls["Remote"](context.Background()) })
	function := testing.AllocsPerRun(100, func() { calls["Function"](context.Background()) })
	t.Logf("a call allocates %v times, encoding/json and a function %v times", remote, function)
	if remote > 1.5*function {
		t.Errorf("a call allocates %v times, and encoding/json and a function %v times", remote, function)
	}
}

func BenchmarkServe(b *testing.B) {
	mux := joining()
	for _, d := range disguises {
		b.Run(d.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				d.run(context.Background(), mux)
			}
		})
	}
}

func BenchmarkRemote(b *testing.B) {
	for name, call := range typed() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				call(context.Background())
			}
		})
	}
}
