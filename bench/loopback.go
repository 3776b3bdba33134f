package main

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"time"
)

// trip is what was measured of a server over loopback.
type trip struct {
	Name     string
	Rate     float64 // requests a second, the median of the turns
	Ratio    float64 // of the rates to that of bare net/http, the median of the rounds
	P50, P99 float64 // in µs
}

const (
	bareHTTP    = "net/http without a router"
	connections = 8
)

// server is one of those that take turns, with its open connections.
type server struct {
	name    string
	clients []*client
	rates   []float64
	took    []float64 // µs
}

// loopback has every server answer, one after the other and again and again, in another order each time, for a turn
// each. Each connection has one request at a time on its way and is kept alive.
func (o options) loopback(frames []peer) (all []trip) {
	var servers []*server
	for _, p := range append([]peer{{name: bareHTTP}}, frames...) {
		handler := map[string]http.HandlerFunc{bareHTTP: plainAnswer, theFloor: floorAnswer}[p.name]
		if handler == nil {
			handler = p.build(&job{routes: params1, base: true}).ServeHTTP
		}
		s, served := &server{name: p.name}, httptest.NewServer(handler)
		defer served.Close()
		for range connections {
			conn := must(net.Dial("tcp", served.Listener.Addr().String()))
			defer func() { _ = conn.Close() }()
			s.clients = append(s.clients, &client{Conn: conn})
		}
		servers = append(servers, s)
	}
	random := newRandom()
	for round := range o.rounds + 1 {
		for _, i := range random.Perm(len(servers)) {
			servers[i].turn(o.turn, round > 0)
		}
	}
	for _, s := range servers {
		slices.Sort(s.took)
		all = append(all, trip{
			s.name, median(s.rates), ratioInTurn(s.rates, servers[0].rates), s.took[len(s.took)/2], s.took[len(s.took)*99/100],
		})
	}
	return all
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

// turn sends requests on all connections for as long as a turn takes. The first turns only warm up.
func (s *server) turn(long time.Duration, counts bool) {
	var done sync.WaitGroup
	start := time.Now()
	for _, c := range s.clients {
		done.Go(func() { c.askUntil(start.Add(long)) })
	}
	done.Wait()
	seconds, n := time.Since(start).Seconds(), 0
	for _, c := range s.clients {
		if c.err != nil {
			check(fmt.Errorf("loopback, %s: %w", s.name, c.err))
		}
		n += len(c.took)
		if counts {
			s.took = append(s.took, c.took...)
		}
	}
	if counts {
		s.rates = append(s.rates, float64(n)/seconds)
	}
}

// client is a connection that asks for the same thing again and again. It costs as little as it can, for it shares the
// machine with the server.
type client struct {
	net.Conn
	answer [1024]byte
	took   []float64 // µs
	err    error
}

var question = []byte("GET /users/id7 HTTP/1.1\r\nHost: loopback.example\r\n\r\n")

// askUntil asks again and again until the time has come.
func (c *client) askUntil(end time.Time) {
	c.took, c.err = c.took[:0], c.SetDeadline(end.Add(10*time.Second))
	for start := time.Now(); start.Before(end) && c.err == nil; {
		c.err = c.ask()
		now := time.Now()
		c.took = append(c.took, float64(now.Sub(start))/float64(time.Microsecond))
		start = now
	}
}

// ask asks once, and reads up to the end of the answer.
func (c *client) ask() error {
	_, err := c.Write(question)
	for n := 0; err == nil && !bytes.HasSuffix(c.answer[:n], []byte("\r\n\r\nhello")); {
		var more int
		more, err = c.Read(c.answer[n:])
		if n += more; !bytes.HasPrefix(c.answer[:n], []byte("HTTP/1.1 200 ")) {
			err = cmp.Or(err, fmt.Errorf("answered %q", c.answer[:n]))
		}
	}
	return err
}
