// Secret is a server with a page behind a password: it uses ordinary net/http middleware,
// goji/httpauth, as kami middleware.
package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/goji/httpauth"
	"github.com/guregu/kami"
)

func main() {
	routes()
	kami.Serve()
}

// routes is apart from main so that the test can register them without serving.
func routes() {
	kami.Use("/secret/", httpauth.SimpleBasicAuth("username", "password"))
	kami.Get("/secret/message", secretMessageHandler)
}

func secretMessageHandler(_ context.Context, w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, "The treasure is buried under the old oak.")
}
