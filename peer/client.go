package peer

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"strings"
	"time"
)

//go:embed client/kami.js
var script []byte

//go:embed client/kami.d.ts
var types []byte

// Client returns a handler that serves the client for browsers and Node, an ES module without dependencies, or its TypeScript
// declarations where the path ends in ".d.ts":
//
//	kami.Get("/kami.js", peer.Client())
//
// It has an ETag, with which browsers ask each time whether their copy is current. docs/peers.md says how a page uses it.
func Client() http.Handler {
	module := asset("kami.js", "text/javascript; charset=utf-8", script)
	declarations := asset("kami.d.ts", "application/typescript; charset=utf-8", types)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".d.ts") {
			declarations(w, r)
		} else {
			module(w, r)
		}
	})
}

func asset(name, contentType string, content []byte) http.HandlerFunc {
	sum := sha256.Sum256(content)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	return func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Type", contentType)
		header.Set("ETag", tag)
		header.Set("Cache-Control", "no-cache")
		header.Set("X-Content-Type-Options", "nosniff")
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
	}
}
