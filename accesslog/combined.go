package accesslog

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/internal/incoming"
	"github.com/guregu/kami/mutil"
)

// Combined returns a LogHandler that writes a line of Apache's combined format for each request:
//
//	192.0.2.1 - greg [02/Jan/2026:15:04:05 +0000] "GET /users/7 HTTP/1.1" 200 42 "http://example.com/" "Mozilla/5.0"
//
// These are the client's IP address (see [New]), the user name that the client claims by basic authentication, the time at which the
// request came (local time), the request line, the status, the size of the body in bytes, Referer and User-Agent. A missing value is a
// hyphen, and so are a size of 0 and a status that was not sent. The target of the request line is the path, with scheme and host
// before it if they were sent there, the host and port of CONNECT, or an asterisk.
//
// As in Apache's logs a quote, a backslash and characters that are no printable ASCII are escaped, as \", \\, \n, \t or \xhh, so a
// request is one line. Here spaces are escaped too, as \x20, except in Referer and User-Agent, so the number of fields before these is
// always the same.
//
// Each line is one Write, one after the other. When writing begins to fail this is logged once by slog.Default, and lines are lost until
// it succeeds again. Combined panics if w is nil.
func Combined(w io.Writer, opts ...Option) func(context.Context, mutil.WriterProxy, *http.Request) {
	if w == nil {
		panic("accesslog: the writer must not be nil")
	}
	c := &combined{options: newOptions(opts), out: w}
	return c.log
}

// combined is a log in Apache's combined format.
type combined struct {
	options

	mu      sync.Mutex
	out     io.Writer
	line    []byte // the last line, reused for its memory
	failing bool   // whether the last Write has failed
}

func (c *combined) log(ctx context.Context, w mutil.WriterProxy, r *http.Request) {
	if err := c.write(ctx, w, r); err != nil {
		slog.ErrorContext(ctx, "accesslog: lines are being lost", "err", err)
	}
}

// maxRoom is how large a line may be for its memory to be reused.
const maxRoom = 16 << 10

// write writes a line. It returns an error only if the write before has succeeded.
func (c *combined) write(ctx context.Context, w mutil.WriterProxy, r *http.Request) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	line := c.append(ctx, c.line[:0], w, r)
	if c.line = line; cap(line) > maxRoom {
		c.line = nil
	}
	_, err := c.out.Write(line)
	before := c.failing
	if c.failing = err != nil; before {
		return nil
	}
	return err
}

// append appends the line of a request.
func (c *combined) append(ctx context.Context, line []byte, w mutil.WriterProxy, r *http.Request) []byte {
	came := incoming.Started(ctx)
	if came.IsZero() {
		came = time.Now()
	}
	user, _, _ := r.BasicAuth()

	line = appendField(line, c.proxies.client(r))
	line = append(line, " - "...)
	line = appendField(line, user)
	line = came.AppendFormat(line, ` [02/Jan/2006:15:04:05 -0700] "`)
	line = appendField(line, r.Method)
	line = append(line, ' ')
	line = appendField(line, c.target(r))
	line = append(line, ' ')
	line = appendField(line, r.Proto)
	line = append(line, `" `...)
	line = appendNumber(line, statusOf(w, kami.Exception(ctx)))
	line = append(line, ' ')
	line = appendNumber(line, bytesOf(w, r))
	line = append(line, ` "`...)
	line = appendText(line, c.referer(r))
	line = append(line, `" "`...)
	line = appendText(line, r.UserAgent())
	return append(line, '"', '\n')
}

// target returns the target of the request line, without the parts that are not logged.
func (o *options) target(r *http.Request) string {
	target, scheme := pathOf(r), r.URL.Scheme
	switch {
	case scheme != "" && r.URL.Opaque != "": // such as mailto:greg@example.com
		target = scheme + ":" + r.URL.Opaque[strings.LastIndexByte(r.URL.Opaque, '@')+1:]
	case scheme != "" && r.URL.Host != "":
		target = scheme + "://" + r.URL.Host + target
	}
	if o.query && (r.URL.RawQuery != "" || r.URL.ForceQuery) {
		target += "?" + r.URL.RawQuery
	}
	return target
}

// referer returns the Referer, without the parts that are not logged. It need not be a URL.
func (o *options) referer(r *http.Request) string {
	text, _, _ := strings.Cut(r.Referer(), "#")
	if !o.query {
		text, _, _ = strings.Cut(text, "?")
	}
	scheme, rest, ok := strings.Cut(text, "//")
	if !ok || strings.ContainsAny(scheme, "/?") {
		return text // there is no host
	}
	host := rest
	if end := strings.IndexAny(rest, "/?"); end >= 0 {
		host = rest[:end]
	}
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		return scheme + "//" + rest[at+1:]
	}
	return text
}

// appendNumber appends a number, or a hyphen if it is 0.
func appendNumber(line []byte, n int) []byte {
	if n == 0 {
		return append(line, '-')
	}
	return strconv.AppendInt(line, int64(n), 10)
}

// appendField appends text that ends at a space, or a hyphen if there is none.
func appendField(line []byte, text string) []byte { return appendEscaped(line, text, ' ') }

// appendText appends text that ends at a quote, or a hyphen if there is none.
func appendText(line []byte, text string) []byte { return appendEscaped(line, text, '"') }

// appendEscaped appends the text, escaped, and the end.
func appendEscaped(line []byte, text string, end byte) []byte {
	const hex = "0123456789abcdef"
	if text == "" {
		return append(line, '-')
	}
	line = slices.Grow(line, len(`\xhh`)*len(text)) // at once, or a long text would make it grow, and be copied, many times
	for i := range len(text) {
		switch b := text[i]; {
		case b == '"' || b == '\\':
			line = append(line, '\\', b)
		case b == '\n':
			line = append(line, '\\', 'n')
		case b == '\t':
			line = append(line, '\\', 't')
		case b < ' ' || b > '~' || b == end:
			line = append(line, '\\', 'x', hex[b>>4], hex[b&15])
		default:
			line = append(line, b)
		}
	}
	return line
}
