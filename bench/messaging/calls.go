package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/rpc"
	netjsonrpc "net/rpc/jsonrpc"
	"sync"

	"github.com/coder/websocket"
	"github.com/creachadair/jrpc2"
	"github.com/creachadair/jrpc2/handler"
	gorillarpc "github.com/gorilla/rpc/v2"
	"github.com/gorilla/rpc/v2/json2"
	sourcegraph "github.com/sourcegraph/jsonrpc2"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/peer"
)

// Request is the request that all systems get.
type Request struct {
	A int `json:"a"`
	B int `json:"b"`
}

// Response is their answer.
type Response struct {
	Sum int `json:"sum"`
}

func add(_ context.Context, s Request) (Response, error) { return Response{s.A + s.B}, nil }

// call makes a call on a connection.
type call func(context.Context, Request) (Response, error)

// system is a way to call: dial makes a connection.
type system struct {
	name string
	dial func() call
	end  func()
}

// peers are the systems to compare, the floor first and kami second.
func peers() []system {
	return []system{handmade(), ours(), creachadair(), sourcegraphs(), overTCP(), overHTTP()}
}

// newNode returns a Node that logs nothing.
func newNode(name string, h http.Handler) *peer.Node {
	return &peer.Node{Name: name, Version: "1.0.0", Handler: h, Log: slog.New(slog.DiscardHandler)}
}

func ours() system {
	calls := kami.New()
	calls.Post("/sum", endpoint.JSON(add))
	s := httptest.NewServer(newNode("server", calls))
	client := newNode("client", nil)
	return system{"kami", func() call {
		conn, err := client.Dial(context.Background(), s.URL)
		must(err)
		return call(message.Remote[Request, Response](conn, "sum"))
	}, func() { must(client.Close(context.Background())); s.Close() }}
}

// handmade uses coder/websocket and encoding/json, and matches the answers of several calls at once to their callers.
func handmade() system {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		for {
			_, data, err := c.Read(context.Background())
			if err != nil {
				return
			}
			var call frame
			var request Request
			must(json.Unmarshal(data, &call))
			must(json.Unmarshal(call.Params, &request))
			result, err := json.Marshal(Response{request.A + request.B})
			must(err)
			answer, err := json.Marshal(frame{Version: "2.0", ID: call.ID, Result: result})
			must(err)
			if c.Write(context.Background(), websocket.MessageText, answer) != nil {
				return
			}
		}
	}))
	return system{"by hand", func() call { return (&byHand{conn: dial(s.URL), pending: map[uint64]chan json.RawMessage{}}).begin() }, s.Close}
}

