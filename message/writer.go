package message

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
)

// errOver is the error of a write after the message has been answered.
var errOver = errors.New("message: the message has been answered")

// writer keeps the answer. It has no optional interfaces of net/http's writers other than its methods here.
type writer struct {
	call   *call
	cancel context.CancelCauseFunc // nil unless the message has a Stream

	flushing sync.Mutex // held while an item is handed over
	changing sync.Mutex
	header   http.Header // as the handler sees it
	written  *Reply      // the handler's answer, nil while there is none
	before   int         // how many of the others came before it
	others   []*Reply    // the answers by Answer
	broken   error       // the error of Stream
	closed   bool
}

// Header returns the headers of the answer.
func (w *writer) Header() http.Header {
	w.changing.Lock()
	defer w.changing.Unlock()
	if w.header == nil {
		w.header = make(http.Header)
	}
	return w.header
}

// WriteHeader sets the status: the first one that is not informational. As over HTTP, it panics for an invalid code.
func (w *writer) WriteHeader(code int) {
	if code < 100 || code > 999 {
		panic(fmt.Sprintf("message: invalid WriteHeader code %d", code))
	}
	w.changing.Lock()
	defer w.changing.Unlock()
	if code >= 200 {
		w.begin(code)
	}
}

// begin begins the answer, unless it has begun.
func (w *writer) begin(code int) {
	if w.written == nil && !w.closed {
		w.written, w.before = newReply(code, w.header), len(w.others)
	}
}

// newReply returns an answer with a copy of the headers, because the handler may change them later.
//
// optimization: it has room for a value of one header, the Content-Type most often (TestM07Allocations, BenchmarkRemote).
func newReply(code int, header http.Header) *Reply {
	made := &struct {
		Reply
		value [1]string
	}{Reply: Reply{Status: code}}
	if len(header) != 1 {
		made.Header = header.Clone()
		return &made.Reply
	}
	for name, values := range header {
		made.Header = http.Header{name: append(made.value[:0:1], values...)}
	}
	return &made.Reply
}

// room makes room for n bytes of the body, or returns an error.
func (w *writer) room(n int) error {
	w.begin(http.StatusOK)
	switch {
	case w.closed:
		return errOver
	case w.broken != nil:
		return w.broken
	case w.written.Status == http.StatusNoContent || w.written.Status == http.StatusNotModified:
		return http.ErrBodyNotAllowed
	}
	w.written.Body = slices.Grow(w.written.Body, n)
	return nil
}

// Write adds to the body.
func (w *writer) Write(p []byte) (int, error) {
	w.changing.Lock()
	defer w.changing.Unlock()
	if err := w.room(len(p)); err != nil {
		return 0, err
	}
	w.written.Body = append(w.written.Body, p...)
	return len(p), nil
}

// WriteString is Write for a string.
func (w *writer) WriteString(s string) (int, error) {
	w.changing.Lock()
	defer w.changing.Unlock()
	if err := w.room(len(s)); err != nil {
		return 0, err
	}
	w.written.Body = append(w.written.Body, s...)
	return len(s), nil
}

// ReadFrom adds all of src to the body. It reads into free room at the end of the body, without holding the lock.
func (w *writer) ReadFrom(src io.Reader) (total int64, err error) {
	const least = 512
	for {
		w.changing.Lock()
		if w.written == nil || cap(w.written.Body)-len(w.written.Body) < least {
			if err := w.room(least); err != nil {
				w.changing.Unlock()
				return total, err
			}
		}
		length := len(w.written.Body)
		free := w.written.Body[length:cap(w.written.Body)]
		w.changing.Unlock()
		n, err := src.Read(free)
		if err := w.addRead(length, free[:n]); err != nil {
			return total, err
		}
		total += int64(n)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// addRead adds bytes to the body that ReadFrom has read into the room after that length.
func (w *writer) addRead(length int, read []byte) error {
	w.changing.Lock()
	defer w.changing.Unlock()
	if w.closed {
		return errOver
	}
	switch body := w.written.Body; {
	case len(read) == 0:
	case len(body) == length && cap(body) > length && &body[:length+1][length] == &read[0]:
		w.written.Body = body[:length+len(read)]
	default: // another goroutine has written or flushed since
		w.written.Body = append(body, read...)
	}
	return nil
}

// Flush is FlushError without the error.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError hands the bytes written since the last flush to the message's Stream. Without a Stream, or if the answer is an
// error, it only begins the answer.
func (w *writer) FlushError() error {
	w.flushing.Lock()
	defer w.flushing.Unlock()
	item, err := w.cut()
	if err != nil || len(item) == 0 {
		return err
	}
	if err = w.call.message.Stream(item); err != nil {
		w.changing.Lock()
		w.broken = err
		w.changing.Unlock()
		w.cancel(err)
	}
	return err
}

// cut takes the next item out of the body.
func (w *writer) cut() (item []byte, err error) {
	w.changing.Lock()
	defer w.changing.Unlock()
	w.begin(http.StatusOK)
	switch {
	case w.closed:
		return nil, errOver
	case w.cancel == nil || w.written.Status >= 400:
		return nil, nil
	}
	item, w.written.Body = slices.Clip(w.written.Body), nil
	return item, w.broken
}

// close ends all writing. It waits for an item that is being handed over. It returns the handler's answer, nil if there is none, and the
// headers that the handler sees, and keeps neither.
func (w *writer) close() (written *Reply, header http.Header) {
	w.flushing.Lock()
	defer w.flushing.Unlock()
	w.changing.Lock()
	defer w.changing.Unlock()
	written, header = w.written, w.header
	w.written, w.header, w.closed = nil, nil, true
	return written, header
}

// reply ends all writing and returns the answer that counts. If there is none it returns an empty one with the present headers.
func (w *writer) reply(returns Returns) *Reply {
	written, header := w.close()
	reply := returns.choose(written, w.before, w.others)
	if reply == nil {
		return newReply(http.StatusOK, header)
	}
	reply.Body = slices.Clip(reply.Body)
	return reply
}
