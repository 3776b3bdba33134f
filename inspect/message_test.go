package inspect_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/guregu/kami"
	"github.com/guregu/kami/inspect"
	"github.com/guregu/kami/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// names has patterns of routes, each with its name for messages, and with the route of a message to it.
var names = map[string]struct{ name, example string }{
	"/room/:id/join":   {"room.:id.join", "room.7.join"},
	"/slash/:id/":      {"slash.:id", "slash.7"},
	"/files/*path":     {"files.*path", "files.a.b"},
	"/nameless/:/*":    {"nameless.:.*", "nameless.a.b.c"},
	"/a b/c.d/é":       {"a%20b.c%2Ed.é", "a%20b.c%2Ed.é"},
	`/\:id/\*x/\\:y`:   {`\:id.%2Ax.\\:y`, `:id.%2Ax.\:y`},
	"/dots/:id.json":   {"dots.:id%2Ejson", "dots.7"},
	"/$JS":             {"%24JS", "%24JS"},
	"/inner/:id/start": {"inner.:id.start", "inner.7.start"},
}

// TestMessageNames checks that the JSON and the page have the names of routes for messages, and that a message to each name is routed.
func TestMessageNames(t *testing.T) {
	mux, inner := kami.New(), kami.New()
	for pattern := range names {
		if strings.HasPrefix(pattern, "/inner/") {
			inner.Post(pattern, func(http.ResponseWriter, *http.Request) {})
		} else {
			mux.Post(pattern, func(http.ResponseWriter, *http.Request) {})
		}
	}
	mux.Mount("/inner/", inner)
	mux.Mount("/old/", http.NotFoundHandler())
	nameless := []string{"/", "/" + strings.Repeat("a", 256), strings.Repeat("/a", 33)}
	for _, pattern := range nameless {
		mux.Post(pattern, greet)
	}
	mux.Get("/get", greet)
	page := inspect.Handler(mux)

	var listed struct {
		Routes []struct{ Method, Pattern, Handler, Place, Message string }
	}
	answer := do(page, "GET", "/", "Accept: application/json").Body.Bytes()
	require.NoError(t, json.Unmarshal(answer, &listed))
	got := map[string]string{}
	for _, r := range listed.Routes {
		got[r.Pattern] = r.Message
		assert.NotEmpty(t, r.Handler+r.Place)
	}
	want := map[string]string{"/get": "", "/old/": "old", "/old/*": "old.*"}
	for _, pattern := range nameless {
		want[pattern] = ""
	}
	routes := text(section(do(page, "GET", "/").Body.String(), "routes"))
	for pattern, n := range names {
		want[pattern] = n.name
		assert.Contains(t, routes, "POST"+pattern+" message "+n.name)
		assert.Equal(t, pattern, message.Serve(context.Background(), mux, &message.Message{Route: n.example}).Pattern)
	}
	assert.Equal(t, want, got)
	assert.Contains(t, text(do(page, "GET", "/?q=room.:id").Body.String()), "1 of 15 routes")
}

// TestMessageOfARequest checks that the explanation of a POST request has the route for messages.
func TestMessageOfARequest(t *testing.T) {
	mux := kami.New()
	mux.Post("/room/:id", greet)
	mux.Post("/slash/", greet)
	mux.Get("/get", greet)
	page := inspect.Handler(mux)
	for query, want := range map[string]string{
		"?method=POST&path=/room/a.b%3Fn": "message room.a%2Eb",
		"?method=POST&path=/room/a%252Fb": "message room.a%2Fb",
		"?method=POST&path=/slash":        "message slash, which is not redirected: route POST /slash/",
		"?method=POST&path=/slash/":       "message slash",
		"?method=POST&path=/nowhere":      "",
		"?method=POST&path=/get":          "",
		"?method=POST&path=/room//7":      "",
		"?path=/get":                      "",
		"?method=POST&path=/room/%2500":   "message room.%00",
	} {
		got := text(section(do(page, "GET", "/"+query).Body.String(), "explanation"))
		_, said, _ := strings.Cut(got, "message ")
		if said != "" {
			said, _, _ = strings.Cut("message "+said, " No scope")
		}
		assert.Equal(t, want, said, query)
	}
}
