package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
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
type ErrorEncoder func(ctx context.Context, err error, w http.ResponseWriter)

// ErrorHandler gets to know a Server's errors, to report them: those that it answers, and those that come too late for that.
type ErrorHandler interface {
	Handle(ctx context.Context, err error)
}

// ErrorHandlerFunc is a function that is an ErrorHandler.
type ErrorHandlerFunc func(ctx context.Context, err error)

// Handle calls the function.
func (f ErrorHandlerFunc) Handle(ctx context.Context, err error) { f(ctx, err) }

// LogErrors returns an ErrorHandler that logs errors: at the level Info where the status, from 400 to 499, says that they
// are the client's, else at Error. Nil means slog.Default().
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
		l.Log(ctx, level, "endpoint failed", "err", err)
	})
}

// statusError is an error with a status.
type statusError struct {
	code    int
	message string
}

// Error returns an error with an HTTP status from 400 to 599; any other code becomes 500. It crosses transports: a Server
// answers with the status and the message, of which [DecodeJSONResponse] makes the same error again. The message is for
// the client. It is a [StatusCoder], and comparable: Error(404, "x") == Error(404, "x"). So an Endpoint that returns the
// error of another service's client answers as that has: give it a status of its own where that is not meant.
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

// DefaultErrorEncoder answers with the error's text as text/plain and the status 500. An error that is a json.Marshaler
// and marshals is answered as application/json; one that is a [Headerer] adds its headers; one that is a [StatusCoder]
// says the status, if that is from 400 to 599. All are found through errors that wrap them, too.
func DefaultErrorEncoder(_ context.Context, err error, w http.ResponseWriter) {
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
