// Package problem writes errors as answers: their status, their headers, and their text or problem details (RFC 9457).
package problem

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/guregu/kami/internal/accept"
)

// SetHeaders sets the headers that an error has. It adds to the cookies and the Vary of outer handlers.
func SetHeaders(header http.Header, err error) {
	var headerer interface{ Headers() http.Header }
	if !errors.As(err, &headerer) {
		return
	}
	for name, values := range headerer.Headers() {
		switch name = http.CanonicalHeaderKey(name); name {
		case "Content-Type", "Content-Length", "Content-Encoding", "Transfer-Encoding":
			// they describe another body
		case "Set-Cookie", "Vary":
			header[name] = append(header[name], values...)
		default:
			header[name] = slices.Clone(values)
		}
	}
}

// StatusOf returns the status that an error asks for.
func StatusOf(err error) int {
	var coder interface{ StatusCode() int }
	if errors.As(err, &coder) {
		if code := coder.StatusCode(); code >= 400 && code <= 599 {
			return code
		}
	}
	return http.StatusInternalServerError
}

// Title names a status.
func Title(code int) string {
	if title := http.StatusText(code); title != "" {
		return title
	}
	return fmt.Sprint("status ", code)
}

// Text returns the detail or, if there is none, the title, as a line of text.
func Text(code int, detail string) []byte {
	if detail == "" {
		detail = Title(code)
	}
	return []byte(detail + "\n")
}

// Details returns the problem details of RFC 9457, of the type "about:blank".
func Details(code int, detail string) []byte {
	text, _ := json.Marshal(struct { // which cannot fail: invalid text becomes U+FFFD
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail,omitempty"`
	}{Title(code), code, detail})
	return append(text, '\n')
}

// Preferred reports whether a request prefers problem details to text: it names them, or JSON, by more than */*.
func Preferred(header http.Header) bool {
	weight, named := accept.Weight(header, "application/problem+json")
	if named < accept.Exact {
		weight, named = accept.Weight(header, "application/json")
	}
	text, _ := accept.Weight(header, "text/plain")
	return named > accept.Any && weight > 0 && weight >= text
}
