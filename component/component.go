// Package component makes the methods of a struct handlers of requests and messages:
//
//	type Room struct{}
//
//	func (r *Room) Join(ctx context.Context, m *JoinRequest) (*Joined, error)
//
//	var set component.Set
//	set.Register(kami.Handle, new(Room), component.WithName("room"), component.WithNameFunc(strings.ToLower))
//	err := set.Start(ctx) // from now on the methods answer
//	kami.Serve()
//	err = set.Stop(ctx)
//
// Now POST /room/join with a JSON body calls the method, and so does a message with the route "room.join", see package message:
//
//	curl -d '{"name": "bob"}' -H 'Content-Type: application/json' localhost:8000/room/join
//
// # Methods
//
// An exported method is a handler if it has one of these parameters and one of these results:
//
//	(context.Context)            (error)
//	(context.Context, *T)        (*R, error)
//	(context.Context, []byte)    ([]byte, error)
//	                             and none
//
// Methods of embedded types count too. A method without a context.Context as its first parameter is no handler. A method that has one
// and has other parameters or results than these is refused, unless it is a lifecycle method.
//
// # Requests and answers
//
// The codec of the request's Content-Type, JSON if it has none, decodes the body into a T and encodes the R. An empty body is the zero T;
// the pointer is never nil. A []byte is the body itself, of any type: the method may keep it, and must not change it after returning it.
// A nil *R without an error is null. The answer is 204 if the method has no results, or only a nil error. Bytes are answered with
// the codec's Content-Type.
//
// The answer is 400 for a body that the codec cannot decode, 413 for a body of more than endpoint.DefaultMaxBody bytes, 415 for a
// Content-Type without a codec, and 503 before Start and after Stop. kami answers these, and the errors of methods, like the errors of
// other handlers: see kami.DefaultErrorHandler. JSON is encoded by endpoint.EncodeJSONResponse, so an R may set status and headers.
//
// # Lifecycle
//
// Each component may have methods Init, AfterInit, BeforeShutdown and Shutdown, each with or without a context.Context, and with or
// without an error as its result. [Set.Start] calls the first two, [Set.Stop] the others.
package component

import (
	"errors"
	"fmt"
	"iter"
	"net/http"
	"reflect"
	"slices"
	"sync"

	"github.com/guregu/kami"
	"github.com/guregu/kami/internal/batch"
	"github.com/guregu/kami/internal/where"
)

// Set is a set of components that start and stop together. The zero Set is empty and ready to use. All methods may be called at any time, also
// while serving and by several goroutines at once. A Set must not be copied.
type Set struct {
	registering sync.Mutex // held by Register
	changing    sync.Mutex // held while the fields below change
	components  []*component
	turn        chan struct{} // full while Start or Stop runs; nil before the first time
}

// Base has empty lifecycle methods. A component may embed it, but need not.
type Base struct{}

// Init does nothing.
func (*Base) Init() {}

// AfterInit does nothing.
func (*Base) AfterInit() {}

// BeforeShutdown does nothing.
func (*Base) BeforeShutdown() {}

// Shutdown does nothing.
func (*Base) Shutdown() {}

// Method is a method that is a handler.
type Method struct {
	Route    string       // such as "room.join"; a handle function that changes the path changes its route too
	Name     string       // such as "(*Room).Join"
	Request  reflect.Type // *T or []byte, nil if it takes neither
	Response reflect.Type // *R or []byte, nil if it returns neither
}

// Register registers all handlers among the methods of c by handle, which is kami.Handle or a Mux's: for POST, under
// /prefix/name/method. The name is the name of c's type, or [WithName]'s. The method's name is its Go name, or [WithNameFunc]'s. In these
// segments a colon or an asterisk is ordinary text. The methods answer 503 until [Set.Start] has returned. Components that are registered
// after Start has begun need another Start.
//
// Register panics, and registers nothing, if c is nil or not a pointer to a struct of an exported type; if it has no handler, or a
// method with a context.Context as its first parameter that is not listed above; if a name is no segment of a path, or is used
// twice; or if the mux has one of the routes. The message says where both were registered.
//
// The function may also change the path, for example to add a prefix, or register with several Muxes, each of which registers all or
// nothing. If it wraps the handler in another one, the routes are registered one by one, and if the mux refuses one the routes before it
// stay. For an http.ServeMux use h.(http.Handler). The function must not call Register of the same Set.
func (s *Set) Register(handle func(method, path string, h kami.HandlerType), c any, opts ...Option) {
	place := where.Caller()
	added, err := newComponent(c, place, opts)
	if err == nil && handle == nil {
		err = errors.New("the function that registers, as kami.Handle, must not be nil")
	}
	s.registering.Lock()
	defer s.registering.Unlock()
	if err == nil {
		err = s.taken(added)
	}
	if err != nil {
		panic(fmt.Sprintf("component: Register %T (%s): %v", c, place, err))
	}
	together := &batch.Batch{Place: place}
	added.register(handle, together)
	if err := together.Register(); err != nil {
		panic(err.Error())
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	s.components = append(s.components, added)
}

// taken returns an error if another component has the name, below the same prefix.
func (s *Set) taken(added *component) error {
	for _, c := range s.all() {
		if slices.Equal(c.path, added.path) {
			return fmt.Errorf("the name %q is that of %s (%s): use component.WithName", c.name(), c.typeName, c.place)
		}
	}
	return nil
}

// all returns the components, in the order of their registration.
func (s *Set) all() []*component {
	s.changing.Lock()
	defer s.changing.Unlock()
	return slices.Clone(s.components)
}

// Methods returns the methods that are handlers, in the order of registration and then by their Go names.
func (s *Set) Methods() iter.Seq[Method] {
	return func(yield func(Method) bool) {
		for _, c := range s.all() {
			for _, h := range c.handlers {
				if !yield(h.method) {
					return
				}
			}
		}
	}
}

// component is one registered struct.
type component struct {
	path     []string // the segments of the prefix, and the name
	typeName string   // such as "*app.Room"
	place    where.Place
	handlers []*handler
	hooks    [hookCount]hook
	gate     gate

	// Guarded by turn:
	stage stage
	late  *lateHook // nil if no lifecycle method has outlived the context of its Start or Stop
}

func (c *component) name() string { return c.path[len(c.path)-1] }

// register registers all handlers, in the batch.
func (c *component) register(handle func(method, path string, h kami.HandlerType), together *batch.Batch) {
	for _, h := range c.handlers {
		h.batch = together
	}
	defer func() {
		for _, h := range c.handlers {
			h.batch = nil
		}
	}()
	for _, h := range c.handlers {
		handle(http.MethodPost, h.pattern, h)
	}
}
