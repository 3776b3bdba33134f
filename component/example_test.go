package component_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"

	"github.com/guregu/kami"
	"github.com/guregu/kami/component"
	"github.com/guregu/kami/message"
)

type Greeter struct{}

type greetRequest struct {
	Name string `json:"name"`
}

type greeting struct {
	Text string `json:"text"`
}

func (g *Greeter) Greet(_ context.Context, r *greetRequest) (*greeting, error) {
	return &greeting{fmt.Sprintf("Hello, %s!", r.Name)}, nil
}

func (g *Greeter) Shutdown() { fmt.Println("goodbye") }

func ExampleSet() {
	mux, set := kami.New(), new(component.Set)
	set.Register(mux.Handle, new(Greeter), // or kami.Handle
		component.WithPrefix("hall"),
		component.WithName("greeter"),
		component.WithNameFunc(strings.ToLower)) // without it: hall.greeter.Greet
	if err := set.Start(context.Background()); err != nil {
		fmt.Println(err)
	}

	// curl -d '{"name": "bob"}' -H 'Content-Type: application/json' localhost:8000/hall/greeter/greet
	r := httptest.NewRequest("POST", "/hall/greeter/greet", strings.NewReader(`{"name": "bob"}`))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Print(w.Code, " ", w.Body)

	call := message.Remote[greetRequest, *greeting](message.Local(mux), "hall.greeter.greet")
	answer, err := call(context.Background(), greetRequest{"ann"})
	fmt.Println(answer.Text, err)

	watch := message.Stream[greetRequest, greeting](message.Local(mux), "hall.greeter.greet")
	for item, err := range watch(context.Background(), greetRequest{"cy"}) { // of one item
		fmt.Println(item.Text, err)
	}
	// Output:
	// 200 {"text":"Hello, bob!"}
	// Hello, ann! <nil>
	// Hello, cy! <nil>
}

func ExampleSet_Stop() {
	mux, set := kami.New(), new(component.Set)
	set.Register(mux.Handle, new(Greeter))
	if err := set.Start(context.Background()); err != nil {
		fmt.Println(err)
	}
	// kami.Serve() would serve here, up to the last request.
	if err := set.Stop(context.Background()); err != nil {
		fmt.Println(err)
	}
	reply := message.Serve(context.Background(), mux, &message.Message{Route: "Greeter.Greet"})
	fmt.Println(reply.Status)
	// Output:
	// goodbye
	// 503
}
