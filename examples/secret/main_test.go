package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/guregu/kami"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const treasure = "treasure"

func TestSecret(t *testing.T) {
	t.Cleanup(kami.Reset)
	routes()
	assert.Empty(t, kami.Check())
	server := httptest.NewServer(kami.Handler())
	t.Cleanup(server.Close)

	for _, test := range []struct {
		name, path, user, password string
		status                     int
	}{
		{"right password", "/secret/message", "username", "password", http.StatusOK},
		{"no password", "/secret/message", "", "", http.StatusUnauthorized},
		{"wrong password", "/secret/message", "username", "guess", http.StatusUnauthorized},
		{"wrong user", "/secret/message", "guess", "password", http.StatusUnauthorized},
		// Middleware runs without a route too, so strangers do not learn which secrets exist.
		{"no such secret, for a stranger", "/secret/other", "", "", http.StatusUnauthorized},
		{"no such secret", "/secret/other", "username", "password", http.StatusNotFound},
		{"another spelling", "/secret/%6Dessage", "", "", http.StatusUnauthorized},
		{"an unclean path", "/other/..//secret/message", "", "", http.StatusUnauthorized},
		{"outside", "/", "", "", http.StatusNotFound},
	} {
		t.Run(test.name, func(t *testing.T) {
			response, body := get(t, server.URL+test.path, test.user, test.password)
			assert.Equal(t, test.status, response.StatusCode)
			if test.status == http.StatusOK {
				assert.Contains(t, body, treasure)
			} else {
				assert.NotContains(t, body, treasure)
			}
			if test.status == http.StatusUnauthorized {
				assert.Contains(t, response.Header.Get("WWW-Authenticate"), "Basic ")
			}
		})
	}
}

// get makes a GET request, with credentials if there is a user.
func get(t *testing.T, url, user, password string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	if user != "" {
		r.SetBasicAuth(user, password)
	}
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, string(body)
}