type frame struct {
	Version string          `json:"jsonrpc"`
	ID      uint64          `json:"id"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
}

type byHand struct {
	conn    *websocket.Conn
	writing sync.Mutex
	mu      sync.Mutex
	last    uint64
	pending map[uint64]chan json.RawMessage
}

func (b *byHand) begin() call {
	go func() {
		for {
			_, data, err := b.conn.Read(context.Background())
			if err != nil {
				return
			}
			var answer frame
			must(json.Unmarshal(data, &answer))
			b.mu.Lock()
			done := b.pending[answer.ID]
			delete(b.pending, answer.ID)
			b.mu.Unlock()
			done <- answer.Result
		}
	}()
	return b.call
}

func (b *byHand) call(ctx context.Context, request Request) (response Response, err error) {
	params, err := json.Marshal(request)
	if err != nil {
		return response, err
	}
	done := make(chan json.RawMessage, 1)
	b.mu.Lock()
	b.last++
	id := b.last
	b.pending[id] = done
	b.mu.Unlock()
	data, err := json.Marshal(frame{Version: "2.0", ID: id, Method: "sum", Params: params})
	if err != nil {
		return response, err
	}
	b.writing.Lock()
	err = b.conn.Write(context.Background(), websocket.MessageText, data)
	b.writing.Unlock()
	if err != nil {
		return response, err
	}
	select {
	case result := <-done:
		return response, json.Unmarshal(result, &response)
	case <-ctx.Done():
		return response, ctx.Err()
	}
}

// socket is a websocket as the channel of jrpc2 and the stream of jsonrpc2.
type socket struct {
	*websocket.Conn
	writing sync.Mutex
}

func (s *socket) Send(data []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.Write(context.Background(), websocket.MessageText, data)
}

func (s *socket) Recv() ([]byte, error) {
	_, data, err := s.Read(context.Background())
	return data, err
}

func (s *socket) Close() error { return s.CloseNow() }

func (s *socket) WriteObject(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.Send(data)
}

func (s *socket) ReadObject(v any) error {
	data, err := s.Recv()
	if err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

// serveSockets serves websockets.
func serveSockets(serve func(*socket)) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := websocket.Accept(w, r, nil); err == nil {
			serve(&socket{Conn: c})
		}
	}))
}

func dial(url string) *websocket.Conn {
	c, _, err := websocket.Dial(context.Background(), url, nil)
	must(err)
	return c
}

func creachadair() system {
	s := serveSockets(func(c *socket) {
		_ = jrpc2.NewServer(handler.Map{"sum": handler.New(add)}, &jrpc2.ServerOptions{Concurrency: 1}).Start(c).Wait()
	})
	return system{"creachadair/jrpc2", func() call {
		c := jrpc2.NewClient(&socket{Conn: dial(s.URL)}, nil)
		return func(ctx context.Context, request Request) (response Response, err error) {
			return response, c.CallResult(ctx, "sum", request, &response)
		}
	}, s.CloseClientConnections}
}

func sourcegraphs() system {
	answer := sourcegraph.HandlerWithError(func(ctx context.Context, _ *sourcegraph.Conn, r *sourcegraph.Request) (any, error) {
		var request Request
		if err := json.Unmarshal(*r.Params, &request); err != nil {
			return nil, err
		}
		return add(ctx, request)
	})
	s := serveSockets(func(c *socket) { <-sourcegraph.NewConn(context.Background(), c, answer).DisconnectNotify() })
	nothing := sourcegraph.HandlerWithError(func(context.Context, *sourcegraph.Conn, *sourcegraph.Request) (any, error) {
		return nil, errors.New("nothing is served here")
	})
	return system{"sourcegraph/jsonrpc2", func() call {
		c := sourcegraph.NewConn(context.Background(), &socket{Conn: dial(s.URL)}, nothing)
		return func(ctx context.Context, request Request) (response Response, err error) {
			return response, c.Call(ctx, "sum", request, &response)
		}
	}, s.CloseClientConnections}
}

// Math is a service for net/rpc.
type Math struct{}

// Sum adds.
func (Math) Sum(request Request, response *Response) (err error) {
	*response, err = add(context.Background(), request)
	return err
}

func overTCP() system {
	s := rpc.NewServer()
	must(s.RegisterName("Math", Math{}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.ServeCodec(netjsonrpc.NewServerCodec(c))
		}
	}()
	return system{"net/rpc/jsonrpc, TCP", func() call {
		c, err := netjsonrpc.Dial("tcp", l.Addr().String())
		must(err)
		return func(_ context.Context, request Request) (response Response, err error) {
			return response, c.Call("Math.Sum", request, &response)
		}
	}, func() { must(l.Close()) }}
}

// Service is a service for gorilla/rpc.
type Service struct{}

// Sum adds.
func (Service) Sum(r *http.Request, request *Request, response *Response) (err error) {
	*response, err = add(r.Context(), *request)
	return err
}

func overHTTP() system {
	services := gorillarpc.NewServer()
	services.RegisterCodec(json2.NewCodec(), "application/json")
	must(services.RegisterService(Service{}, "Service"))
	s := httptest.NewServer(services)
	return system{"gorilla/rpc, HTTP", func() call {
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
		return func(ctx context.Context, request Request) (response Response, err error) {
			body, err := json2.EncodeClientRequest("Service.Sum", request)
			if err != nil {
				return response, err
			}
			r, err := http.NewRequestWithContext(ctx, "POST", s.URL, bytes.NewReader(body))
			if err != nil {
				return response, err
			}
			r.Header.Set("Content-Type", "application/json")
			answer, err := client.Do(r)
			if err != nil {
				return response, err
			}
			defer func() { _ = answer.Body.Close() }()
			return response, json2.DecodeClientResponse(answer.Body, &response)
		}
	}, s.Close}
}

// measureCalls has all systems make calls in turns, on several connections with several callers each.
func (p *page) measureCalls(systems []system, conns, callers int) {
	var rivals []rival
	for _, s := range systems {
		var calls []call
		for range conns {
			calls = append(calls, s.dial())
		}
		rivals = append(rivals, rival{s.name, func(n int) { makeCalls(calls, callers, n) }})
	}
	p.compare(fmt.Sprintf("calls, %d × %d", conns, callers), conns*callers, 1.25, rivals)
}

// makeCalls makes n calls by each caller.
func makeCalls(calls []call, callers, n int) {
	var all sync.WaitGroup
	for _, c := range calls {
		for range callers {
			all.Go(func() {
				for i := range n {
					if got, err := c(context.Background(), Request{i, 1}); err != nil || got.Sum != i+1 {
						panic(fmt.Sprint("got ", got, ", ", err))
					}
				}
			})
		}
	}
	all.Wait()
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
