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

// errNilContext is that of a function which should have returned a context.
var errNilContext = errors.New("endpoint: a function returned a nil context")

// StatusCoder is an error, or a response, that knows its HTTP status.
type StatusCoder interface {
	StatusCode() int
}

// Headerer is an error, a request or a response that has headers. Those of errors and responses are added, those of
// requests set, of each but the first value. Its Content-Type takes the place of the encoder's.
type Headerer interface {
	Headers() http.Header
}

// ErrorEncoder writes an error to a Server's client. It is not called once the response has begun. If it writes nothing the
// answer is empty, with the status that DefaultErrorEncoder would choose.
//
// An error that is the client's doing and has no status gets one before: 408 if the body has not come in time, 413 if it is
// larger than an http.MaxBytesReader lets it be, 499 if the client has left, which only logs have.
type ErrorEncoder func(ctx context.Context, err error, w http.ResponseWriter)

// ErrorHandler gets to know a Server's errors, to report them: those that it answers, and those that come too late for that.
type ErrorHandler interface {
	Handle(ctx context.Context, err error)
}

// ErrorHandlerFunc is a function that is an ErrorHandler.
type ErrorHandlerFunc func(ctx context.Context, err error)

// Handle calls the function.
func (f ErrorHandlerFunc) Handle(ctx context.Context, err error) { f(ctx, err) }

// LogErrors returns an ErrorHandler that logs errors, each with the request's method and the pattern of its route: at the
// level Info where the status, from 400 to 499, says that they are the client's, else at Error. Nil means slog.Default().
//
// Of errors from 500 on, kami.DefaultErrorHandler, which answers those of [JSON] and [Stream] by default, logs one record
// too.
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

// Error returns an error with an HTTP status from 400 to 599; any other code becomes 500. It crosses transports: a Server
// answers with the status and the message, of which [DecodeJSONResponse] makes the same error again. (By default [JSON]
// keeps the message of one from 500 on to the log.) It is a [StatusCoder], and comparable:
// Error(404, "x") == Error(404, "x"). So an Endpoint that returns the Error of another service's client answers as that
// has: give it a status of its own where that is not meant.
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

// upstream is the error of a call that another service has not answered as it should. For the client of the Server that has
// made the call, that is a bad gateway; the text, which may have addresses and answers in it, is for the log.
type upstream struct{ error }

func (u upstream) StatusCode() int { return http.StatusBadGateway }
func (u upstream) Unwrap() error   { return u.error }

func badRequest(format string, args ...any) error {
	return coded{fmt.Errorf(format, args...), http.StatusBadRequest}
}

// errorCode returns the code if it is one of an error, or 500.
func errorCode(code int) int {
	if code < 400 || code > 599 {
		return http.StatusInternalServerError
	}
	return code
}

// DefaultErrorEncoder answers errors as go-kit's does, and is what [NewServer] uses by default. It hides nothing, and logs
// nothing: the client gets the error's text, whatever that says, as text/plain with the status 500. An error that is a
// json.Marshaler and marshals is answered as application/json; one that is a [Headerer] adds its headers; one that is a
// [StatusCoder] says the status, if that is from 400 to 599. All are found through errors that wrap them, too.
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
	header.Del("Content-Length") // which was meant for the response
	var headerer Headerer
	if errors.As(err, &headerer) {
		addHeaders(header, headerer)
	}
	w.WriteHeader(statusOf(err))
	_, _ = w.Write(body)
}

// statusOf is the status with which an error is answered.
func statusOf(err error) int {
	var coder StatusCoder
	if errors.As(err, &coder) {
		return errorCode(coder.StatusCode())
	}
	return http.StatusInternalServerError
}

// methodsOf returns what may be asked for its methods: the value, or nil if it is a nil pointer, which encoding/json does not
// call any of either.
func methodsOf(value any) any {
	if v := reflect.ValueOf(value); v.Kind() == reflect.Pointer && v.IsNil() {
		return nil
	}
	return value
}

// addHeaders adds the headers. A Content-Type, of which there is but one (RFC 9110, 8.3), takes the place of what is there.
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
