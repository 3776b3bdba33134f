package message_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
)

// said is a chat message with fields of several kinds.
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

// blank is a writer that discards its bytes.
type blank struct{ header http.Header }

func (w *blank) Header() http.Header         { return w.header }
func (w *blank) Write(p []byte) (int, error) { return len(p), nil }
func (w *blank) WriteHeader(int)             {}

// disguises are ways to run a mux's handler for POST /room/:id/join: as a message, and as different requests.
var disguises = []struct {
	name string
	run  func(h http.Handler) func()
}{
	{"Message", func(h http.Handler) func() {
		return func() { message.Serve(context.Background(), h, &message.Message{Route: "room.7.join", Body: body}) }
	}},
	{"Direct", func(h http.Handler) func() { // request and writer are reused
		r, w := httptest.NewRequest("POST", "/room/7/join", bytes.NewReader(body)), &blank{http.Header{}}
		return func() { h.ServeHTTP(w, r) }
	}},
	{"Request", func(h http.Handler) func() {
		return func() {
			r := httptest.NewRequest("POST", "/room/7/join", bytes.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
	}},
	{"Bare", func(h http.Handler) func() { // a request that nothing has parsed
		return func() {
			r, _ := http.NewRequest("POST", "/room/7/join", bytes.NewReader(body))
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
	}},
}

func joining() *kami.Mux {
	mux := kami.New()
	mux.Post("/room/:id/join", func(_ context.Context, w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
	return mux
}

// cost returns how often a run allocates, and how many bytes it allocates.
func cost(run func()) (allocations, bytes float64) {
	const runs = 1000
	var before, after runtime.MemStats
	allocations = testing.AllocsPerRun(runs, run)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	runtime.ReadMemStats(&before)
	for range runs {
		run()
	}
	runtime.ReadMemStats(&after)
	return allocations, float64(after.TotalAlloc-before.TotalAlloc) / runs
}

// TestM01Allocations checks that a message allocates at most as much as a new request with a recorder, which is stricter than the rule. It
// may allocate only a little more than a request that is reused.
func TestM01Allocations(t *testing.T) {
	if race {
		t.Skip("the race detector drops what is pooled")
	}
	mux := joining()
	allocations, bytes := map[string]float64{}, map[string]float64{}
	for _, d := range disguises {
		allocations[d.name], bytes[d.name] = cost(d.run(mux))
	}
	t.Log("allocations:", allocations, "bytes:", bytes)
	for than, more := range map[string]struct{ allocations, bytes float64 }{"Request": {0, 0}, "Bare": {0, 0}, "Direct": {7, 1500}} {
		if got, most := allocations["Message"], allocations[than]+more.allocations; got > most {
			t.Errorf("a message allocates %v times, more than %v: see %s", got, most, than)
		}
		if got, most := bytes["Message"], bytes[than]+more.bytes; got > most {
			t.Errorf("a message allocates %v bytes, more than %v: see %s", got, most, than)
		}
	}
}

// typed has two calls of one function: by a message, and directly with encoding/json.
type typed struct {
	name             string
	remote, function func(ctx context.Context) error
}

func newTyped[Req, Resp any](name string, request Req, f func(context.Context, Req) (Resp, error)) typed {
	mux := kami.New()
	mux.Post("/call", endpoint.JSON(f))
	call := message.Remote[Req, Resp](message.Local(mux), "call")
	return typed{name, func(ctx context.Context) error {
		_, err := call(ctx, request)
		return err
	}, func(ctx context.Context) error {
		var got Req
		var response Resp
		text, _ := json.Marshal(request)
		if err := json.Unmarshal(text, &got); err != nil {
			return err
		}
		answer, _ := f(ctx, got)
		text, _ = json.Marshal(answer)
		return json.Unmarshal(text, &response)
	}}
}

// sum has two numbers.
type sum struct {
	A int `json:"a"`
	B int `json:"b"`
}

func typedCalls() []typed {
	return []typed{
		newTyped("Chat", newSaid(), func(_ context.Context, s said) (said, error) { return s, nil }),
		newTyped("Sum", sum{1, 2}, func(_ context.Context, s sum) (int, error) { return s.A + s.B, nil }),
		newTyped("Swap", sum{1, 2}, func(_ context.Context, s sum) (sum, error) { return sum{s.B, s.A}, nil }),
	}
}

// TestM07Allocations checks that a call allocates at most 1.5 times as often as encoding/json and the function, or 17 times if that is
// more. The minimum is for functions with few allocations, because a call always allocates for its exchange, headers and reply.
func TestM07Allocations(t *testing.T) {
	if race {
		t.Skip("the race detector drops what is pooled")
	}
	for _, call := range typedCalls() {
		remote, remoteBytes := cost(func() { require.NoError(t, call.remote(context.Background())) })
		function, functionBytes := cost(func() { require.NoError(t, call.function(context.Background())) })
		t.Logf("%s: a call allocates %v times and %.0f bytes, encoding/json and a function %v times and %.0f bytes",
			call.name, remote, remoteBytes, function, functionBytes)
		if most := max(1.5*function, 17); remote > most {
			t.Errorf("%s: a call allocates %v times, more than %v: encoding/json and a function do so %v times", call.name, remote, most, function)
		}
		if more := remoteBytes - functionBytes; more > 2560 {
			t.Errorf("%s: a call allocates %v bytes more than encoding/json and a function", call.name, more)
		}
	}
}

func BenchmarkServe(b *testing.B) {
	mux := joining()
	for _, d := range disguises {
		b.Run(d.name, func(b *testing.B) {
			run := d.run(mux)
			b.ReportAllocs()
			for b.Loop() {
				run()
			}
		})
	}
}

func BenchmarkRemote(b *testing.B) {
	for _, call := range typedCalls() {
		ending, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		for _, way := range []struct {
			name string
			ctx  context.Context
			run  func(context.Context) error
		}{{"Remote", context.Background(), call.remote}, {"Deadline", ending, call.remote}, {"Function", context.Background(), call.function}} {
			b.Run(call.name+"/"+way.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := way.run(way.ctx); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
