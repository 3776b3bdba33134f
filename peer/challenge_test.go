package peer_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/peer"
)

// challenging is an error of Authenticate with a status and headers, such as the challenges of package auth.
type challenging struct {
	status int
	header http.Header
}

func (challenging) Error() string          { return "secret" }
func (c challenging) StatusCode() int      { return c.status }
func (c challenging) Headers() http.Header { return c.header }

// TestP18Challenges checks that the answer has the status and headers of Authenticate's error: the schemes that are accepted, or when
// to try again. Only without such challenges is the client's scheme the challenge, because it may be one that is not accepted.
func TestP18Challenges(t *testing.T) {
	challenges := http.Header{"Www-Authenticate": {`Bearer realm="restricted"`, `Key realm="restricted"`}}
	for _, test := range []struct {
		err     challenging
		status  int
		header  string
		want    []string
		answers string
	}{
		{challenging{401, challenges}, 401, "WWW-Authenticate", challenges["Www-Authenticate"],
			`{"code":401,"message":"Unauthorized"},"headers":{"Www-Authenticate":"Bearer realm=\"restricted\"\nKey realm=\"restricted\""}`},
		{challenging{401, nil}, 401, "WWW-Authenticate", []string{`Basic realm="kami"`},
			`{"code":401,"message":"Unauthorized"},"headers":{"Www-Authenticate":"Basic realm=\"kami\""}`},
		{challenging{403, nil}, 401, "WWW-Authenticate", []string{`Basic realm="kami"`},
			`{"code":401,"message":"Unauthorized"},"headers":{"Www-Authenticate":"Basic realm=\"kami\""}`},
		{challenging{429, http.Header{"Retry-After": {"7"}}}, 429, "Retry-After", []string{"7"},
			`{"code":429,"message":"Too Many Requests"},"headers":{"Retry-After":"7"}`},
		{challenging{503, http.Header{"Retry-After": {"7"}}}, 503, "Retry-After", []string{"7"},
			`{"code":503,"message":"Service Unavailable"},"headers":{"Retry-After":"7"}`},
	} {
		node := newNode(nil)
		node.Authenticate = func(context.Context, string, string) (context.Context, error) { return nil, test.err }
		url := start(t, node)
		_, response, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Basic hunter2"}}})
		require.Error(t, err)
		assert.Equal(t, test.status, response.StatusCode)
		assert.Equal(t, test.want, response.Header.Values(test.header))
		assert.Equal(t, `{"jsonrpc":"2.0","id":1,"error":`+test.answers+`}`,
			dialRaw(t, url, nil).ask(`{"jsonrpc":"2.0","id":1,"method":"kami.auth","params":{"scheme":"Basic","credential":"hunter2"}}`))
	}
}

// TestP18Panics checks that a panic of Authenticate or Token becomes an error, and does not end the process.
func TestP18Panics(t *testing.T) {
	server := newNode(nil)
	server.Authenticate = func(context.Context, string, string) (context.Context, error) { panic("out of users") }
	url := start(t, server)
	_, err := newNode(nil).Dial(t.Context(), url, peer.Token(func(context.Context) (string, string, time.Time, error) {
		return "Bearer", "x", time.Time{}, nil
	}))
	var coder endpoint.StatusCoder
	require.ErrorAs(t, err, &coder)
	assert.Equal(t, 500, coder.StatusCode())

	r := dialRaw(t, url, nil)
	assert.Contains(t, r.ask(`{"jsonrpc":"2.0","id":1,"method":"kami.auth","params":{"scheme":"Bearer","credential":"x"}}`), `"code":500`)
	assert.Contains(t, r.ask(`{"jsonrpc":"2.0","id":2,"method":"kami.ping"}`), `"result":"pong"`)

	_, err = newNode(nil).Dial(t.Context(), url, peer.Token(func(context.Context) (string, string, time.Time, error) { panic("no token") }))
	assert.ErrorContains(t, err, "no token")
}
