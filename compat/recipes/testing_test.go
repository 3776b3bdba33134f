package recipes

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/guregu/kami"
)

func greet(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "Hello, %s!", kami.Param(ctx, "name"))
}

func TestGreet(t *testing.T) {
	ctx := kami.SetParam(t.Context(), "name", "greg")
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	w := httptest.NewRecorder()
	greet(ctx, w, r)
	if got := w.Body.String(); got != "Hello, greg!" {
		t.Errorf("got %q", got)
	}
}

// routes registers an app's routes.
func routes() { kami.Get("/hello/:name", greet) }

func TestRoutes(t *testing.T) {
	t.Cleanup(kami.Reset)
	routes()
	w := httptest.NewRecorder()
	kami.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/hello/greg", nil))
	if w.Code != http.StatusOK || w.Body.String() != "Hello, greg!" {
		t.Errorf("got %d %q", w.Code, w.Body)
	}
}
