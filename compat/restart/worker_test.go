//go:build unix

package restart

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/peer"
)

// Variables in the environment of a worker, which is the program of the test itself.
const (
	workerVariable = "KAMI_RESTART_WORKER" // the file to which it adds each id that it has run
	deafVariable   = "KAMI_RESTART_DEAF"   // has its Node not hear of the stop
)

// work is how long each call takes.
const work = 5 * time.Millisecond

// serve is the worker.
func serve(file string) {
	ran, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	calls := kami.New()
	calls.Post("/echo", endpoint.JSON(func(_ context.Context, id string) (string, error) {
		if _, err := fmt.Fprintln(ran, id); err != nil {
			return "", err
		}
		time.Sleep(work)
		return "ok " + id, nil
	}))
	node := &peer.Node{Name: "worker", Version: "1.0.0", Handler: calls}
	kami.Get("/kite", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		if os.Getenv(deafVariable) != "" {
			ctx = context.Background() // so no server of kami's is found in it: no goaway is sent, and the stop waits for no connection
		}
		node.ServeHTTPContext(ctx, w, r)
	})
	kami.Get("/pid", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, os.Getpid()) })
	kami.Serve()
}
