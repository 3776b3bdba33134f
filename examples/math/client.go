package main

import (
	"context"
	"log"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/auth"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/peer"
)

// tokenLife is how long a token is good for. The client shows another one before.
const tokenLife = 10 * time.Minute

// pause is between two calls of a client.
const pause = time.Second

// calculate has one number squared after the other until ctx ends.
func calculate(ctx context.Context, url string, issuer *auth.Issuer) error {
	student := auth.Identity{Subject: "ann", Audience: serviceName}
	conn, err := dial(ctx, url, hear, peer.Token(issuer.Source(student, tokenLife)))
	if err != nil {
		return err
	}
	defer conn.Close()
	square := message.Remote[float64, float64](conn, "math.square")
	for n := 1.0; ctx.Err() == nil; n++ {
		result, err := square(ctx, n)
		switch {
		case conn.Err() != nil: // the server has refused the token
			return conn.Err()
		case ctx.Err() != nil:
		case err != nil:
			log.Printf("the square of %v: %v", n, err)
		default:
			log.Printf("the square of %v is %v", n, result)
		}
		sleep(ctx, pause)
	}
	return nil
}

// dial connects to the service, and again whenever the connection is lost.
func dial(ctx context.Context, url string, hear func(text string), token peer.DialOption) (*peer.Conn, error) {
	calls := kami.New() // what the service may call
	calls.Post("/log", endpoint.JSON(func(_ context.Context, text string) (struct{}, error) {
		hear(text)
		return struct{}{}, nil
	}))
	node := &peer.Node{Name: "student", Version: "1.0.0", Handler: calls}
	return node.Dial(ctx, url, token, peer.Reconnect(peer.Backoff{}))
}

func hear(text string) { log.Print("the service says: ", text) }

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
