package recipes

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"
)

// limit is how long a test waits for anything.
const limit = 30 * time.Second

// ask has h answer a request with the headers, given as name, value and so on.
func ask(h http.Handler, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// get is ask for a GET request.
func get(h http.Handler, target string, headers ...string) *httptest.ResponseRecorder {
	return ask(h, http.MethodGet, target, "", headers...)
}

// show prints an answer's status, those of its headers that have these names, and the body.
func show(w *httptest.ResponseRecorder, names ...string) {
	parts := []string{fmt.Sprint(w.Code)}
	for _, name := range names {
		if values := w.Header().Values(name); len(values) > 0 {
			parts = append(parts, name+": "+strings.Join(values, ", "))
		}
	}
	if body := strings.TrimSpace(w.Body.String()); body != "" {
		parts = append(parts, body)
	}
	fmt.Println(strings.Join(parts, " | "))
}
