package endpoint

import (
	"context"
	"fmt"
	"net/http"

	"github.com/guregu/kami/internal/jsonbody"
)

// contextKey is the type of this package's keys.
type contextKey int

// The keys of the values, each a string, that PopulateRequestContext puts into a context, and of the values for finalizers.
const (
	ContextKeyRequestMethod          contextKey = iota // r.Method
	ContextKeyRequestURI                               // r.RequestURI
	ContextKeyRequestPath                              // r.URL.Path
	ContextKeyRequestProto                             // r.Proto
	ContextKeyRequestHost                              // r.Host
	ContextKeyRequestRemoteAddr                        // r.RemoteAddr
	ContextKeyRequestXForwardedFor                     // the header X-Forwarded-For
	ContextKeyRequestXForwardedProto                   // the header X-Forwarded-Proto
	ContextKeyRequestAuthorization                     // the header Authorization
	ContextKeyRequestReferer                           // the header Referer
	ContextKeyRequestUserAgent                         // the header User-Agent
	ContextKeyRequestXRequestID                        // the header X-Request-Id
	ContextKeyRequestAccept                            // the header Accept

	// ContextKeyResponseHeaders is the response's http.Header, in the context of finalizers.
	ContextKeyResponseHeaders
	// ContextKeyResponseSize is the response's size in bytes, an int64, in the context of finalizers: the bytes that a Server has
	// written, or the Content-Length that a Client has received, -1 if there was none.
	ContextKeyResponseSize

	requestKeys = int(ContextKeyRequestAccept) + 1
)

// populated is a context with the values of a request, as they were when the context was made.
//
// optimization: one value with an array, where the keys are indices, is one allocation (BenchmarkPopulate in compat/).
type populated struct {
	context.Context
	values [requestKeys]string
}

// PopulateRequestContext is a RequestFunc that puts the request's method, URI, path, protocol, host and remote address
// and some of its headers into the context, under the keys ContextKeyRequest…, as they are when it runs.
func PopulateRequestContext(ctx context.Context, r *http.Request) context.Context {
	p := &populated{Context: ctx, values: [requestKeys]string{
		ContextKeyRequestMethod:          r.Method,
		ContextKeyRequestURI:             r.RequestURI,
		ContextKeyRequestProto:           r.Proto,
		ContextKeyRequestHost:            r.Host,
		ContextKeyRequestRemoteAddr:      r.RemoteAddr,
		ContextKeyRequestXForwardedFor:   jsonbody.First(r.Header, "X-Forwarded-For"),
		ContextKeyRequestXForwardedProto: jsonbody.First(r.Header, "X-Forwarded-Proto"),
		ContextKeyRequestAuthorization:   jsonbody.First(r.Header, "Authorization"),
		ContextKeyRequestReferer:         jsonbody.First(r.Header, "Referer"),
		ContextKeyRequestUserAgent:       jsonbody.First(r.Header, "User-Agent"),
		ContextKeyRequestXRequestID:      jsonbody.First(r.Header, "X-Request-Id"),
		ContextKeyRequestAccept:          jsonbody.First(r.Header, "Accept"),
	}}
	if r.URL != nil {
		p.values[ContextKeyRequestPath] = r.URL.Path
	}
	return p
}

func (p *populated) Value(key any) any {
	if k, ok := key.(contextKey); ok && 0 <= k && int(k) < requestKeys {
		return p.values[k]
	}
	return p.Context.Value(key)
}

// String names the context without its values: credentials do not belong in a log.
func (p *populated) String() string { return fmt.Sprintf("%v.PopulateRequestContext", p.Context) }

// requestKey is the key of the request in the context of an ErrorHandler.
type requestKey struct{}

// failed is the context of an ErrorHandler.
type failed struct {
	context.Context
	request *http.Request
}

// String names the context without its values.
func (f *failed) String() string { return fmt.Sprintf("%v.failed", f.Context) }

func (f *failed) Value(key any) any {
	if _, ok := key.(requestKey); ok {
		return f.request
	}
	return f.Context.Value(key)
}

// finished is the context of finalizers.
type finished struct {
	context.Context
	header http.Header
	size   int64
}

// String names the context without its values.
func (f *finished) String() string { return fmt.Sprintf("%v.finished", f.Context) }

func (f *finished) Value(key any) any {
	switch key {
	case ContextKeyResponseHeaders:
		return f.header
	case ContextKeyResponseSize:
		return f.size
	}
	return f.Context.Value(key)
}
