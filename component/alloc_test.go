package component_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/component"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
)

// Adder has a method that the tests measure.
type Adder struct{}

type addRequest struct {
	A, B int
}

type addResponse struct{ Sum int }

func (*Adder) Add(_ context.Context, r *addRequest) (*addResponse, error) {
	return &addResponse{r.A + r.B}, nil
}

// costs call the method on a mux, by a message and by a request.
var costs = map[string]func(h http.Handler){
	"Message": func(h http.Handler) {
		message.Serve(context.Background(), h, &message.Message{Route: "Adder.Add", Body: []byte(`{"A":1,"B":2}`)})
	},
	"Request": func(h http.Handler) {
		r := httptest.NewRequest("POST", "/Adder/Add", bytes.NewReader([]byte(`{"A":1,"B":2}`)))
		r.Header["Content-Type"] = []string{"application/json"}
		h.ServeHTTP(httptest.NewRecorder(), r)
	},
}

// adders returns handlers of the method: by a component, and by endpoint.JSON.
func adders(t testing.TB) map[string]http.Handler {
	mux, other := kami.New(), kami.New()
	var set component.Set
	set.Register(mux.Handle, new(Adder))
	if err := set.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	other.Post("/Adder/Add", endpoint.JSON(new(Adder).Add))
	return map[string]http.Handler{"Component": mux, "Endpoint": other}
}

func TestK06Allocations(t *testing.T) {
	if race {
		t.Skip("the race detector drops what is pooled")
	}
	handlers := adders(t)
	for name, call := range costs {
		own := testing.AllocsPerRun(200, func() { call(handlers["Component"]) })
		same := testing.AllocsPerRun(200, func() { call(handlers["Endpoint"]) })
		t.Logf("%s: a component's method allocates %v times, the same behind endpoint.JSON %v times", name, own, same)
		if own > same+3 {
			t.Errorf("%s: a component's method allocates %v times, the same behind endpoint.JSON %v times", name, own, same)
		}
	}
}

// BenchmarkK06 prints how much longer a call takes than with endpoint.JSON: the difference between the best of many runs of each, in
// turns.
func BenchmarkK06(b *testing.B) {
	handlers := adders(b)
	for name, call := range costs {
		b.Run(name, func(b *testing.B) {
			best := map[string]time.Duration{"Component": time.Hour, "Endpoint": time.Hour}
			for b.Loop() {
				for kind, h := range handlers {
					begin := time.Now()
					for range 300 {
						call(h)
					}
					best[kind] = min(best[kind], time.Since(begin)/300)
				}
			}
			b.ReportMetric(float64(best["Component"]-best["Endpoint"]), "ns-more/op")
		})
	}
}

func BenchmarkCall(b *testing.B) {
	handlers := adders(b)
	for _, way := range []string{"Message", "Request"} {
		for _, kind := range []string{"Endpoint", "Component"} {
			b.Run(fmt.Sprint(way, "/", kind), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					costs[way](handlers[kind])
				}
			})
		}
	}
}
