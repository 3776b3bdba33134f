package accesslog_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/guregu/kami"
	"github.com/stretchr/testify/assert"
)

// named is a handler with a HandlerName.
type named struct{}

func (named) HandlerName() string                          { return "(*Room).Join" }
func (named) ServeHTTP(http.ResponseWriter, *http.Request) {}

// TestHandler checks that a record has the handler's name if it has one, in the Mux and in mounted ones.
func TestHandler(t *testing.T) {
	h, got := newLog()
	mux, inner, innermost := kami.New(), kami.New(), kami.New()
	mux.LogHandler = h
	mux.Get("/own/:id", named{})
	mux.Get("/none", func(http.ResponseWriter, *http.Request) {})
	mux.Mount("/m/", inner)
	inner.Mount("/m/n/", innermost)
	innermost.Get("/m/n/:id", named{})
	for path, want := range map[string]any{"/own/7": "(*Room).Join", "/m/n/7": "(*Room).Join", "/none": nil, "/404": nil, "/m/404": nil} {
		mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
		assert.Equal(t, want, got.record(t)["handler"], path)
	}
	got.done(t)
}
