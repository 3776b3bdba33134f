package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/guregu/kami/message"
)

var (
	// ErrNoServer is the error of a call for which there is no server: nothing was delivered. It has status 503 and wraps
	// [message.ErrUndelivered].
	ErrNoServer error = &fault{http.StatusServiceUnavailable, "cluster: there is no such server", message.ErrUndelivered}
	// ErrDenied is the error of an operation that NATS does not permit this server. It has status 403.
	ErrDenied error = &fault{http.StatusForbidden, "cluster: NATS does not permit it", nil}
	// ErrNone is the error of Find if it finds nothing. It has status 404.
	ErrNone error = &fault{http.StatusNotFound, "cluster: no server matches", nil}
	// ErrLeft is the error of a Server that has left. It has status 503, and wraps [message.ErrUndelivered].
	ErrLeft error = &fault{http.StatusServiceUnavailable, "cluster: this server has left", message.ErrUndelivered}

	errDisconnected error = &fault{http.StatusServiceUnavailable, "cluster: there is no connection to NATS", message.ErrUndelivered}
	errCut          error = &fault{http.StatusServiceUnavailable, "cluster: the connection to NATS was cut before the answer came; the call may have run", nil}
	errTooLarge     error = &fault{http.StatusRequestEntityTooLarge, "cluster: the message is larger than NATS takes", nil}
	errLate         error = &fault{http.StatusGatewayTimeout, "no answer in time", context.DeadlineExceeded}
	errBadMessage   error = &fault{http.StatusBadRequest, "cluster: the message cannot be sent", nil}
)

// fault is an error with a status.
type fault struct {
	status int
	text   string
	wraps  error
}

func (f *fault) Error() string { return f.text }

// StatusCode returns the status of the answer if a handler returns the error.
func (f *fault) StatusCode() int { return f.status }

func (f *fault) Unwrap() error { return f.wraps }

// withCause adds the context's error and its cause to an error. If the deadline has passed the status is 504, a gateway's timeout.
func withCause(ctx context.Context, err error) error {
	end, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(end, context.DeadlineExceeded) {
		end = errLate
	}
	if errors.Is(end, cause) {
		return fmt.Errorf("%w: %w", err, end)
	}
	return fmt.Errorf("%w: %w: %w", err, end, cause)
}
