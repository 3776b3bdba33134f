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

// Misleads is Is for a handler that has returned an error. An error answer of its own is what it meant: nobody takes it for
// success.
func Misleads(w mutil.WriterProxy, method string) bool {
	return w.Status() < http.StatusBadRequest && Is(w, method)
}

// Cut has the connection fail, so that no client takes what it has for all, even where middleware makes an end of the panic
// that follows.
func Cut(w http.ResponseWriter) { _ = http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0)) }

// Proxy is a proxy that also tells of a hijack, as those of mutil do and those of others do not.
type Proxy interface {
	mutil.WriterProxy
	Hijacked() bool
}

// Telling returns the writer itself if it is such a proxy, as where no middleware has put another one before it.
func Telling(w http.ResponseWriter) Proxy {
	if own, ok := w.(Proxy); ok {
		return own
	}
	return mutil.WrapWriter(w).(Proxy)
}

// Begun returns the proxy by which no answer can be written any more, and why, or nil. It asks the proxies that w is made of: its
// own, those of outer Muxes, and that around all middleware.
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
