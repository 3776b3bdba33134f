package main

import "net/http"

// peer is a framework, or a reference that stands beside them.
type peer struct {
	name   string
	module string // "" for what comes with Go
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
var kamiPeer = peer{name: ours, module: "github.com/guregu/kami", build: newKami}

// floorPeer is no framework, but what no handler with a context of its own can do without.
var floorPeer = peer{name: theFloor, build: func(*job) http.Handler { return newFloor() }}

// byHandPeer is no framework either, but what the work takes without any.
var byHandPeer = peer{name: byHand, build: newByHand}

// peers are those with which kami is compared. The first kami is none of them: the module proxy does not have it.
var peers = []peer{
	{name: serveMux, build: newServeMux},
	{name: "chi", module: "github.com/go-chi/chi/v5", build: newChi, strips: true},
	{name: "gin", module: "github.com/gin-gonic/gin", build: newGin},
	{name: "echo", module: "github.com/labstack/echo/v5", build: newEcho},
	{name: "bunrouter", module: "github.com/uptrace/bunrouter", build: newBunrouter},
	{name: "httprouter", module: "github.com/julienschmidt/httprouter", build: newHTTPRouter},
	{name: "httptreemux", module: "github.com/dimfeld/httptreemux/v5", build: newHTTPTreeMux},
}
