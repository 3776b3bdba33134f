package recipes

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/guregu/kami"
)

func Example_maxBytes() {
	atMost := func(n int64) func(http.Handler) http.Handler {
		return func(next http.Handler) http.Handler { return http.MaxBytesHandler(next, n) }
	}
	mux := kami.New()
	mux.Use("/", atMost(1<<20))
	mux.Use("/notes/", atMost(16)) // within a larger limit a smaller one counts
	mux.Post("/notes/", func(w http.ResponseWriter, r *http.Request) {
		note, err := io.ReadAll(r.Body)
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			http.Error(w, fmt.Sprint("more than ", tooLarge.Limit, " bytes"), http.StatusRequestEntityTooLarge)
			return
		}
		if err != nil {
			http.Error(w, "the body cannot be read", http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, "noted %q", note)
	})

	for _, note := range []string{"16 bytes, no mor", "17 bytes, one mor"} {
		show(ask(mux, http.MethodPost, "/notes/", note))
	}
	mux.Post("/other", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprintln(w, n, err)
	})
	show(ask(mux, http.MethodPost, "/other", strings.Repeat("x", 1<<20)))
	show(ask(mux, http.MethodPost, "/other", strings.Repeat("x", 1<<20+1)))
	// Output:
	// 200 | noted "16 bytes, no mor"
	// 413 | more than 16 bytes
	// 200 | 1048576 <nil>
	// 200 | 1048576 http: request body too large
}

func Example_crossOrigin() {
	protection := http.NewCrossOriginProtection()
	if err := protection.AddTrustedOrigin("https://sso.example"); err != nil {
		panic(err)
	}
	mux := kami.New()
	mux.Use("/account/", protection.Handler)
	mux.Post("/account/email", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "changed") })
	mux.Post("/hooks/payment", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "paid") })

	for _, request := range []struct{ path, site, origin string }{
		{"/account/email", "same-origin", "https://app.example"},
		{"/account/email", "cross-site", "https://evil.example"},
		{"/account/email", "cross-site", "https://sso.example"},
		{"/account/nothing", "cross-site", "https://evil.example"},
		{"/account/email", "", ""}, // no browser
		{"/hooks/payment", "cross-site", "https://evil.example"},
	} {
		show(ask(mux, http.MethodPost, request.path, "", "Sec-Fetch-Site", request.site, "Origin", request.origin))
	}
	show(get(mux, "/account/nothing", "Sec-Fetch-Site", "cross-site"))
	// Output:
	// 200 | changed
	// 403 | cross-origin request detected from Sec-Fetch-Site header
	// 200 | changed
	// 403 | cross-origin request detected from Sec-Fetch-Site header
	// 200 | changed
	// 200 | paid
	// 404 | 404 page not found
}
