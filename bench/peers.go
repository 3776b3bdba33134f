package main

import (
	"context"
	"net/http"
)

// peer is a framework, or a reference that stands beside them.
type peer struct {
	name   string
	build  func(*job) http.Handler
	strips bool // its redirects take a slash away, where those of the others add one
}

const (
	ours      = "kami"
	oursPlain = "kami, `func(ctx) ctx`"
	serveMux  = "ServeMux"
	theFloor  = "the floor"
	theAnswer = "the answer alone"
	byHand    = "by hand"
	plainHand = "by hand, `func(ctx) ctx`"
)

// kind says what a contestant is: it is how the page marks its name.
type kind string

const (
	kamis     kind = "**"
	others    kind = ""
	reference kind = "*" // the floor and the like, which do less
)

func kindOf(name string) kind {
	switch name {
	case ours, oursPlain:
		return kamis
	case theFloor, theAnswer, byHand, plainHand, bareHTTP:
		return reference
	}
	return others
}

// kamiPeer is kami itself.
var kamiPeer = peer{name: ours, build: newKami}

// floorPeer is no framework, but what no handler with a context of its own can do without.
var floorPeer = peer{name: theFloor, build: func(*job) http.Handler { return http.HandlerFunc(floor) }}

// byHandPeer is no framework either, but what the work takes without any.
var byHandPeer = peer{name: byHand, build: newByHand}

// peers are those with which kami is compared. The first kami is none of them: the module proxy does not have it.
var peers = []peer{
	{name: serveMux, build: newServeMux},
	{name: "chi", build: newChi, strips: true},
	{name: "gin", build: newGin},
	{name: "echo", build: newEcho},
	{name: "bunrouter", build: newBunrouter},
	{name: "httprouter", build: newHTTPRouter},
	{name: "httptreemux", build: newHTTPTreeMux},
}

// floored is the least that a handler with a context and a request of its own needs: one allocation for both.
type floored struct {
	context.Context
	request http.Request
}

// floorHandler is variable, so that what it gets is truly allocated.
var floorHandler = func(context.Context, *http.Request) {}

// floor makes the allocation and the copy, and does nothing else. It is no closure: in one the compiler would not see
// that what WithContext returns is not kept, and would allocate that too.
func floor(_ http.ResponseWriter, r *http.Request) {
	f := &floored{Context: r.Context()}
	f.request = *r.WithContext(f)
	floorHandler(f, &f.request)
}
