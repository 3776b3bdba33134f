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

// errOver is the error of what is written after the message has been answered.
var errOver = errors.New("message: the message has been answered")

// writer keeps what is written. It has no more of the optional interfaces of net/http's writers than it shows here.
type writer struct {
	call   *call
	items  func([]byte) error // what has been written at each flush goes there; nil if nothing does
	cancel context.CancelCauseFunc

	flushing sync.Mutex // held while an item is handed over
	changing sync.Mutex
	header   http.Header // as the handler sees it
	written  answer      // the handler's answer, whose status is 0 while there is none
	before   int         // how many of the others came before it
	others   []answer    // those of Answer
	broken   error       // that of items
	closed   bool
}

// answer is one of the answers to a message.
type answer struct {
	status int
	header http.Header
	body   []byte
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

// WriteHeader sets the status, which is the first one that is not informational. As over HTTP, it panics for a code that is none.
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
	if w.written.status == 0 && !w.closed {
		w.written.status, w.written.header, w.before = code, w.header.Clone(), len(w.others)
	}
}

// room makes room for n bytes of the body, and reports why there can be none.
func (w *writer) room(n int) error {
	w.begin(http.StatusOK)
	switch {
	case w.closed:
		return errOver
	case w.broken != nil:
		return w.broken
	case w.written.status == http.StatusNoContent || w.written.status == http.StatusNotModified:
		return http.ErrBodyNotAllowed
	}
	w.written.body = slices.Grow(w.written.body, n)
	return nil
}

// Write adds to the body.
func (w *writer) Write(p []byte) (int, error) {
	w.changing.Lock()
	defer w.changing.Unlock()
	if err := w.room(len(p)); err != nil {
		return 0, err
	}
	w.written.body = append(w.written.body, p...)
	return len(p), nil
}

// WriteString is Write for a string.
func (w *writer) WriteString(s string) (int, error) {
	w.changing.Lock()
	defer w.changing.Unlock()
	if err := w.room(len(s)); err != nil {
		return 0, err
	}
	w.written.body = append(w.written.body, s...)
	return len(s), nil
}

// ReadFrom adds all that src has to the body. It reads into the room at its end, without holding anything up.
func (w *writer) ReadFrom(src io.Reader) (total int64, err error) {
	const least = 512
	for {
		w.changing.Lock()
		if w.written.status == 0 || cap(w.written.body)-len(w.written.body) < least {
			if err := w.room(least); err != nil {
				w.changing.Unlock()
				return total, err
			}
		}
		length := len(w.written.body)
		free := w.written.body[length:cap(w.written.body)]
		w.changing.Unlock()
		n, err := src.Read(free)
		if err := w.take(length, free[:n]); err != nil {
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

// take adds to the body what has been read into the room after a length that it had.
func (w *writer) take(length int, read []byte) error {
	w.changing.Lock()
	defer w.changing.Unlock()
	switch body := w.written.body; {
	case w.closed:
		return errOver
	case len(read) == 0:
	case len(body) == length && cap(body) > length && &body[:length+1][length] == &read[0]:
		w.written.body = body[:length+len(read)]
	default: // something has been written or flushed meanwhile
		w.written.body = append(body, read...)
	}
	return nil
}

// Flush is FlushError for those who do not ask.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError hands over what has been written since the last flush, if that is wanted and no error.
func (w *writer) FlushError() error {
	w.flushing.Lock()
	defer w.flushing.Unlock()
	item, err := w.cut()
	if err != nil || len(item) == 0 {
		return err
	}
	if err = w.items(item); err != nil {
		w.changing.Lock()
		w.broken = err
		w.changing.Unlock()
		w.cancel(err)
	}
	return err
}

// cut takes the item that is to be handed over.
func (w *writer) cut() (item []byte, err error) {
	w.changing.Lock()
	defer w.changing.Unlock()
	w.begin(http.StatusOK)
	switch {
	case w.closed:
		return nil, errOver
	case w.items == nil || w.written.status >= 400:
		return nil, nil
	}
	item, w.written.body = slices.Clip(w.written.body), nil
	return item, w.broken
}

// close ends all writing. It waits for an item that is being handed over.
func (w *writer) close() {
	w.flushing.Lock()
	defer w.flushing.Unlock()
	w.changing.Lock()
	defer w.changing.Unlock()
	w.closed = true
	w.header, w.written.header = nil, w.headerAtEnd()
}

// headerAtEnd returns the headers of the handler's answer. If it has given none they are as they are now.
func (w *writer) headerAtEnd() http.Header {
	if w.written.status == 0 {
		return w.header
	}
	return w.written.header
}

// reply ends all writing and returns the answer that counts.
func (w *writer) reply(returns Returns) *Reply {
	w.close()
	counts := returns.choose(w.written, w.before, w.others)
	if counts.status == 0 {
		counts.status = http.StatusOK
	}
	return &Reply{Status: counts.status, Header: counts.header, Body: slices.Clip(counts.body)}
}
