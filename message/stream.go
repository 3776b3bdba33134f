package message

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"reflect"
)

// errLeft is the cause with which the call of a stream ends that nobody reads any more.
var errLeft = errors.New("message: the stream is not read any more")

// Stream returns a function that calls a route whose answer is a sequence of items, as those of endpoint.Stream are. The call is
// made anew for each loop over the sequence, and ends with the loop or with ctx. An answer that is whole is a sequence of what is
// in it. An error is the last of the sequence. It panics if to is nil.
//
// A server that is faster than the loop waits: at most 64 items, or as [Window] says, are under way. Over HTTP it is also what fits
// into the connection.
func Stream[Req, Item any](to Caller, route string, opts ...CallOption) func(context.Context, Req) iter.Seq2[Item, error] {
	o := newCall("Stream", to, route, opts)
	return func(ctx context.Context, request Req) iter.Seq2[Item, error] {
		return func(yield func(Item, error) bool) {
			err := receiveStream(ctx, o, &request, func(item Item) bool { return yield(item, nil) })
			if err != nil && err != errLeft {
				var none Item
				yield(none, withCause(ctx, err))
			}
		}
	}
}

// receiveStream makes the call and yields its items. It returns errLeft if yield does not want more.
func receiveStream[Req, Item any](ctx context.Context, o *callOptions, request *Req, yield func(Item) bool) error {
	calling, cancel := context.WithCancelCause(ctx)
	items, ended := make(chan []byte, o.buffer()), make(chan struct{})
	m := Message{Route: o.route, Window: o.window, Stream: func(item []byte) error {
		select {
		case items <- item:
			return nil
		case <-calling.Done():
			return context.Cause(calling)
		}
	}}
	var reply *Reply
	var err error
	go func() {
		defer close(ended)
		reply, err = send(calling, o, &m, request)
	}()
	defer func(ended <-chan struct{}) {
		cancel(errLeft)
		<-ended
	}(ended)
	for open := true; open || len(items) > 0; {
		select {
		case item := <-items:
			if err := decodeItems(o.codec, item, yield); err != nil {
				return err
			}
		case <-ended:
			open, ended = false, nil
		}
	}
	switch {
	case err != nil:
		return err
	case len(reply.Body) == 0:
		return nil
	}
	codec := o.codecOf(reply)
	if codec == nil {
		return decode(codec, reply, new(Item))
	}
	return decodeItems(codec, reply.Body, yield)
}

// buffer returns how many items wait for the consumer here. Transports that have a window keep them themselves, so that no more are
// under way than it says. In this process a handler would otherwise wait for each item, and HTTP counts none.
func (o *callOptions) buffer() int {
	switch o.to.(type) {
	case local, overHTTP:
		return o.window - 1
	}
	return 0
}

// decodeItems yields what is in a piece of an answer: one item, or those of JSON one after the other.
func decodeItems[Item any](c Codec, data []byte, yield func(Item) bool) error {
	next := func(into *Item) error { return unmarshal(c, data, into) }
	if c == JSON {
		d := json.NewDecoder(bytes.NewReader(data))
		next = func(into *Item) error { return d.Decode(into) }
	}
	for {
		var item Item
		err := next(&item)
		switch {
		case c == JSON && err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("message: decoding an item as %v: %w", reflect.TypeFor[Item](), err)
		case !yield(item):
			return errLeft
		case c != JSON:
			return nil
		}
	}
}
