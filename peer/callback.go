package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"

	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
)

// Func is a function as a field of a request. The handler calls it, and it runs at the side that made it. It travels as
// {"$callback":"id"}.
type Func[T any] struct{ id string }

// callbacks has the functions that the other side may call.
type callbacks struct {
	mu   sync.Mutex
	last uint64
	byID map[string]func(context.Context, []byte) error
}

// Callback makes a function that the other side of the connection gets as an argument. It may call it until release, or until the
// connection has ended. Its calls run in order with the other messages. It panics if fn is nil.
func Callback[T any](c *Conn, fn func(context.Context, T) error) (f Func[T], release func()) {
	if fn == nil {
		panic("peer: Callback: the function must not be nil")
	}
	id := c.funcs.add(func(ctx context.Context, value []byte) error {
		var v T
		if value != nil {
			if err := json.Unmarshal(value, &v); err != nil {
				return endpoint.Error(http.StatusBadRequest, fmt.Sprintf("the value of the callback does not fit: %v", err))
			}
		}
		return fn(ctx, v)
	})
	return Func[T]{id}, func() { c.funcs.remove(id) }
}

// On returns the function that the caller has sent to the handler with the context. It returns the error of the caller's function
// as an endpoint.Error.
func (f Func[T]) On(ctx context.Context) func(context.Context, T) error {
	c := FromContext(ctx)
	return func(ctx context.Context, v T) error {
		switch {
		case c == nil:
			return errors.New("peer: calling a callback: the context is none of a message that came from a peer")
		case f.id == "":
			return errors.New("peer: calling a callback: the caller has sent none")
		}
		body, err := json.Marshal(callbackParams[T]{f.id, v})
		if err != nil {
			return fmt.Errorf("peer: calling a callback: %w", err)
		}
		reply, err := c.Call(ctx, &message.Message{Route: methodCallback, Body: body})
		if err != nil {
			return err
		}
		return reply.Err()
	}
}

type callbackParams[T any] struct {
	ID    string `json:"$callback"`
	Value T      `json:"value"`
}

// MarshalJSON encodes the id by which the other side calls the function.
func (f Func[T]) MarshalJSON() ([]byte, error) {
	if f.id == "" {
		return null, nil
	}
	return json.Marshal(map[string]string{"$callback": f.id})
}

// UnmarshalJSON decodes the id that the other side has sent.
func (f *Func[T]) UnmarshalJSON(data []byte) error {
	var sent struct {
		ID string `json:"$callback"`
	}
	if err := json.Unmarshal(data, &sent); err != nil {
		return err
	}
	f.id = sent.ID
	return nil
}

func (c *callbacks) add(fn func(context.Context, []byte) error) (id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	id = strconv.FormatUint(c.last, 10)
	if c.byID == nil {
		c.byID = make(map[string]func(context.Context, []byte) error)
	}
	c.byID[id] = fn
	return id
}

func (c *callbacks) remove(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byID, id)
}

// run runs the function that a call names.
func (c *callbacks) run(in *incoming) (reply *message.Reply) {
	id := member(in.params, "$callback")
	if !isString(id) {
		return fail(http.StatusBadRequest, "the params of "+methodCallback+" must have the member $callback")
	}
	c.mu.Lock()
	fn := c.byID[string(plain(id))]
	c.mu.Unlock()
	if fn == nil {
		return fail(http.StatusGone, "the callback has been released")
	}
	defer func() {
		if v := recover(); v != nil {
			in.link.node.log().Error("peer: a callback panicked", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			reply = fail(http.StatusInternalServerError, http.StatusText(http.StatusInternalServerError))
		}
	}()
	err := fn(&in.ctx, member(in.params, "value"))
	if err == nil {
		return &message.Reply{Status: http.StatusNoContent}
	}
	return failed(in, err)
}

// failed is the answer for an error. As with kami's handlers, the other side gets its text only if its status is below 500.
func failed(in *incoming, err error) *message.Reply {
	var coder endpoint.StatusCoder
	status := http.StatusInternalServerError
	if errors.As(err, &coder) && coder.StatusCode() >= 400 && coder.StatusCode() <= 599 {
		status = coder.StatusCode()
	}
	reply := fail(status, err.Error())
	if status >= 500 {
		in.link.node.log().Error("peer: a method failed", "method", in.message.Route, "err", err, "remote", in.link.remote)
		reply = fail(status, http.StatusText(status))
	}
	var headerer interface{ Headers() http.Header }
	if errors.As(err, &headerer) {
		reply.Header = headerer.Headers()
	}
	return reply
}
