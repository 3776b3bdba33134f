package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"

	"github.com/guregu/kami/internal/incoming"
)

// errNilContext is the error of a function that returned no context.
var errNilContext = errors.New("endpoint: a function returned a nil context")

// StatusCoder is an error, or a response, that knows its HTTP status.
type StatusCoder interface {
	StatusCode() int
}

// Headerer is an error, a request or a response that has headers. The headers of errors and responses are added. The headers of requests
// are set, each to its first value. A Content-Type replaces the encoder's.
type Headerer interface {
	Headers() http.Header
}

// ErrorEncoder writes an error to a Server's client. It is not called once the response has begun. If it writes nothing the
// answer is empty, with the status that DefaultErrorEncoder would choose.
//
// An error that the client has caused, and that has no status, gets one first: 408 if the body has not come in time, 413 if the body is
// larger than an http.MaxBytesReader allows, 499, which only logs show, if the client has left.
type ErrorEncoder func(ctx context.Context, err error, w http.ResponseWriter)

// ErrorHandler gets all errors of a Server, to report them, also errors that come too late to be answered.
type ErrorHandler interface {
	Handle(ctx context.Context, err error)
}

// ErrorHandlerFunc makes an ErrorHandler of a function.
type ErrorHandlerFunc func(ctx context.Context, err error)

// Handle calls the function.
func (f ErrorHandlerFunc) Handle(ctx context.Context, err error) { f(ctx, err) }

// LogErrors returns an ErrorHandler that logs errors, each with the request's method and the pattern of its route: at the level Info
// if the status is from 400 to 499, because the client has caused it, and at Error if not. Nil means slog.Default().
//
// kami.DefaultErrorHandler, which answers the errors of [JSON] and [Stream] by default, also logs a record for each error from 500 on.
func LogErrors(logger *slog.Logger) ErrorHandler {
	return ErrorHandlerFunc(func(ctx context.Context, err error) {
		l := logger
		if l == nil {
			l = slog.Default()
		}
		level := slog.LevelError
		if statusOf(err) < 500 {
			level = slog.LevelInfo
		}
		attrs := []any{"err", err}
		if r, ok := ctx.Value(requestKey{}).(*http.Request); ok {
			attrs = append(attrs, "method", r.Method, "pattern", r.Pattern)
		}
		l.Log(ctx, level, "endpoint failed", attrs...)
	})
}

// statusError is an error with a status.
type statusError struct {
	code    int
	message string
}

// Error returns an error with an HTTP status from 400 to 599. Any other code becomes 500. The error crosses transports: a Server answers
// with the status and the message, and [DecodeJSONResponse] makes the same error of them again. (By default [JSON] only logs the
// message of errors from 500 on.) It is a [StatusCoder], and comparable: Error(404, "x") == Error(404, "x"). So an Endpoint that
// returns the Error of another service answers like that service: give the error another status where you do not mean that.
func Error(code int, message string) error { return statusError{errorCode(code), message} }

func (e statusError) Error() string   { return e.message }
func (e statusError) StatusCode() int { return e.code }

// coded gives an error a status.
type coded struct {
	error
	code int
}

func (e coded) StatusCode() int { return e.code }
func (e coded) Unwrap() error   { return e.error }

// upstream is the error of a call that another service has not answered properly. The client of the Server that made the call gets 502. The
// text, which may have addresses and answers in it, is for the log.
type upstream struct{ error }

func (u upstream) StatusCode() int { return http.StatusBadGateway }
func (u upstream) Unwrap() error   { return u.error }

func badRequest(format string, args ...any) error {
	return coded{fmt.Errorf(format, args...), http.StatusBadRequest}
}

// errorCode returns the code if it is an error's, from 400 to 599, or 500.
func errorCode(code int) int {
	if code < 400 || code > 599 {
		return http.StatusInternalServerError
	}
	return code
}

// DefaultErrorEncoder answers errors as go-kit's does, and [NewServer] uses it by default. It hides nothing and logs nothing: the client
// gets the error's text, whatever that says, as text/plain with the status 500. An error that is a json.Marshaler is answered as
// application/json, if it marshals. A [Headerer] adds its headers. A [StatusCoder] sets the status, if that is from 400 to 599. These
// also count for errors that wrap them.
func DefaultErrorEncoder(ctx context.Context, err error, w http.ResponseWriter) {
	err = incoming.Explain(ctx, err)
	contentType, body := "text/plain; charset=utf-8", []byte(err.Error())
	var marshaler json.Marshaler
	if errors.As(err, &marshaler) {
		if text, marshalErr := json.Marshal(marshaler); marshalErr == nil {
			contentType, body = "application/json; charset=utf-8", text
		}
	}
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Del("Content-Length") // it was meant for the response
	var headerer Headerer
	if errors.As(err, &headerer) {
		addHeaders(header, headerer)
	}
	w.WriteHeader(statusOf(err))
	_, _ = w.Write(body)
}

// statusOf returns the status that answers an error.
func statusOf(err error) int {
	var coder StatusCoder
	if errors.As(err, &coder) {
		return errorCode(coder.StatusCode())
	}
	return http.StatusInternalServerError
}

// methodsOf returns the value if its methods may be called, or nil if it is a nil pointer, whose methods encoding/json does not call
// either.
func methodsOf(value any) any {
	if v := reflect.ValueOf(value); v.Kind() == reflect.Pointer && v.IsNil() {
		return nil
	}
	return value
}

// addHeaders adds the headers. A Content-Type replaces the old one, because there is only one (RFC 9110, 8.3).
func addHeaders(to http.Header, h Headerer) {
	for name, values := range h.Headers() {
		for _, value := range values {
			if http.CanonicalHeaderKey(name) == "Content-Type" {
				to.Set(name, value)
				continue
			}
			to.Add(name, value)
		}
	}
}
