package message

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"sync"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/internal/incoming"
)

// Serve has a handler, such as a *kami.Mux or kami.Handler(), serve the message as a POST request for the path of its route, and
// returns the answer. If there is a body and no Content-Type, that is application/json.
//
// The request's context has the values, the cancellation and the deadline of ctx, whatever kami.Cancel says. The header Kami-Timeout
// may set an earlier deadline. Serve waits for the handler. After it has returned, goroutines that the handler has left running can
// neither read the body nor write.
//
// It never panics. A panic that no PanicHandler has handled is logged and answered with 500; http.ErrAbortHandler is not logged.
// An invalid route or Kami-Timeout is answered with 400.
func Serve(ctx context.Context, h http.Handler, m *Message) (reply *Reply) {
	if ctx == nil || m == nil {
		return errorReply(http.StatusInternalServerError, "message: Serve: the context and the message must not be nil")
	}
	plain, escaped, err := pathOf(m.Route)
	if err != nil {
		return errorReply(http.StatusBadRequest, err.Error())
	}
	c := &call{message: m, Context: ctx}
	if m.Stream != nil {
		cancelable, cancel := context.WithCancelCause(c.Context)
		defer cancel(nil)
		c.Context, c.w.cancel = cancelable, cancel
	}
	if text := first(m.Header, timeoutHeader); text != "" {
		timeout, err := parseTimeout(text)
		if err != nil {
			return errorReply(http.StatusBadRequest, err.Error())
		}
		limited, cancel := limit(c.Context, timeout)
		defer cancel()
		c.Context = limited
	}
	c.disguise(plain, escaped)
	c.w.call = c
	defer func() {
		c.w.close()
		_ = c.body.Close()
		if v := recover(); v != nil {
			if v != http.ErrAbortHandler {
				slog.ErrorContext(ctx, "message: a handler panicked", "route", m.Route, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			}
			reply = errorReply(http.StatusInternalServerError, http.StatusText(http.StatusInternalServerError))
		}
		if form := c.request.MultipartForm; form != nil { // as net/http's server does
			_ = form.RemoveAll()
		}
		if reply != nil { // the handler has not ended the goroutine
			reply.Pattern = c.hit()
		}
	}()
	h.ServeHTTP(&c.w, &c.request)
	return c.w.reply(m.Returns)
}

// call is a message while it is served: the context, the request and the writer.
//
// optimization: they are one allocation (BenchmarkServe).
type call struct {
	context.Context
	message *Message
	request http.Request
	url     url.URL
	body    body
	json    [1]string // the Content-Type, if the message has none
	w       writer

	pattern string          // guarded by w.changing
	failer  incoming.Failer // nil if no Mux has called Hit; guarded by w.changing
}

// body is the body of a request. Nothing can be read from it once the message has been answered.
type body struct {
	reading sync.Mutex
	rest    []byte
	ended   bool
}

func (b *body) Read(p []byte) (n int, err error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	switch {
	case b.ended:
		return 0, http.ErrBodyReadAfterClose
	case len(b.rest) == 0:
		return 0, io.EOF
	}
	n = copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// Close ends the reading, like Close of the body of a request over HTTP.
func (b *body) Close() error {
	b.reading.Lock()
	defer b.reading.Unlock()
	b.rest, b.ended = nil, true
	return nil
}

// disguise makes the request for the path.
func (c *call) disguise(plain, escaped string) {
	c.url.Path = plain
	if plain != escaped && c.url.EscapedPath() != escaped {
		c.url.RawPath = escaped
	}
	header := c.message.Header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	r := &c.request
	*r = *r.WithContext(c)
	r.Method, r.URL, r.RequestURI, r.Proto = http.MethodPost, &c.url, escaped, "message"
	r.Header, r.Body, r.RemoteAddr = header, http.NoBody, c.message.RemoteAddr
	if len(c.message.Body) > 0 {
		c.body.rest = c.message.Body
		r.Body, r.ContentLength = &c.body, int64(len(c.message.Body))
		if first(header, "Content-Type") == "" {
			c.json[0] = JSON.ContentType()
			header["Content-Type"] = c.json[:]
		}
	}
	if c.message.Stream != nil {
		header["Accept"] = []string{lines}
	}
}

// lines is the content type of JSON lines.
const lines = "application/x-ndjson"

// first is header.Get for a name in its canonical form.
func first(header http.Header, name string) string {
	if values := header[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// Value answers for the message's own keys. The request that has brought the message, if any, is another exchange.
func (c *call) Value(key any) any {
	switch key {
	case incoming.MessageKey{}:
		return c
	case incoming.Request:
		return incoming.Exchange(c)
	}
	return c.Context.Value(key)
}

// String names the context when it is printed.
func (c *call) String() string { return "message.Context(" + c.message.Route + ")" }

// Incoming is for incoming.Exchange.
func (c *call) Incoming() context.Context { return c }

// Started is for incoming.Exchange.
func (c *call) Started() time.Time { return time.Time{} }

// Hit is for incoming.Message.
func (c *call) Hit(pattern string, failer incoming.Failer) {
	c.w.changing.Lock()
	defer c.w.changing.Unlock()
	if c.failer = failer; pattern != "" {
		c.pattern = pattern
	}
}

// hit returns the pattern of the route that the message has hit.
func (c *call) hit() string {
	c.w.changing.Lock()
	defer c.w.changing.Unlock()
	if c.pattern == "" { // the handler may be no Mux
		return c.request.Pattern
	}
	return c.pattern
}

// fail answers an error as the Mux answers an error of a handler.
func (c *call) fail(w http.ResponseWriter, err error) {
	c.w.changing.Lock()
	failer := c.failer
	c.w.changing.Unlock()
	if failer == nil {
		kami.HandleError(c, w, &c.request, err)
	} else {
		failer.Fail(c, w, &c.request, err)
	}
}
