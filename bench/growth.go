package main

import (
	"fmt"
	"runtime"
	"time"
)

// growth has the figures of a series in which routes or scopes grow.
type growth struct {
	name   string
	routes bool // whether routes grow; otherwise scopes do
	sizes  []int
	kami   [][]sized // at all sizes, in each run
	lines  []grown
}

// grown has the figures of a contestant at all sizes, or at the first ones if it was left out of the others.
type grown struct {
	name string
	at   []sized
}

// sized has the figures of a contestant at a size.
type sized struct {
	slices []float64 // the ns of a request in each slice, turn by turn
	ms     float64   // to register all
	bytes  float64   // held for each route or scope
}

// patience is how long a contestant may take to register. A contestant that takes a hundredth of it is left out of the sizes
// that follow, because ten times as many routes may take a hundred times as long.
const patience = 20 * time.Second

const registrations = 3 // of each size; the page shows the median

// asks is how many different requests are sent, as if these routes were the popular ones of a large service. With many more, the
// paths and params to compare would not fit into the processor's caches, and their time is not to be measured. They are allocated
// together for the same reason.
const asks = 1024

// growths measures how time, memory and registration grow with routes and scopes, for kami in all runs. Only kami has scopes.
func (o options) growths(frames []peer) (all []growth) {
	routes, scopes := []int{10, 100, 1_000, 10_000, 100_000}[:o.sizes], []int{1, 10, 100, 1_000, 10_000}[:o.sizes]
	for _, kind := range []struct {
		growth
		frames []peer
		grow   func(n int) (j *job, ask func(i int) request)
	}{
		{growth{name: "Routes with one param", routes: true, sizes: routes}, frames, routed("/g%d/i%d/:id")},
		{growth{name: "Static routes", routes: true, sizes: routes}, frames, routed("/g%d/i%d/fixed")},
		{growth{name: "Scopes of prefixes", sizes: scopes}, nil, scoped("/s%d/")},
		{growth{name: "Scopes with a param", sizes: scopes}, nil, scoped("/s%d/:id/")},
	} {
		for range o.runs {
			kind.kami = append(kind.kami, o.growth(kamiPeer, kind.grow, kind.sizes).at)
		}
		kind.lines = append(kind.lines, grown{ours, kind.kami[0]})
		for _, frame := range kind.frames {
			kind.lines = append(kind.lines, o.growth(frame, kind.grow, kind.sizes))
		}
		all = append(all, kind.growth)
	}
	return all
}

// routed makes jobs with n routes.
func routed(path string) func(n int) (*job, func(i int) request) {
	shared := newRoute("GET", path).shape
	return func(n int) (*job, func(i int) request) {
		routes := make([]*route, n)
		for i := range routes {
			routes[i] = &route{"GET", fmt.Sprintf(path, i%317, i/317), shared}
		}
		return &job{routes: routes}, func(i int) request { return routes[i].request() }
	}
}

// scoped makes jobs with one route and n scopes, each with a middleware that returns its context.
func scoped(scope string) func(n int) (*job, func(i int) request) {
	return func(n int) (*job, func(i int) request) {
		j := &job{routes: []*route{{"GET", "/:scope/:id", &shape{[]string{"id"}}}}, scopes: make([]string, n)}
		for i := range j.scopes {
			j.scopes[i] = fmt.Sprintf(scope, i)
		}
		return j, func(i int) request { return request{"GET", fmt.Sprintf("/s%d/7", i), []string{"7"}} }
	}
}

// growth measures a contestant at all sizes, in turns, because their times are compared. No garbage is collected in a turn: with
// a larger heap, collections would become rarer and the times shorter.
func (p pace) growth(frame peer, grow func(n int) (*job, func(i int) request), sizes []int) grown {
	l := grown{name: frame.name}
	var field []*contestant
	for i, n := range sizes {
		if i > 0 && l.at[i-1].ms*100 > float64(patience.Milliseconds()) && frame.name != ours {
			break
		}
		j, ask := grow(n)
		random, asked := newRandom(), make([]request, asks)
		for i := range asked {
			asked[i] = ask(random.IntN(n))
		}
		d := newDrive(new(row), nil, asked)
		l.at = append(l.at, d.grown(frame, j, n))
		field = append(field, contestantOf(frame.name, d))
	}
	for i, ns := range p.turns("growth", field, collectNothing) {
		l.at[i].slices = ns
	}
	return l
}

// grown registers the n routes or scopes of the job several times, and measures the time and the memory without the job's own.
func (d *drive) grown(frame peer, j *job, n int) sized {
	var took, bytes []float64
	for range registrations {
		d.handler = nil
		before, start := inUse(), time.Now()
		d.handler = frame.build(j)
		d.run(1) // some frameworks finish registration with the first request
		took = append(took, time.Since(start).Seconds()*1000)
		bytes = append(bytes, (inUse()-before)/float64(n))
	}
	runtime.KeepAlive(j)
	return sized{ms: median(took), bytes: median(bytes)}
}

// inUse returns the bytes in use.
func inUse() float64 {
	runtime.GC()
	runtime.GC() // the contents of pools survive one collection
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
