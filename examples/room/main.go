// Room is a server of a component: requests and messages call the methods of a struct.
//
//	go run ./examples/room
//	curl -H 'Content-Type: application/json' -d '{"name": "bob"}' localhost:8000/connector/testhandler/testrequest
package main

import (
	"context"
	"log"
	"strings"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/component"
)

// patience is how long the components may take to start, and to stop.
const patience = 10 * time.Second

func main() {
	var components component.Set
	register(&components)
	if err := within(patience, components.Start); err != nil {
		log.Fatal(err)
	}
	kami.Serve() // up to the last request
	if err := within(patience, components.Stop); err != nil {
		log.Fatal(err)
	}
	log.Print("the components have stopped")
}

// register is apart from main so that the test can register without serving.
func register(components *component.Set) {
	components.Register(
		kami.Handle,
		&Handler{},                              // struct to register as handler
		component.WithName("testhandler"),       // name of the handler, used by the clients
		component.WithNameFunc(strings.ToLower), // naming conversion scheme to be used by the clients
		component.WithPrefix("connector"),       // the server type, with which their routes begin
	)
}

// within calls f with a context that ends after the time.
func within(limit time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return f(ctx)
}
