// Hello greets in two languages.
package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/guregu/kami"
)

type greetingKey struct{}

// guess is middleware: it returns the context for what follows, or nil to halt.
func guess(ctx context.Context, w http.ResponseWriter, r *http.Request) context.Context {
	if r.Header.Get("Accept-Language") == "ja" {
		ctx = context.WithValue(ctx, greetingKey{}, "こんにちは")
	}
	return ctx
}

func greet(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s, %s!\n", ctx.Value(greetingKey{}), kami.Param(ctx, "name"))
}

func main() {
	// The base of all requests' contexts, the "god object".
	kami.Context = context.WithValue(context.Background(), greetingKey{}, "Hello")

	kami.Use("/hello/", guess) // runs for everything below /hello/
	kami.Get("/hello/:name", greet)

	kami.Serve() // on :8000, until Ctrl-C or SIGTERM; it loses no request
}
