package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/guregu/kami/internal/load"
)

// trip is what was measured of a server over loopback.
type trip struct {
	Name  string
	Rate  float64 // requests a second, the median of the rounds
	Ratio float64 // of the rates to those of bare net/http, the median of the rounds
}

const (
	bareHTTP    = "net/http without a router"
	connections = 8
)

// loopback has every server answer, one after the other and again and again, in another order each time, for a turn
// each. Each connection has one request at a time on its way and is kept alive.
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

// rate is how many requests a second the server answers in a turn.
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

// plainAnswer does the handlers' work without a framework.
func plainAnswer(w http.ResponseWriter, r *http.Request) {
	ctx := adding(r.Context(), 0)
	answer(w, ctx, ctx)
}

// floorAnswer does it with a copy of the request, in one allocation with its context.
func floorAnswer(w http.ResponseWriter, r *http.Request) {
	f := &floored{Context: adding(r.Context(), 0)}
	f.request = *r.WithContext(f)
	answer(w, f, f.request.Context())
}
