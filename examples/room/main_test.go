package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/guregu/kami"
	"github.com/guregu/kami/component"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/examples/internal/program"
	"github.com/guregu/kami/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { program.Main(m, main) }

// start registers and starts the components for one test.
func start(t *testing.T) {
	t.Cleanup(kami.Reset)
	var components component.Set
	register(&components)
	require.NoError(t, components.Start(t.Context()))
	t.Cleanup(func() { assert.NoError(t, components.Stop(context.Background())) })
}

func TestRoutes(t *testing.T) {
	start(t)
	var got []string
	for r := range kami.Routes() {
		got = append(got, r.Method+" "+r.Pattern+" "+r.Handler)
	}
	assert.Equal(t, []string{
		"POST /connector/testhandler/testpush (*Handler).TestPush",
		"POST /connector/testhandler/testrequest (*Handler).TestRequest",
	}, got)
	assert.Empty(t, kami.Check())
}

// TestMessages calls the handler as another server would, in this process and over HTTP.
func TestMessages(t *testing.T) {
	start(t)
	server := httptest.NewServer(kami.Handler())
	t.Cleanup(server.Close)
	base, err := url.Parse(server.URL)
	require.NoError(t, err)
	for _, to := range []message.Caller{message.Local(kami.Handler()), message.HTTP(server.Client(), base)} {
		call := message.Remote[UserRequestMessage, *UserResponseMessage](to, "connector.testhandler.testrequest")
		got, err := call(t.Context(), UserRequestMessage{Name: "bob", Content: "hello"})
		require.NoError(t, err)
		assert.Equal(t, &UserResponseMessage{}, got)
		assert.NoError(t, message.Notify(t.Context(), to, "connector.testhandler.testpush", UserPushMessage{Command: "jump"}))

		_, err = message.Remote[map[string]int, *UserResponseMessage](to, "connector.testhandler.testrequest")(t.Context(), map[string]int{"name": 1})
		assert.ErrorIs(t, err, endpoint.Error(400, `field "name": a JSON number at offset 9 does not fit`))
	}
}

// TestRequests calls the handler as curl does.
func TestRequests(t *testing.T) {
	start(t)
	server := httptest.NewServer(kami.Handler())
	t.Cleanup(server.Close)
	checkRequests(t, server.URL)
}

func checkRequests(t *testing.T, url string) {
	t.Helper()
	for _, test := range []struct {
		path, body string
		status     int
		want       string
	}{
		{"testrequest", `{"name": "bob", "content": "hello"}`, 200, "{}\n"},
		{"testrequest", "", 200, "{}\n"},
		{"testrequest", `{"content": 1}`, 400, `field "content": a JSON number at offset 13 does not fit` + "\n"},
		{"testpush", `{"cmd": "jump"}`, 204, ""},
		{"testpush", `{"cmd": 1}`, 400, `field "cmd": a JSON number at offset 9 does not fit` + "\n"},
		{"init", "", 404, "404 page not found\n"},
	} {
		response, err := http.Post(url+"/connector/testhandler/"+test.path, "application/json", strings.NewReader(test.body))
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, test.status, response.StatusCode, "%s %s", test.path, test.body)
		assert.Equal(t, test.want, string(body), "%s %s", test.path, test.body)
	}
}

// TestProgram runs the program, up to the signal that stops it.
func TestProgram(t *testing.T) {
	p := program.Start(t)
	checkRequests(t, "http://"+p.Address)
	p.Signal(os.Interrupt)
	rest := p.End()
	assert.Contains(t, rest, "kami stopped\n")
	assert.Contains(t, rest, "the components have stopped\n")
}
