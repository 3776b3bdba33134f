package endpoint_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/guregu/kami"
	"github.com/guregu/kami/accesslog"
	"github.com/guregu/kami/endpoint"
	"github.com/stretchr/testify/assert"
)

// much returns 1 MB of the repeated text, which is net/http's limit for headers. Each %d becomes a number that counts up.
func much(text string) string {
	if !strings.Contains(text, "%d") {
		return strings.Repeat(text, 1<<20/len(text))
	}
	var b strings.Builder
	for i := 0; b.Len() < 1<<20; i++ {
		b.WriteString(strings.ReplaceAll(text, "%d", strconv.Itoa(i)))
	}
	return b.String()
}

// hostile returns requests, each with 1 MB of a header or of the query.
func hostile() map[string]*http.Request {
	requests := make(map[string]*http.Request)
	header := func(name, header, value string) {
		r := request("POST", "/7", "{}")
		r.Header.Set(header, value)
		requests[header+": "+name] = r
	}
	for name, text := range map[string]string{
		"continuations": "a/b;" + much("%d*0=1;"), "commas": much(","), "semicolons": "application/json;" + much(";"),
		"quotes": much(`"`), "escapes": `a/b;x="` + much(`\"`), "weights": much("application/json;q=x,"),
	} {
		header(name, "Accept", text)
		header(name, "Content-Type", text)
	}
	header("JSON", "Content-Type", "application/json;"+much("%d*0=1;"))
	header("addresses", "X-Forwarded-For", much("0::%d,"))
	header("proxies", "X-Forwarded-For", much("10.0.0.1,"))
	header("addresses", "Forwarded", much("for=10.0.0.1,"))
	header("pairs", "Forwarded", much("a=b;"))
	header("quotes", "Forwarded", much(`x="\";",`))
	header("number", "X-Number", much("9"))
	for name, query := range map[string]string{
		"names": much("%d&"), "values": much("n=&"), "lists": much("list=1&"), "escapes": much("%%6&"), "escaped names": much("%%61&"),
		"number": "n=" + much("1"), "time": "when=" + much("1"), "ampersands": much("&"), "semicolons": much(";"),
	} {
		r := request("POST", "/7", "{}")
		r.URL.RawQuery = strings.ReplaceAll(query, "%%", "%")
		requests["query: "+name] = r
	}
	return requests
}

// hostileStack serves an endpoint that fails, and logs the client by a forwarding header.
func hostileStack(header func(...netip.Prefix) accesslog.Option) http.Handler {
	m := kami.New()
	m.LogHandler = accesslog.New(slog.New(slog.DiscardHandler), header(netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")))
	m.Post("/:id", endpoint.JSON(func(context.Context, everythingHostile) (int, error) { return 0, endpoint.Error(404, "none") }))
	return m
}

type everythingHostile struct {
	everything
	Number int `header:"X-Number"`
}

// No request allocates 10 MB or more.
func TestHostileRequestsCostLittleMemory(t *testing.T) {
	for _, header := range []func(...netip.Prefix) accesslog.Option{accesslog.TrustXForwardedFor, accesslog.TrustForwarded} {
		h := hostileStack(header)
		for name, r := range hostile() {
			w := httptest.NewRecorder()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			h.ServeHTTP(w, r)
			runtime.ReadMemStats(&after)
			assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(10<<20), name)
			assert.GreaterOrEqual(t, w.Code, 400, name)
			assert.Less(t, w.Body.Len(), 1000, "%s: at most 100 bytes of it are quoted", name)
		}
	}
}

// BenchmarkHostileRequests measures hostile requests, and ServeMux with paths of the same length.
func BenchmarkHostileRequests(b *testing.B) {
	standard := http.NewServeMux()
	standard.HandleFunc("/{a}/{b...}", func(http.ResponseWriter, *http.Request) {})
	for name, path := range map[string]string{"slashes": much("/"), "dots": much("/.."), "segments": much("/a")} {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.Path = path
		b.Run("ServeMux/"+name, func(b *testing.B) {
			for b.Loop() {
				standard.ServeHTTP(httptest.NewRecorder(), r)
			}
		})
	}
	h := hostileStack(accesslog.TrustForwarded)
	for name, r := range hostile() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Body = io.NopCloser(strings.NewReader("{}"))
				h.ServeHTTP(httptest.NewRecorder(), r)
			}
		})
	}
}
