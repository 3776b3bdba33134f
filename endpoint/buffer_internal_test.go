package endpoint

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/guregu/kami/internal/jsonbody"
)

// The buffer of a large body is not kept for reuse, because it would stay in memory.
func TestLargeBuffersAreNotReused(t *testing.T) {
	large := `"` + strings.Repeat("a", 2*jsonbody.MaxReused) + `"`
	length := JSON(func(_ context.Context, text string) (int, error) { return len(text), nil })
	echo := JSON(func(_ context.Context, text string) (string, error) { return text, nil })
	request := func() *http.Request {
		r := httptest.NewRequest("POST", "/", strings.NewReader(large))
		r.Header.Set("Content-Type", "application/json")
		return r
	}
	for range 50 { // because the pool may drop a buffer at any time
		w := httptest.NewRecorder()
		length.ServeHTTP(w, request())
		assert.Equal(t, 200, w.Code)
		echo.ServeHTTP(httptest.NewRecorder(), request())
		b := jsonbody.Get()
		assert.LessOrEqual(t, b.Cap(), jsonbody.MaxReused)
		assert.Zero(t, b.Len())
		b.Release()
	}
}
