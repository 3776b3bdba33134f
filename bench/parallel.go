package main

import (
	"cmp"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"sync"
)

// scaling is how many requests a second a contestant serves with one goroutine, and with one for each core.
type scaling struct {
	Name            string
	One, All, Times float64
}

// scalings measures the same work with one param. Every goroutine has its own requests, and all have one handler.
func (p pace) scalings() (all []scaling) {
	r := &row{job: job{routes: params1, base: true}}
	var field []*contestant
	for _, frame := range append([]peer{kamiPeer}, peers...) {
		handler := frame.build(&r.job)
		for _, n := range []int{1, runtime.GOMAXPROCS(0)} {
			field = append(field, crowd(r, frame.name, handler, n))
		}
	}
	ns := p.turns(parallel, field, gogcs[0])
	for i := 0; i < len(field); i += 2 {
		one, many := 1e9/least(ns[i]), 1e9/least(ns[i+1])*float64(runtime.GOMAXPROCS(0))
		all = append(all, scaling{field[i].name, one, many, many / one})
	}
	return all
}

// crowd is so many goroutines, each of which sends the requests of a run.
func crowd(r *row, name string, handler http.Handler, n int) *contestant {
	drives := make([]*drive, n)
	for i := range drives {
		drives[i] = newDrive(r, handler, requests(r.routes))
	}
	return &contestant{
		name: name,
		run: func(requests int) {
			var done sync.WaitGroup
			for _, d := range drives {
				done.Go(func() { d.run(requests) })
			}
			done.Wait()
		},
		check: func() (err error) {
			for _, d := range drives {
				err = cmp.Or(err, d.check())
			}
			return err
		},
	}
}

// retention is how much more memory is in use after many requests, in bytes.
type retention struct {
	Name string
	Held float64
}

// retentions sends n requests, each to a path of its own, through three middlewares that add values.
func retentions(n int) (all []retention) {
	r := &row{job: job{routes: params1, base: true, values: 3}}
	for _, frame := range append([]peer{kamiPeer}, peers...) {
		d := newDrive(r, frame.build(&r.job), requests(r.routes))
		d.run(1000) // what grows once has grown
		before := inUse()
		for i := range n {
			id := strconv.Itoa(i)
			d.requests[0].path, d.requests[0].params[0] = "/users/"+id, id
			d.run(1)
		}
		all = append(all, retention{frame.name, inUse() - before})
		check(d.check())
	}
	slices.SortStableFunc(all, func(a, b retention) int { return cmp.Compare(a.Held, b.Held) })
	return all
}
