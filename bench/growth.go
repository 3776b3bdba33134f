package main

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"time"

	"github.com/guregu/kami"
)

// size is what was measured with so many routes or scopes.
type size struct {
	n     int
	lines []sized
}

// sized is what was measured of a contestant at a size.
type sized struct {
	name     string
	slices   []float64 // the ns of a request in each slice, turn by turn
	register time.Duration
	bytes    float64 // held for each route or scope
}

// line returns the contestant's line, if it was not left out.
func (s size) line(name string) (sized, bool) {
	i := slices.IndexFunc(s.lines, func(l sized) bool { return l.name == name })
	if i < 0 {
		return sized{}, false
	}
	return s.lines[i], true
}

// ns is the least time of a request.
func (s sized) ns() float64 { return slices.Min(s.slices) }

// growth is a series of sizes.
type growth struct {
	name   string
	routes bool // whether it is routes that grow, else scopes
	sizes  []size
}

// patience is how long a contestant may take to register. One that takes a hundredth of it is left out of what is ten
// times as large, which may take a hundred times as long.
const patience = 20 * time.Second

// registrations is how often registering is measured.
const registrations = 3

// grower prepares n of something to be registered, and the requests for it. What it has prepared is no part of what
// is measured.
type grower struct {
	name string
	grow func(n int) (register func() http.Handler, ask func(i int) request)
}

// asks is how many requests are made, of all those that could be: what is popular in a large service. With many more of
// them the paths and params that are compared here would themselves no longer be in the caches. They are made one after the
// other, so that they are together in memory, for it is not they that are to grow.
const asks = 1024

// growths measures how time, memory and registration grow with routes and scopes, up to most. Only kami has scopes.
func (o options) growths(frames []peer) ([]growth, error) {
	var all []growth
	for _, kind := range []struct {
		name string
		path string
	}{
		{"Routes with one param", "/g%d/i%d/:id"},
		{"Static routes", "/g%d/i%d/fixed"},
	} {
		shared := newRoute("GET", kind.path).shape
		var growers []grower
		for _, frame := range frames {
			growers = append(growers, grower{frame.name, func(n int) (func() http.Handler, func(i int) request) {
				routes := make([]*route, n)
				for i := range routes {
					routes[i] = &route{"GET", fmt.Sprintf(kind.path, i%317, i/317), shared}
				}
				ask := func(i int) request { return routes[i].request() }
				return func() http.Handler { return frame.build(&job{routes: routes}) }, ask
			}})
		}
		g, err := o.growth(kind.name, growers, sizes(10, o.extent.most))
		if err != nil {
			return all, err
		}
		g.routes = true
		all = append(all, g)
	}
	for _, kind := range []struct {
		name  string
		scope string
	}{
		{"Scopes of prefixes", "/s%d/"},
		{"Scopes with a param", "/s%d/:id/"},
	} {
		growers := []grower{{ours, func(n int) (func() http.Handler, func(i int) request) { return scoped(kind.scope, n) }}}
		g, err := o.growth(kind.name, growers, sizes(1, o.extent.most/10))
		if err != nil {
			return all, err
		}
		all = append(all, g)
	}
	return all, nil
}

func sizes(least, most int) []int {
	var all []int
	for n := least; n <= most; n *= 10 {
		all = append(all, n)
	}
	return all
}

// scoped is kami with one route below n scopes, each with a middleware that passes on.
func scoped(scope string, n int) (register func() http.Handler, ask func(i int) request) {
	scopes := make([]string, n)
	for i := range scopes {
		scopes[i] = fmt.Sprintf(scope, i)
	}
	ask = func(i int) request {
		return request{method: "GET", path: fmt.Sprintf("/s%d/7", i), params: []string{"7"}}
	}
	pass := func(ctx context.Context) context.Context { return ctx }
	return func() http.Handler {
		m := kami.New()
		for _, scope := range scopes {
			m.Use(scope, pass)
		}
		m.Get("/:scope/:id", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			e := examOf(r)
			e.param(0, kami.Param(ctx, "id"))
			e.finish(w, ctx, r.Context())
		})
		return m
	}, ask
}

// growth measures at all sizes, which take turns: their times are what is compared. Nothing is collected in a turn, for
// collections would become rarer with what routes and scopes hold, and times shorter.
func (p pace) growth(name string, growers []grower, ns []int) (growth, error) {
	g := growth{name: name, sizes: make([]size, len(ns))}
	for i, n := range ns {
		g.sizes[i].n = n
	}
	for _, grower := range growers {
		var field []*contestant
		var lines []sized
		for i, n := range ns {
			if i > 0 && lines[i-1].register > patience/100 && grower.name != ours {
				break
			}
			register, ask := grower.grow(n)
			c, line := grown(grower.name, newDrive(new(row), nil, drawn(ask, n)), register, n)
			if grower.name == theFloor {
				c.check = nil
			}
			field, lines = append(field, c), append(lines, line)
		}
		err := p.turns(field, collectNothing, func(i int, ns []float64) { lines[i].slices = ns })
		if err != nil {
			return g, fmt.Errorf("%s: %w", name, err)
		}
		for i, line := range lines {
			g.sizes[i].lines = append(g.sizes[i].lines, line)
		}
	}
	return g, nil
}

// grown registers n of something, some times anew, and measures that.
func grown(name string, d *drive, register func() http.Handler, n int) (*contestant, sized) {
	var took, bytes []float64
	for range registrations {
		d.handler = nil
		before, start := inUse(), time.Now()
		d.handler = register()
		d.run(1) // some finish their registration with the first request
		took = append(took, float64(time.Since(start)))
		bytes = append(bytes, (inUse()-before)/float64(n))
	}
	runtime.KeepAlive(register)
	return contestantOf(name, d), sized{name: name, register: time.Duration(median(took)), bytes: median(bytes)}
}

func contestantOf(name string, d *drive) *contestant {
	return &contestant{name: name, run: d.run, check: d.check}
}

// drawn returns the requests that are made, of the n that could be.
func drawn(ask func(i int) request, n int) []request {
	random := newRandom()
	asked := make([]request, asks)
	for i := range asked {
		asked[i] = ask(random.IntN(n))
	}
	return asked
}

// inUse is how much memory is in use.
func inUse() float64 {
	runtime.GC()
	runtime.GC() // what pools held is kept for one more collection
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
