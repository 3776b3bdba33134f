package message

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/guregu/kami/internal/incoming"
)

// timeoutHeader says how long the caller waits, such as "1.5s".
const timeoutHeader = "Kami-Timeout"

// Deadline is middleware for requests over HTTP. It gives their contexts the deadline of the header Kami-Timeout. Messages need no
// middleware for it:
//
//	mux.Use("/", message.Deadline)
//
// A header that is no duration above zero sets no deadline.
func Deadline(ctx context.Context, r *http.Request) context.Context {
	text := first(r.Header, timeoutHeader)
	if text == "" || FromContext(ctx) != nil {
		return ctx
	}
	timeout, err := parseTimeout(text)
	if err != nil {
		return ctx
	}
	limited, cancel := limit(ctx, timeout)
	context.AfterFunc(incoming.Context(ctx), cancel)
	return limited
}

func parseTimeout(text string) (time.Duration, error) {
	timeout, err := time.ParseDuration(text)
	if err != nil || timeout <= 0 {
		return 0, fmt.Errorf("message: the header %s is %.40q, and should be a duration above zero, such as 1.5s", timeoutHeader, text)
	}
	return timeout, nil
}

// limit returns a context with the timeout, which is ctx if that ends sooner.
func limit(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= timeout {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, timeout)
}

// withTimeout returns the header, which may be nil, with the time that ctx leaves for a call, unless it has a shorter timeout. The
// result may be the same header.
func withTimeout(ctx context.Context, header http.Header) http.Header {
	end, ok := ctx.Deadline()
	if !ok {
		return header
	}
	left := max(time.Until(end), 1)
	if text := first(header, timeoutHeader); text != "" {
		if own, err := parseTimeout(text); err == nil && own < left {
			return header
		}
	}
	if header = header.Clone(); header == nil {
		header = make(http.Header, 1)
	}
	header[timeoutHeader] = []string{left.String()}
	return header
}
