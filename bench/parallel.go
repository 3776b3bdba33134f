package main

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"
)

// scaling is how many requests a second a contestant serves with one goroutine, and with one for each core.
type scaling struct {
	name     string
	one, all float64
}

// scalings measures the same work with one param. Every goroutine has its own requests, and all have one handler.
func (p pace) scalings() ([]scaling, error) {
	r := &row{job: job{routes: params1, base: true}}
	type crowd struct {
		scaling
		drives []*contestant
		n      int
	}
	var crowds []*crowd
	for _, frame := range append([]peer{kamiPeer}, peers...) {
		handler := frame.build(&r.job)
		c := &crowd{scaling: scaling{name: frame.name}}
		for range runtime.GOMAXPROCS(0) {
			c.drives = append(c.drives, contestantOf(frame.name, newDrive(r, handler, requests(r.routes))))
		}
		c.n = perSlice(c.drives[0], p.slice)
		crowds = append(crowds, c)
	}
	for range p.slices {
		for _, c := range crowds {
			c.one = max(c.one, together(c.drives[:1], c.n))
			c.all = max(c.all, together(c.drives, c.n))
		}
	}
	var result []scaling
	for _, c := range crowds {
		for _, d := range c.drives {
			if err := d.check(); err != nil {
				return nil, fmt.Errorf("parallel, %s: %w", c.name, err)
			}
		}
		result = append(result, c.scaling)
	}
	return result, nil
}

// together runs n requests of each at once, and returns how many a second that were.
func together(all []*contestant, n int) float64 {
	runtime.GC()
	var done sync.WaitGroup
	start := time.Now()
	for _, c := range all {
		done.Go(func() { c.run(n) })
	}
	done.Wait()
	return float64(n*len(all)) / time.Since(start).Seconds()
}

// retention is how much more memory is in use after many requests, in bytes.
type retention struct {
	name string
	held float64
}

// retentions sends n requests, each to a path of its own, through three middlewares that add values.
func retentions(n int) ([]retention, error) {
	r := &row{job: job{routes: params1, base: true, values: 3}}
	var all []retention
	for _, frame := range append([]peer{kamiPeer}, peers...) {
		asked := requests(r.routes)
		d := newDrive(r, frame.build(&r.job), asked)
		d.run(1000) // what grows once has grown
		before := inUse()
		for i := range n {
			id := strconv.Itoa(i)
			d.requests[0].path, d.requests[0].params[0] = "/users/"+id, id
			d.run(1)
		}
		all = append(all, retention{frame.name, inUse() - before})
		if err := d.check(); err != nil {
			return all, fmt.Errorf("memory, %s: %w", frame.name, err)
		}
	}
	slices.SortStableFunc(all, func(a, b retention) int { return int(a.held - b.held) })
	return all, nil
}
