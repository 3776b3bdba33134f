package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
)

// RoutingFunc chooses the server for a message of a client, among the servers of the type in the view, in the order of their ids. ctx has
// the client's session and the call's deadline. Its error is the answer, with status 503 if it has none of its own. If it chooses a server
// that is not among them, or panics, the answer is 500.
type RoutingFunc func(ctx context.Context, route string, payload []byte, servers map[string]Instance) (Instance, error)

// routing has the RoutingFuncs by type.
type routing struct{ funcs sync.Map }

// AddRoute has f choose the server for messages of clients that Forward forwards to a type. Without it any server of the type gets
// them. A type has one f: a new one replaces it, which is logged, and nil removes it.
func (s *Server) AddRoute(serverType string, f RoutingFunc) {
	if f == nil {
		s.routing.funcs.Delete(serverType)
		return
	}
	if _, replaced := s.routing.funcs.Swap(serverType, f); replaced {
		s.cfg.Log.Warn("cluster: AddRoute replaces the routing function of the type", "type", serverType)
	}
}

// Forward returns a handler that forwards messages of clients to the servers of a type, and passes their answers on:
//
//	front.Post("/room/*route", cluster.Forward(server, "room"))
//
// The path is the route, and must begin with the type: any other path is a 404. Clients reach the Handlers of those servers, and never their
// Remotes. Body, headers, deadline and the client's session travel. Headers that begin with Kami- or Nats- do not.
func Forward(s *Server, serverType string) kami.HandlerFunc {
	if s == nil || !nameRule.MatchString(serverType) {
		panic(fmt.Sprintf("cluster: Forward: the Server must not be nil, and the type %q must have 1 to %d letters, digits, - and _", serverType, maxName))
	}
	return func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		items := &streamTo{w: w}
		err := s.forward(ctx, items, r, serverType)
		switch {
		case err == nil:
		case items.begun: // half a stream must not look whole
			panic(http.ErrAbortHandler)
		default:
			kami.HandleError(ctx, w, r, err)
		}
	}
}

var errNoRoute = endpoint.Error(http.StatusNotFound, "404 page not found")

// forward forwards a request.
func (s *Server) forward(ctx context.Context, items *streamTo, r *http.Request, serverType string) error {
	route := message.Route(r.URL.EscapedPath())
	if route == "" || typeOf(route) != serverType {
		return errNoRoute
	}
	body, err := io.ReadAll(http.MaxBytesReader(items.w, r.Body, endpoint.DefaultMaxBody))
	if err != nil {
		return err
	}
	m := &message.Message{Route: route, Header: clientHeader(r.Header), Body: body, RemoteAddr: r.RemoteAddr}
	if from := message.FromContext(ctx); from != nil {
		m.Notify, m.Returns, m.Window = from.Notify, from.Returns, from.Window
	}
	if strings.HasPrefix(r.Header.Get("Accept"), "application/x-ndjson") {
		m.Stream = items.write
	}
	c := &calling{message: m, tree: handlersTree}
	if c.session, err = s.snapshot(ctx); err != nil {
		return err
	}
	if f, ok := s.routing.funcs.Load(serverType); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.within(ctx))
		defer cancel()
		c.choose = func(members []*member) (*member, error) { return s.routed(ctx, f.(RoutingFunc), m, members) }
	}
	again := *c
	answer, err := s.call(ctx, c)
	if errors.Is(err, ErrNoServer) && ctx.Err() == nil { // as Remote repeats it: by now the server that has gone is out of the view
		answer, err = s.call(ctx, &again)
	}
	if err != nil || answer == nil {
		return err
	}
	return items.end(answer)
}

// clientHeader returns the headers of a client that travel.
func clientHeader(header http.Header) http.Header {
	kept := maps.Clone(header)
	maps.DeleteFunc(kept, func(name string, _ []string) bool {
		switch name {
		case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length":
			return true
		}
		return strings.HasPrefix(name, "Kami-") || strings.HasPrefix(name, "Nats-") || isOwn(name)
	})
	return kept
}

// streamTo writes an answer, and its items if it streams.
type streamTo struct {
	w     http.ResponseWriter
	begun bool
}

func (s *streamTo) write(item []byte) error {
	if !s.begun {
		s.begun = true
		s.w.Header().Set("Content-Type", "application/x-ndjson")
	}
	if _, err := s.w.Write(item); err != nil {
		return err
	}
	return http.NewResponseController(s.w).Flush()
}

// end writes the back end's answer.
func (s *streamTo) end(answer *message.Reply) error {
	if s.begun && answer.Status >= 400 {
		return answer.Err()
	}
	if !s.begun {
		if answer.Header == nil && len(answer.Body) > 0 {
			s.w.Header().Set("Content-Type", plainJSON)
		}
		maps.Copy(s.w.Header(), answer.Header)
		s.w.WriteHeader(answer.Status)
	}
	_, err := s.w.Write(answer.Body)
	if errors.Is(err, http.ErrBodyNotAllowed) {
		return nil
	}
	return err
}

// routed calls the routing function.
func (s *Server) routed(ctx context.Context, f RoutingFunc, m *message.Message, members []*member) (chosen *member, err error) {
	servers := make(map[string]Instance, len(members))
	for _, m := range members {
		servers[m.ID] = m.Instance
	}
	defer func() {
		if v := recover(); v != nil {
			s.cfg.Log.ErrorContext(ctx, "cluster: a routing function panicked", "route", m.Route, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			err = endpoint.Error(http.StatusInternalServerError, "cluster: a routing function panicked")
		}
	}()
	instance, err := f(ctx, m.Route, m.Body, servers)
	if err != nil {
		return nil, routingError{err}
	}
	for _, member := range members {
		if member.ID == instance.ID {
			return member, nil
		}
	}
	return nil, endpoint.Error(http.StatusInternalServerError, fmt.Sprintf("cluster: the routing function of type %s chose %q, which is none of its servers", typeOf(m.Route), instance.ID))
}

// routingError is an error of a routing function. It has its status, or 503.
type routingError struct{ error }

func (e routingError) Unwrap() error { return e.error }

func (e routingError) StatusCode() int {
	var coder endpoint.StatusCoder
	if errors.As(e.error, &coder) && coder.StatusCode() >= 400 {
		return coder.StatusCode()
	}
	return http.StatusServiceUnavailable
}
