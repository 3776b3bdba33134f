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

// errLeft is the cause of the end of a call whose loop has ended.
var errLeft = errors.New("message: the stream is not read any more")

// Stream returns a function that calls a route whose answer is a sequence of items, such as a route of endpoint.Stream. Each loop over
// the sequence makes a new call, which ends with the loop or with ctx. An answer that does not stream is a sequence of the items in
// it. An error is the last of the sequence. It panics if to is nil.
//
// A server that is faster than the loop waits: at most 64 items, or as many as [Window] says, are under way. Over HTTP the connection
// holds some more.
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

// buffer returns how many items may wait here for the consumer. Transports with a window keep them themselves, so that no more than a
// window are under way. Local calls and HTTP have no window: without a buffer a handler in this process would wait for each item.
func (o *callOptions) buffer() int {
	switch o.to.(type) {
	case local, overHTTP:
		return o.window - 1
	}
	return 0
}

// decodeItems yields the items in a piece of an answer: one, or several JSON values one after the other.
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
