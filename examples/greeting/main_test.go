package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/guregu/kami"
	"github.com/guregu/kami/examples/internal/program"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { program.Main(m, main) }

func TestGreet(t *testing.T) {
	t.Cleanup(kami.Reset)
	routes()
	server := httptest.NewServer(kami.Handler())
	t.Cleanup(server.Close)

	checkGreetings(t.Context(), t, server.URL)
}

// TestPage uses the page as the README says.
func TestPage(t *testing.T) {
	t.Cleanup(kami.Reset)
	routes()
	ask := func(from, host string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/debug/kami?method=GET&path=/hello/greg", nil)
		r.RemoteAddr, r.Host = from, host
		w := httptest.NewRecorder()
		kami.Handler().ServeHTTP(w, r)
		return w
	}
	for _, near := range []string{"127.0.0.1:4000", "[::1]:4000", "[::ffff:127.0.0.1]:4000"} {
		assert.Equal(t, http.StatusMisdirectedRequest, ask(near, "example.com").Code, "a name that another site has for this machine")
		assert.Equal(t, http.StatusOK, ask(near, "localhost").Code)
		w := ask(near, "localhost:8000")
		assert.Equal(t, http.StatusOK, w.Code)
		for _, want := range []string{"greeting.Guess", "main.go:", ".greet", "/hello/:name"} {
			assert.Contains(t, w.Body.String(), want)
		}
	}
	for _, far := range []string{"192.0.2.1:4000", "[2001:db8::1]:4000", "", "@"} {
		assert.Equal(t, http.StatusForbidden, ask(far, "localhost:8000").Code)
	}
	assert.Empty(t, kami.Check())
}

// TestProgram runs the README's commands, up to the signal that stops the program.
func TestProgram(t *testing.T) {
	p := program.Start(t)
	checkGreetings(p.Context, t, "http://"+p.Address)

	p.Signal(os.Interrupt)
	rest := p.End()
	assert.Contains(t, rest, "kami received signal, gracefully stopping\n")
	assert.Contains(t, rest, "kami stopped\n")
}

// checkGreetings asks the server at the URL for greetings in several languages.
func checkGreetings(ctx context.Context, t *testing.T, url string) {
	t.Helper()
	for _, test := range []struct{ accept, want string }{
		{"ja", "こんにちは, greg!"},
		{"en-US", "Yo, greg!"},
		{"fr, ja;q=0.8, en-US;q=0.5", "こんにちは, greg!"},
		{"fr", "Hello, greg!"},
		{"not a language", "Hello, greg!"},
		{"", "Hello, greg!"},
	} {
		assert.Equal(t, test.want, get(ctx, t, url+"/hello/greg", test.accept), "Accept-Language: %q", test.accept)
	}
}

// get returns the body of a successful GET.
func get(ctx context.Context, t *testing.T, url, acceptLanguage string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	if acceptLanguage != "" {
		r.Header.Set("Accept-Language", acceptLanguage)
	}
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}
