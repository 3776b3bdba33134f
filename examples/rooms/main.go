// Rooms is a chat on a cluster. Browsers connect to any connector, which passes their messages to the server of their room. That server's
// pushes reach the members of the room at all connectors.
//
// All of it in one process, with NATS inside; open the page that it logs in two tabs:
//
//	go run ./examples/rooms
//
// Or on as many processes as it takes, with a NATS server of yours. Without one, take the first process's: it logs the URL.
//
//	go run ./examples/rooms -nats nats://localhost:4222 -type room -bind :0
//	go run ./examples/rooms -nats nats://localhost:4222 -type room -bind :0
//	go run ./examples/rooms -nats nats://localhost:4222 -type connector -bind :8000
//	go run ./examples/rooms -nats nats://localhost:4222 -type connector -bind :8001
//
// Each can be replaced while people talk: start another one, and send SIGTERM to the old one. The nats command line tool sees and calls
// them all; in one process the log says which URL its flag -s needs:
//
//	nats micro ls
//	nats micro stats room
//	nats req kami.r.room.stats.lines '{}'
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/guregu/kami"
	"github.com/guregu/kami/cluster"
	"github.com/guregu/kami/cluster/embed"
	"github.com/guregu/kami/component"
)

const version = "1.0.0"

// patience is how long a server may take to come, and to go.
const patience = 30 * time.Second

func main() {
	serverType := flag.String("type", "", "what this process is: connector or room; without it all in one")
	url := flag.String("nats", "", "URL of NATS; without it NATS runs in this process")
	flag.Parse()
	if err := run(*serverType, *url); err != nil {
		log.Fatal(err)
	}
}

// run serves until the process is told to stop. The deferred functions run in reverse: clients go first, NATS last.
func run(serverType, url string) error {
	types := []string{serverType}
	switch serverType {
	case "":
		types = []string{"room", "room", "connector"}
	case "connector", "room":
	default:
		return fmt.Errorf("the flag -type must be connector or room, not %q", serverType)
	}
	if serverType != "" && url == "" {
		return fmt.Errorf("a %s by itself needs the flag -nats, such as nats://localhost:4222, for all to be on one NATS server", serverType)
	}
	nc, stop, err := connect(url)
	if err != nil {
		return err
	}
	defer stop()
	for _, t := range types {
		leave, err := start(nc, t)
		if err != nil {
			return err
		}
		defer leave()
	}
	if serverType != "room" {
		host, port, _ := net.SplitHostPort(flag.Lookup("bind").Value.String())
		log.Printf("the page is http://%s/", net.JoinHostPort(cmp.Or(host, "localhost"), port))
	}
	kami.Get("/health", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	kami.Serve()
	return nil
}

// connect connects to NATS, or starts it in this process.
func connect(url string) (nc *nats.Conn, stop func(), err error) {
	if url != "" {
		if nc, err = nats.Connect(url, cluster.Options()...); err != nil {
			return nil, nil, fmt.Errorf("connecting to %s, the URL of the flag -nats; is nats-server running there? %w", url, err)
		}
		return nc, nc.Close, nil
	}
	server, err := embed.Start(embed.Options{Port: -1})
	if err != nil {
		return nil, nil, err
	}
	log.Print("NATS is ", server.URL())
	nc, err = server.Connect(cluster.Options()...)
	return nc, server.Stop, err
}

// start starts the components of a server before it joins the cluster, so that no message comes too early. The function that it returns does
// the same in reverse.
func start(nc *nats.Conn, serverType string) (leave func(), err error) {
	components, cfg := new(component.Set), cluster.Config{Type: serverType, Version: version}
	joined := func(*cluster.Server) {}
	if serverType == "room" {
		newRoom(components, &cfg)
	} else {
		joined = newConnector(components, &cfg)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := components.Start(ctx); err != nil {
		return nil, err
	}
	server, err := cluster.Join(ctx, nc, cfg)
	if err != nil {
		return nil, errors.Join(err, components.Stop(ctx))
	}
	joined(server)
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := server.Leave(ctx); err != nil {
			log.Print(err)
		}
		if err := components.Stop(ctx); err != nil {
			log.Print(err)
		}
	}, nil
}
