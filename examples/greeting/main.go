// Our webserver
package main

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"

	"github.com/guregu/kami"
	"github.com/guregu/kami/inspect"

	"github.com/guregu/kami/examples/greeting/greeting" // see package greeting below
)

func greet(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	hello := greeting.FromContext(ctx)
	name := kami.Param(ctx, "name")
	fmt.Fprintf(w, "%s, %s!", hello, name)
}

// local halts requests that do not come from this machine. (Behind a proxy all requests seem to come from this machine: ask for a
// password there.)
func local(ctx context.Context, w http.ResponseWriter, r *http.Request) context.Context {
	client, err := netip.ParseAddrPort(r.RemoteAddr)
	if err == nil && client.Addr().Unmap().IsLoopback() {
		return ctx
	}
	http.Error(w, "only for this machine", http.StatusForbidden)
	return nil
}

func main() {
	routes()
	kami.Serve() // gracefully serve with support for einhorn and systemd
}

// routes is apart from main so that the test can register them without serving.
func routes() {
	ctx := context.Background()
	ctx = greeting.WithContext(ctx, "Hello") // set default greeting
	kami.Context = ctx                       // set our "god context", the base context for all requests

	kami.Use("/hello/", greeting.Guess) // use this middleware for paths under /hello/
	kami.Get("/hello/:name", greet)     // add a GET handler with a parameter in the URL

	kami.Use("/debug/", local)                               // only local clients
	kami.Get("/debug/kami", inspect.Handler(kami.Handler())) // what runs for a request, and why
}
