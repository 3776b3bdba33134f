package message

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// Returns says which of several answers to a message counts: the answer that its handler has written, or one that middleware or
// afterware has given by [Answer]. A handler that writes nothing gives none. An answer with a status of 400 or more always goes
// before all others.
type Returns int

const (
	Method Returns = iota // Method is the handler's answer: answers by [Answer] are dropped.
	First                 // First is the first answer.
	Latest                // Latest is the last answer.
)

// choose returns the answer that counts, nil if there is none. The handler's answer, nil if it has given none, comes after so many of
// the others.
func (r Returns) choose(handlers *Reply, before int, others []*Reply) *Reply {
	if len(others) == 0 { // optimization: most messages have no others
		return handlers
	}
	all := slices.Clone(others)
	if handlers != nil {
		all = slices.Insert(all, before, handlers)
	}
	failed := slices.DeleteFunc(slices.Clone(all), func(a *Reply) bool { return a.Status < 400 })
	switch {
	case r != First && r != Latest:
		if len(failed) == 0 || handlers != nil && handlers.Status >= 400 {
			return handlers
		}
		return failed[0]
	case len(failed) > 0:
		all = failed
	}
	if r == Latest {
		return all[len(all)-1]
	}
	return all[0]
}

// Answer gives an answer of middleware or afterware to a message: v as JSON, with the headers that w has. [Message.Returns] says
// whether it counts. It does not halt: middleware returns nil for that, as always. If v is an error, the Mux answers it like an error
// of a handler.
//
// It returns an error if w is not the writer of a message, and does not wrap one (Unwrap); if v cannot be encoded; or if the message
// has been answered.
func Answer(w http.ResponseWriter, v any) error {
	own, err := writerOf(w)
	if err != nil {
		return err
	}
	given := recorder{header: w.Header().Clone()}
	if err, ok := v.(error); ok {
		own.call.fail(&given, err)
	} else {
		body, err := JSON.Marshal(v)
		if err != nil {
			return fmt.Errorf("message: encoding %T: %w", v, err)
		}
		given.Header().Set("Content-Type", JSON.ContentType())
		_, _ = given.Write(body)
	}
	own.changing.Lock()
	defer own.changing.Unlock()
	if own.closed {
		return errOver
	}
	own.others = append(own.others, given.reply())
	return nil
}

// writerOf returns the message's writer that w is or wraps.
func writerOf(w http.ResponseWriter) (*writer, error) {
	for {
		switch outer := w.(type) {
		case *writer:
			return outer, nil
		case interface{ Unwrap() http.ResponseWriter }:
			w = outer.Unwrap()
		default:
			return nil, errors.New("message: the request is no message")
		}
	}
}

// recorder keeps an answer of this package or of an ErrorHandler.
type recorder struct {
	status int
	header http.Header
	body   []byte
}

func (r *recorder) Header() http.Header {
	if r.header == nil {
		r.header = make(http.Header)
	}
	return r.header
}

func (r *recorder) WriteHeader(code int) {
	if r.status == 0 && code >= 200 {
		r.status = code
	}
}

func (r *recorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	r.body = append(r.body, p...)
	return len(p), nil
}

// reply returns the answer, as a copy that its writer can no longer change.
func (r *recorder) reply() *Reply {
	r.WriteHeader(http.StatusOK) // unless there is one
	reply := newReply(r.status, r.header)
	reply.Body = slices.Clip(r.body)
	return reply
}
