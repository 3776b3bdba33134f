package main

import (
	"context"
	"fmt"
	"log"

	"github.com/guregu/kami"
	"github.com/guregu/kami/auth"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/peer"
)

const (
	issuerName  = "school"
	keyID       = "1" // a new key would be 2: see auth.Keys
	serviceName = "math"
)

// newService returns the server's end of all connections.
func newService(keys auth.KeySource, opts ...auth.JWTOption) *peer.Node {
	opts = append(opts, auth.WithIssuer(issuerName), auth.WithAudience(serviceName))
	schemes := auth.Schemes{"Bearer": auth.JWT(keys, opts...)}

	calls := kami.New()               // for calls of clients
	calls.Use("/math/", auth.Require) // with a token that has not expired, else 401
	calls.Post("/math/square", endpoint.JSON(square))
	return &peer.Node{Name: serviceName, Version: "1.0.0", Handler: calls, Authenticate: schemes.Authenticate}
}

// square is called as math.square. Before it answers it calls its caller back.
func square(ctx context.Context, n float64) (float64, error) {
	caller := peer.FromContext(ctx)
	text := fmt.Sprintf("%s has asked for the square of %v", auth.FromContext(ctx).Subject, n)
	if _, err := message.Remote[string, struct{}](caller, "log")(ctx, text); err != nil {
		log.Printf("math: calling %s back: %v", caller.Peer().Name, err)
	}
	return n * n, nil
}
