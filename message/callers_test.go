package message_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/message"
	"github.com/guregu/kami/message/messagetest"
)

// overHTTP serves h over HTTP below a prefix, and returns a Caller of it.
func overHTTP(t *testing.T, h http.Handler) message.Caller {
	server := httptest.NewServer(http.StripPrefix("/api", h))
	t.Cleanup(server.Close)
	base, err := url.Parse(server.URL + "/api/")
	require.NoError(t, err)
	return message.HTTP(server.Client(), base)
}

func TestM07Local(t *testing.T) {
	messagetest.Suite{Caller: func(_ *testing.T, h http.Handler) message.Caller { return message.Local(h) }}.Run(t)
}

func TestM07HTTP(t *testing.T) {
	messagetest.Suite{Caller: overHTTP, Unbounded: true}.Run(t)
}
