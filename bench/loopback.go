package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/guregu/kami/internal/load"
)

// trip has the figures of a server over loopback.
type trip struct {
	Name  string
	Rate  float64 // requests a second, the median of the rounds
	Ratio float64 // to the rate of bare net/http in the same round, the median of the rounds
}

const (
	bareHTTP    = "net/http without a router"
	connections = 8
)

// loopback has every server answer for a turn, again and again and each time in another order. Each connection has one request
// at a time, and is kept alive for the turn.
func (o options) loopback(frames []peer) (all []trip) {
	frames = append([]peer{{name: bareHTTP}}, frames...)
	addresses, rates := make([]string, len(frames)), make([][]float64, len(frames))
	for i, p := range frames {
		handler := map[string]http.HandlerFunc{bareHTTP: plainAnswer, theFloor: floorAnswer}[p.name]
		if handler == nil {
			handler = p.build(&job{routes: params1, base: true}).ServeHTTP
		}
		served := httptest.NewServer(handler)
		defer served.Close()
		addresses[i] = served.Listener.Addr().String()
	}
	random := newRandom()
	for range o.rounds {
		for _, i := range random.Perm(len(frames)) {
			rates[i] = append(rates[i], rate(frames[i].name, addresses[i], o.turn))
		}
	}
	for i, p := range frames {
		all = append(all, trip{p.name, median(rates[i]), ratioInTurn(rates[i], rates[0])})
	}
	return all
}

// rate returns how many requests a second the server answers in a turn.
func rate(name, address string, turn time.Duration) float64 {
	ctx, end := context.WithTimeout(context.Background(), turn)
	defer end()
	start := time.Now()
	got := must(load.Run(ctx, load.Config{Address: address, Path: "/users/id7", Clients: connections}))
	if got.Failed > 0 {
		check(fmt.Errorf("loopback, %s: %v", name, got))
	}
	return float64(got.Answered) / time.Since(start).Seconds()
}

// plainAnswer does the work of the handlers without a framework.
func plainAnswer(w http.ResponseWriter, r *http.Request) {
	ctx := adding(r.Context(), 0)
	answer(w, ctx, ctx)
}

// floorAnswer does it with a copy of the request and its context in one allocation.
func floorAnswer(w http.ResponseWriter, r *http.Request) {
	f := &floored{Context: adding(r.Context(), 0)}
	f.request = *r.WithContext(f)
	answer(w, f, f.request.Context())
}
