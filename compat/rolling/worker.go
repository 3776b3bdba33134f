//go:build unix

package rolling

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
	"github.com/guregu/kami/session"
)

// workerVariable is in the environment of a worker: the file to which it adds each id that it has run.
const workerVariable = "KAMI_RESTART_WORKER"

// Deaf in the environment of a worker has its Node not hear of the stop, so that calls are lost.
const Deaf = deafVariable + "=1"

const deafVariable = "KAMI_RESTART_DEAF"

// work is how long each call takes.
const work = 5 * time.Millisecond

// Serve is the worker, until it has stopped, if that is what this process is. Else it returns false at once.
//
//	echo  takes an id, and answers "ok " and the id after a moment
//	tick  is echo that pushes the id to its caller before, as "tick"
func Serve() bool {
	file := os.Getenv(workerVariable)
	if file == "" {
		return false
	}
	ran, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	calls := kami.New()
	echo := func(_ context.Context, id string) (string, error) {
		if _, err := fmt.Fprintln(ran, id); err != nil {
			return "", err
		}
		time.Sleep(work)
		return "ok " + id, nil
	}
	calls.Post("/echo", endpoint.JSON(echo))
	calls.Post("/tick", endpoint.JSON(func(ctx context.Context, id string) (string, error) {
		if err := session.FromContext(ctx).Push(ctx, "tick", id); err != nil {
			return "", err
		}
		return echo(ctx, id)
	}))
	node := &peer.Node{Name: "worker", Version: "1.0.0", Handler: calls, Origins: []string{"127.0.0.1:*"}} // for pages of other servers
	kami.Get("/kite", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		if os.Getenv(deafVariable) != "" {
			ctx = context.Background() // so no server of kami's is found in it: no goaway is sent, and the stop waits for no connection
		}
		node.ServeHTTPContext(ctx, w, r)
	})
	kami.Get("/pid", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, os.Getpid()) })
	kami.Serve()
	return true
}
