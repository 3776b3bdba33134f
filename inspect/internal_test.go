package inspect

import (
	"html/template"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/guregu/kami"
	"github.com/stretchr/testify/assert"
)

// TestNoHalfPage checks that a template that fails halfway is answered with an error only, not with half a page.
func TestNoHalfPage(t *testing.T) {
	w := httptest.NewRecorder()
	broken := template.Must(template.New("broken").Parse("<p>{{.Method}} {{.Method.Missing}}"))
	r := httptest.NewRequest(http.MethodGet, "http://localhost/?path=/x", nil)
	handler{mux: kami.New(), page: broken}.ServeHTTP(w, r)
	assert.Equal(t, http.StatusInternalServerError, w.Code)
	assert.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"))
	assert.Regexp(t, `^inspect: template: broken:`, w.Body.String())
	assert.Equal(t, policy, w.Header().Get("Content-Security-Policy"))
}
