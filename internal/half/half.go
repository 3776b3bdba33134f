// Package half keeps half a response from looking whole.
package half

import (
	"net/http"
	"time"

	"github.com/guregu/kami/mutil"
)

// Is reports whether the response has begun and lacks a part. One without a Content-Length may always lack one. A hijacked
// connection has no response.
func Is(w mutil.WriterProxy, method string) bool {
	status := w.Status()
	if status == 0 || mutil.Hijacked(w) || method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified {
		return false
	}
	return int64(w.BytesWritten()) != mutil.ContentLength(w)
}

// Misleads is Is for a handler that has returned an error. A status of 400 or more misleads no client, because it does not look like
// success.
func Misleads(w mutil.WriterProxy, method string) bool {
	return w.Status() < http.StatusBadRequest && Is(w, method)
}

// Cut makes the connection fail, so that no client takes half a response for a whole one, even if middleware recovers the panic that
// follows.
func Cut(w http.ResponseWriter) { _ = http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0)) }

// Proxy is a proxy that also tells of a hijack. mutil's proxies do; others do not.
type Proxy interface {
	mutil.WriterProxy
	Hijacked() bool
}

// Telling returns the writer as a Proxy: itself if it is one, or else a new proxy around it.
func Telling(w http.ResponseWriter) Proxy {
	if own, ok := w.(Proxy); ok {
		return own
	}
	return mutil.WrapWriter(w).(Proxy)
}

// Begun returns a proxy of a response that has begun, or whose connection was hijacked, and which of the two, or nil. It asks w and the proxies
// that w wraps: those of outer Muxes, and the one around all middleware.
func Begun(w http.ResponseWriter) (by mutil.WriterProxy, why string) {
	for {
		if proxy, ok := w.(mutil.WriterProxy); ok {
			if mutil.Hijacked(proxy) {
				return proxy, "the connection was hijacked"
			}
			if proxy.Status() != 0 {
				return proxy, "the response had begun"
			}
		}
		outer, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return nil, ""
		}
		w = outer.Unwrap()
	}
}
