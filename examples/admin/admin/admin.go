// Package admin is an admin panel that any net/http server can mount. It is a kami stack of its own, independent of
// the global one.
package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"runtime/pprof"
	"strings"

	"github.com/guregu/kami"
)

// Handler returns the panel, which is to be mounted under /admin/. It serves requests that bear the token, and none if
// the token is empty. POST /admin/die calls stop, which should make the server stop gracefully and must not wait for it.
//
// It is not mounted from an init function: merely importing a package should put nothing on http.DefaultServeMux.
func Handler(token string, stop func()) http.Handler {
	mux := kami.New()
	mux.Context = context.WithValue(context.Background(), key{}, &panel{token, stop})
	mux.Use("/", authorize)
	mux.Get("/admin/memstats", memoryStats)
	mux.Get("/admin/goroutines", goroutines)
	mux.Post("/admin/die", shutdown)
	return mux
}

// panel is what the handlers find in the context of every request.
type panel struct {
	token string
	stop  func()
}

type key struct{}

func fromContext(ctx context.Context) *panel {
	return ctx.Value(key{}).(*panel)
}

// authorize is middleware that halts requests without the token.
func authorize(ctx context.Context, w http.ResponseWriter, r *http.Request) context.Context {
	if !fromContext(ctx).accepts(r.Header.Get("Authorization")) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="admin"`)
		http.Error(w, http.StatusText(http.StatusUnauthorized), http.StatusUnauthorized)
		return nil
	}
	return ctx
}

// accepts says whether an Authorization header has the token. How long it takes tells nothing about the token: of two
// hashes, not even the lengths differ.
func (p *panel) accepts(authorization string) bool {
	scheme, token, _ := strings.Cut(authorization, " ")
	if p.token == "" || !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	got, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(p.token))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// memoryStats shows the numbers one looks at first; the others of runtime.MemStats are many.
func memoryStats(_ context.Context, w http.ResponseWriter, _ *http.Request) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]uint64{ // an error means that the client has gone
		"heap_bytes":   m.HeapAlloc,
		"heap_objects": m.HeapObjects,
		"system_bytes": m.Sys,
		"collections":  uint64(m.NumGC),
	})
}

// goroutines shows what all goroutines are doing.
func goroutines(_ context.Context, w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_ = pprof.Lookup("goroutine").WriteTo(w, 1) // an error means that the client has gone
}

// shutdown ends the server. Its own answer arrives still, as a graceful stop waits for it.
func shutdown(ctx context.Context, w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusAccepted)
	fmt.Fprintln(w, "Stopping.")
	fromContext(ctx).stop()
}
