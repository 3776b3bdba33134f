//go:build unix

package restart

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/guregu/kami"
	"github.com/guregu/kami/cluster"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/peer"
	"github.com/guregu/kami/session"
)

// These are in the environment of a server of the cluster.
const (
	typeVariable     = "KAMI_CLUSTER_TYPE" // front or back
	natsVariable     = "KAMI_CLUSTER_NATS"
	rateVariable     = "KAMI_CLUSTER_RATE"     // Node.DrainRate of a front
	acceptedVariable = "KAMI_CLUSTER_ACCEPTED" // the file to which a front adds the time of each connection
	deafVariable     = "KAMI_CLUSTER_DEAF"     // not empty: the Node of a front does not hear of the stop
)

// work is how long each call takes at a back end.
const work = 5 * time.Millisecond

// serveCluster is a server of the cluster, until it has stopped, if that is what this process is. Else it returns false at once.
//
//	front.join  takes a name, which becomes the session's user and value, and has the session hear what is shouted
//	back.names  answers with the session's value and user
//	back.echo   takes an id, pushes it to its caller as "tick", and answers "ok " and the id after a moment
//	back.shout  takes a number, and broadcasts it as "shout" to all who have joined
func serveCluster() bool {
	serverType := os.Getenv(typeVariable)
	if serverType == "" {
		return false
	}
	if err := serveType(serverType); err != nil {
		log.Fatal(err)
	}
	return true
}

func serveType(serverType string) error {
	nc, err := nats.Connect(os.Getenv(natsVariable), cluster.Options()...)
	if err != nil {
		return err
	}
	defer nc.Close()
	calls, node := kami.New(), new(peer.Node)
	cfg := cluster.Config{Type: serverType, Version: "1.0.0"}
	if serverType == "back" {
		cfg.Handlers = calls
		calls.Post("/back/echo", endpoint.JSON(echo))
		calls.Post("/back/shout", endpoint.JSON(shout))
		calls.Post("/back/names", endpoint.JSON(names))
	} else {
		rate, err := strconv.Atoi(os.Getenv(rateVariable))
		if err != nil {
			return err
		}
		*node = peer.Node{Name: "front", Version: "1.0.0", Handler: calls, DrainRate: rate}
		node.Sessions.ResumeWithin = time.Minute
		cfg.Sessions = &node.Sessions
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	server, err := cluster.Join(ctx, nc, cfg)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if err := server.Leave(ctx); err != nil {
			log.Print("ERROR leaving: ", err)
		}
	}()
	if serverType == "front" {
		if err := serveFront(server, calls, node); err != nil {
			return err
		}
	}
	kami.Get("/pid", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, os.Getpid()) })
	kami.Serve()
	return nil
}

func serveFront(server *cluster.Server, calls *kami.Mux, node *peer.Node) error {
	accepted, err := os.OpenFile(os.Getenv(acceptedVariable), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	calls.Post("/front/join", endpoint.JSON(func(ctx context.Context, name string) (struct{}, error) {
		s := session.FromContext(ctx)
		nameOf.Set(s, name)
		if err := s.Bind(ctx, name); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, server.Group("front", "all").Add(ctx, s)
	}))
	calls.Post("/back/*route", cluster.Forward(server, "back"))
	kami.Get("/kite", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		if _, err := fmt.Fprintln(accepted, time.Now().UnixNano()); err != nil {
			log.Print("ERROR ", err)
		}
		if os.Getenv(deafVariable) != "" {
			ctx = context.Background() // so no server of kami's is found in it: no goaway is sent
		}
		node.ServeHTTPContext(ctx, w, r)
	})
	return nil
}

func echo(ctx context.Context, id string) (string, error) {
	if err := session.FromContext(ctx).Push(ctx, "tick", id); err != nil {
		return "", err
	}
	time.Sleep(work)
	return "ok " + id, nil
}

var nameOf = session.NewKey[string]("name")

func names(ctx context.Context, _ struct{}) (string, error) {
	s := session.FromContext(ctx)
	name, _ := nameOf.Get(s)
	return name + " " + s.UID(), nil
}

func shout(ctx context.Context, n int) (struct{}, error) {
	return struct{}{}, cluster.FromContext(ctx).Group("front", "all").Broadcast(ctx, "shout", n)
}
