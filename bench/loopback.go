package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// trip is what was measured of a server over loopback.
type trip struct {
	name     string
	rate     float64 // requests a second, the median of the turns
	ratio    float64 // of the rates to that of bare net/http, the median of the rounds
	p50, p99 time.Duration
}

const (
	bareHTTP    = "net/http without a router"
	connections = 8
)

// server is one of those that take turns, with its open connections.
type server struct {
	name    string
	http    *http.Server
	served  chan error
	clients []*client
	rates   []float64
	took    []time.Duration
}

// loopback has every server answer, one after the other and again and again, in another order each time, for a turn
// each. Each connection has one request at a time on its way and is kept alive.
func (o options) loopback(frames []peer) ([]trip, error) {
	j := &job{routes: params1, base: true}
	handlers, names := map[string]http.Handler{bareHTTP: http.HandlerFunc(plainAnswer)}, []string{bareHTTP}
	for _, p := range frames {
		handlers[p.name], names = p.build(j), append(names, p.name)
		if p.name == theFloor {
			handlers[p.name] = http.HandlerFunc(floorAnswer)
		}
	}
	var servers []*server
	defer func() {
		for _, s := range servers {
			s.close()
		}
	}()
	for _, name := range names {
		s, err := newServer(name, handlers[name])
		if err != nil {
			return nil, err
		}
		servers = append(servers, s)
	}
	random := newRandom()
	for round := range o.extent.rounds + 1 {
		for _, i := range random.Perm(len(servers)) {
			s := servers[i]
			if err := s.turn(o.extent.turn, round > 0); err != nil {
				return nil, fmt.Errorf("loopback, %s: %w", s.name, err)
			}
		}
	}
	return trips(servers), nil
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

// newServer serves on a port of its own, and connects to it.
func newServer(name string, h http.Handler) (*server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{name: name, http: &http.Server{Handler: h}, served: make(chan error, 1)}
	go func() { s.served <- s.http.Serve(listener) }()
	for range connections {
		c, err := dial(listener.Addr().String())
		if err != nil {
			s.close()
			return nil, fmt.Errorf("loopback, %s: %w", name, err)
		}
		s.clients = append(s.clients, c)
	}
	return s, nil
}

func (s *server) close() {
	for _, c := range s.clients {
		_ = c.conn.Close()
	}
	_ = s.http.Close()
	<-s.served
}

// turn sends requests on all connections for as long as a turn takes. The first turns only warm up.
func (s *server) turn(long time.Duration, counts bool) error {
	var done sync.WaitGroup
	errs := make([]error, len(s.clients))
	start := time.Now()
	for i, c := range s.clients {
		c.took = c.took[:0]
		done.Go(func() { errs[i] = c.askUntil(start.Add(long)) })
	}
	done.Wait()
	took, n := time.Since(start), 0
	for i, c := range s.clients {
		if errs[i] != nil {
			return errs[i]
		}
		n += len(c.took)
		if counts {
			s.took = append(s.took, c.took...)
		}
	}
	if counts {
		s.rates = append(s.rates, float64(n)/took.Seconds())
	}
	return nil
}

// trips sums up. The first server is the one that others are compared with.
func trips(servers []*server) []trip {
	var all []trip
	for _, s := range servers {
		slices.Sort(s.took)
		all = append(all, trip{
			name: s.name, rate: median(s.rates), ratio: ratioInTurn(s.rates, servers[0].rates),
			p50: s.took[len(s.took)/2], p99: s.took[len(s.took)*99/100],
		})
	}
	return all
}

// client is a connection that asks for the same thing again and again. It costs as little as it can, for it shares the
// machine with the server: an answer is as long as the first one was.
type client struct {
	conn   net.Conn
	answer []byte
	took   []time.Duration
}

var question = []byte("GET /users/id7 HTTP/1.1\r\nHost: loopback.example\r\n\r\n")

// hello is how the answers end.
var hello = []byte("\r\n\r\nhello")

// dial connects, and learns from a first answer how long it is.
func dial(address string) (*client, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	n, err := firstAnswer(conn)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &client{conn: conn, answer: make([]byte, n)}, nil
}

// firstAnswer asks once, checks the answer and returns its length.
func firstAnswer(conn net.Conn) (int, error) {
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return 0, err
	}
	if _, err := conn.Write(question); err != nil {
		return 0, err
	}
	var raw bytes.Buffer
	response, err := http.ReadResponse(bufio.NewReader(io.TeeReader(conn, &raw)), nil)
	if err != nil {
		return 0, err
	}
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || string(body) != "hello" {
		return 0, fmt.Errorf("answered %s %q %v", response.Status, body, err)
	}
	return raw.Len(), nil
}

// askUntil asks again and again until the time has come.
func (c *client) askUntil(end time.Time) error {
	if err := c.conn.SetDeadline(end.Add(10 * time.Second)); err != nil {
		return err
	}
	for start := time.Now(); start.Before(end); {
		if _, err := c.conn.Write(question); err != nil {
			return err
		}
		if _, err := io.ReadFull(c.conn, c.answer); err != nil {
			return err
		}
		if !bytes.HasPrefix(c.answer, []byte("HTTP/1.1 200 ")) || !bytes.HasSuffix(c.answer, hello) {
			return fmt.Errorf("answered %q", c.answer)
		}
		now := time.Now()
		c.took = append(c.took, now.Sub(start))
		start = now
	}
	return nil
}
