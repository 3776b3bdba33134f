package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/examples/admin/admin"
)

const token = "sesame"

func TestAuthorize(t *testing.T) {
	for _, test := range []struct {
		name, token, path, authorization string
		status                           int
	}{
		{"token", token, "/admin/memstats", "Bearer sesame", http.StatusOK},
		{"any case of the scheme", token, "/admin/memstats", "bearer sesame", http.StatusOK},
		{"no token", token, "/admin/memstats", "", http.StatusUnauthorized},
		{"wrong token", token, "/admin/memstats", "Bearer open", http.StatusUnauthorized},
		{"part of the token", token, "/admin/memstats", "Bearer sesam", http.StatusUnauthorized},
		{"wrong scheme", token, "/admin/memstats", "Basic sesame", http.StatusUnauthorized},
		{"no such page", token, "/admin/other", "Bearer sesame", http.StatusNotFound},
		{"no such page, for a stranger", token, "/admin/other", "", http.StatusUnauthorized},
		{"wrong method", token, "/admin/die", "Bearer sesame", http.StatusMethodNotAllowed},
		{"nothing configured", "", "/admin/memstats", "", http.StatusUnauthorized},
		{"nothing configured, empty token", "", "/admin/memstats", "Bearer ", http.StatusUnauthorized},
		{"outside of the panel", token, "/", "", http.StatusOK},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(routes(test.token, func() { t.Error("nobody asked to stop") }))
			t.Cleanup(server.Close)
			response, _ := do(t, http.MethodGet, server.URL+test.path, test.authorization)
			assert.Equal(t, test.status, response.StatusCode)
		})
	}
}

func TestPages(t *testing.T) {
	server := httptest.NewServer(routes(token, func() { t.Error("nobody asked to stop") }))
	t.Cleanup(server.Close)

	_, body := do(t, http.MethodGet, server.URL+"/admin/memstats", "Bearer "+token)
	var stats map[string]uint64
	require.NoError(t, json.Unmarshal([]byte(body), &stats))
	assert.NotZero(t, stats["heap_bytes"])

	_, body = do(t, http.MethodGet, server.URL+"/admin/goroutines", "Bearer "+token)
	assert.Contains(t, body, "goroutine profile")
}

func TestCheck(t *testing.T) {
	mux := admin.Handler("token", func() {}).(*kami.Mux)
	assert.Empty(t, mux.Check())
}

func TestDie(t *testing.T) {
	url, stopped, _ := start(t)

	response, _ := do(t, http.MethodPost, url+"/admin/die", "")
	assert.Equal(t, http.StatusUnauthorized, response.StatusCode)
	response, body := do(t, http.MethodPost, url+"/admin/die", "Bearer "+token)
	assert.Equal(t, http.StatusAccepted, response.StatusCode)
	assert.Equal(t, "Stopping.\n", body)

	checkStopped(t, stopped)
}

// TestStop stops the server as a signal does.
func TestStop(t *testing.T) {
	url, stopped, stop := start(t)

	response, _ := do(t, http.MethodGet, url+"/", "")
	assert.Equal(t, http.StatusOK, response.StatusCode)
	stop()

	checkStopped(t, stopped)
}

// start serves the site until stop is called. Stopped then sends serve's result.
func start(t *testing.T) (url string, stopped <-chan error, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	result := make(chan error, 1)
	go func() { result <- serve(ctx, listener, routes(token, cancel)) }()
	return "http://" + listener.Addr().String(), result, cancel
}

func checkStopped(t *testing.T, stopped <-chan error) {
	t.Helper()
	select {
	case err := <-stopped:
		assert.NoError(t, err)
	case <-time.After(30 * time.Second):
		t.Fatal("the server did not stop")
	}
}

// do makes a request, and reads the whole answer.
func do(t *testing.T, method, url, authorization string) (*http.Response, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, nil)
	require.NoError(t, err)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, string(body)
}
