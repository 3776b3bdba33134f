package incoming

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"reflect"
)

// StatusClientGone is the status of a request whose client has left before there was an answer. Only logs show it, as nginx's do.
const StatusClientGone = 499

// Fault is an error with a status, and a text that the client may see.
type Fault struct {
	Code  int
	Text  string
	Cause error
}

// Error returns the text.
func (f *Fault) Error() string { return f.Text }

// StatusCode returns the code.
func (f *Fault) StatusCode() int { return f.Code }

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Cause }

// TooLate returns the error of a body that has not come in time. It does not have the cause's text, which has addresses in
// it.
func TooLate(cause error) error {
	return &Fault{http.StatusRequestTimeout, "the body did not come in time", cause}
}

// Left returns the error of a request whose client has left before there was an answer.
func Left(cause error) error { return &Fault{StatusClientGone, "the client has left", cause} }

// Explain returns an error with a status for one that is the client's doing and has none: 499 if the client has left, 413
// for a body above the limit of an http.MaxBytesReader, 408 for one that has not come in time. An error that is a nil
// pointer becomes one that can be used. Any other is returned as it is.
func Explain(ctx context.Context, err error) error {
	if v := reflect.ValueOf(err); v.Kind() == reflect.Pointer && v.IsNil() {
		return fmt.Errorf("the error is a nil %T", err)
	}
	if errors.Is(err, context.Canceled) && Gone(ctx) {
		return Left(err)
	}
	var coder interface{ StatusCode() int }
	var tooLarge *http.MaxBytesError
	late := errors.Is(err, os.ErrDeadlineExceeded)
	switch {
	case errors.As(err, &coder):
		return err
	case errors.As(err, &tooLarge):
		return &Fault{http.StatusRequestEntityTooLarge, err.Error(), err}
	case late && isOfClient(ctx, err, true): // over HTTP/2 a deadline has no connection
		return TooLate(err)
	case isOfClient(ctx, err, false):
		return Left(err)
	}
	return err
}

// isOfClient reports whether the error is of a read from the client's connection, and not from another one, as to a
// database. For an error that does not say which connection it is of, it returns unknown.
func isOfClient(ctx context.Context, err error, unknown bool) bool {
	var operation *net.OpError
	if !errors.As(err, &operation) {
		return unknown
	}
	local, ok := ctx.Value(http.LocalAddrContextKey).(net.Addr)
	return ok && operation.Op == "read" && operation.Source != nil && operation.Source.String() == local.String()
}
