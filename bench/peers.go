package main

import (
	"context"
	"net/http"
)

// peer is a framework, or a reference to compare frameworks with.
type peer struct {
	name   string
	build  func(*job) http.Handler
	strips bool // it redirects /users/ to /users; others do the opposite
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

// kind says what a contestant is. Its text is how the page marks the name.
type kind string

const (
	kamis     kind = "**"
	others    kind = ""
	reference kind = "*" // the floor and others that do only a part of the work
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

// floorPeer only does what every framework with a context for each request must do.
var floorPeer = peer{name: theFloor, build: func(*job) http.Handler { return http.HandlerFunc(floor) }}

// byHandPeer does the work of a row without a framework.
var byHandPeer = peer{name: byHand, build: newByHand}

// peers are the frameworks that kami is compared with. The first kami is missing because the module proxy does not have it.
var peers = []peer{
	{name: serveMux, build: newServeMux},
	{name: "chi", build: newChi, strips: true},
	{name: "gin", build: newGin},
	{name: "echo", build: newEcho},
	{name: "bunrouter", build: newBunrouter},
	{name: "httprouter", build: newHTTPRouter},
	{name: "httptreemux", build: newHTTPTreeMux},
}

// floored is a context and a request in one allocation.
type floored struct {
	context.Context
	request http.Request
}

// floorHandler is a variable, so that the compiler cannot see that its arguments need no allocation.
var floorHandler = func(context.Context, *http.Request) {}

// floor only makes the allocation and the copy. It is not a closure, because in a closure the compiler does not see that the
// result of WithContext is not kept, and allocates it too.
func floor(_ http.ResponseWriter, r *http.Request) {
	f := &floored{Context: r.Context()}
	f.request = *r.WithContext(f)
	floorHandler(f, &f.request)
}
