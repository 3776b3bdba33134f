package endpoint_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/guregu/kami/endpoint"
	"github.com/stretchr/testify/assert"
)

func TestPopulateRequestContextHasThirteenValues(t *testing.T) {
	r := request("PATCH", "/search%2Fall?q=sympatico", "",
		"X-Forwarded-For: 192.0.2.7", "X-Forwarded-For: second", "X-Forwarded-Proto: https", "Authorization: Bearer x", "Referer: http://from.test/",
		"User-Agent: tester/1", "X-Request-Id: a1b2c3d4e5", "Accept: text/plain")
	ctx := endpoint.PopulateRequestContext(context.WithValue(context.Background(), key("mine"), "still there"), r)
	for _, tt := range []struct {
		key  any
		want any
	}{
		{endpoint.ContextKeyRequestMethod, "PATCH"},
		{endpoint.ContextKeyRequestURI, "/search%2Fall?q=sympatico"},
		{endpoint.ContextKeyRequestPath, "/search/all"},
		{endpoint.ContextKeyRequestProto, "HTTP/1.1"},
		{endpoint.ContextKeyRequestHost, "example.com"},
		{endpoint.ContextKeyRequestRemoteAddr, "192.0.2.1:1234"},
		{endpoint.ContextKeyRequestXForwardedFor, "192.0.2.7"},
		{endpoint.ContextKeyRequestXForwardedProto, "https"},
		{endpoint.ContextKeyRequestAuthorization, "Bearer x"},
		{endpoint.ContextKeyRequestReferer, "http://from.test/"},
		{endpoint.ContextKeyRequestUserAgent, "tester/1"},
		{endpoint.ContextKeyRequestXRequestID, "a1b2c3d4e5"},
		{endpoint.ContextKeyRequestAccept, "text/plain"},
		{endpoint.ContextKeyResponseHeaders, nil},
		{endpoint.ContextKeyResponseSize, nil},
		{key("mine"), "still there"},
		{key("none"), nil},
		{0, nil},
	} {
		assert.Equal(t, tt.want, ctx.Value(tt.key), "%#v", tt.key)
	}
}

func TestPopulateRequestContextTakesTheValuesAsTheyAre(t *testing.T) {
	r := request("GET", "/a", "", "Accept: text/plain")
	ctx := endpoint.PopulateRequestContext(context.Background(), r)
	r.Method, r.URL.Path = "POST", "/b"
	r.Header.Set("Accept", "image/png")
	assert.Equal(t, "GET", ctx.Value(endpoint.ContextKeyRequestMethod))
	assert.Equal(t, "/a", ctx.Value(endpoint.ContextKeyRequestPath))
	assert.Equal(t, "text/plain", ctx.Value(endpoint.ContextKeyRequestAccept))
	assert.Equal(t, "", ctx.Value(endpoint.ContextKeyRequestReferer), "what is missing is an empty string")
}

func TestPopulateRequestContextOfARequestWithoutURL(t *testing.T) {
	r := request("GET", "/a", "")
	r.URL = nil
	assert.Equal(t, "", endpoint.PopulateRequestContext(context.Background(), r).Value(endpoint.ContextKeyRequestPath))
}

func TestContextsDoNotPrintWhatIsInThem(t *testing.T) {
	ctx := endpoint.PopulateRequestContext(context.Background(), request("GET", "/", "", "Authorization: secret"))
	assert.Equal(t, "context.Background.PopulateRequestContext", fmt.Sprint(ctx))
	s := endpoint.JSON(endpoint.Nop[struct{}, int], endpoint.ServerAfter(endpoint.SetResponseHeader("Set-Cookie", "secret")),
		endpoint.ServerFinalizer(func(ctx context.Context, _ int, _ *http.Request) {
			assert.Equal(t, "context.Background.finished", fmt.Sprint(ctx))
		}))
	answer(s, request("GET", "/", ""))
}
