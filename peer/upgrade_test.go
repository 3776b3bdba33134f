package peer_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/mutil"
	"github.com/guregu/kami/peer"
	"github.com/guregu/kami/session"
)

type userKey struct{}

// TestP10 checks that middleware runs before the upgrade, that messages see its values, and that afterware and LogHandler run when
// the connection ends.
func TestP10(t *testing.T) {
	var events trace
	inner := mux("/who", endpoint.JSON(func(ctx context.Context, _ struct{}) (string, error) {
		user, _ := ctx.Value(userKey{}).(string)
		return user, nil
	}))
	node := newNode(inner)
	node.OnDisconnect = func(*peer.Conn) { events.add("disconnect") }
	outer, logged := kami.New(), make(chan struct{})
	outer.Use("/", func(ctx context.Context, w http.ResponseWriter, r *http.Request) context.Context {
		user := r.Header.Get("User")
		if user == "" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return nil
		}
		return context.WithValue(ctx, userKey{}, user)
	})
	outer.After("/", func(ctx context.Context, w mutil.WriterProxy, r *http.Request) context.Context {
		events.add("afterware %d", w.Status())
		return ctx
	})
	outer.LogHandler = func(_ context.Context, w mutil.WriterProxy, r *http.Request) {
		events.add("log %d", w.Status())
		if w.Status() == 101 {
			close(logged)
		}
	}
	outer.Get("/kite", node)
	server := httptest.NewServer(outer)
	defer server.Close()

	_, err := newNode(nil).Dial(t.Context(), server.URL+"/kite")
	require.ErrorIs(t, err, endpoint.Error(401, "who are you?"))
	assert.ErrorContains(t, err, "the answer is 401 and no websocket: who are you?")
	assert.Equal(t, []string{"afterware 401", "log 401"}, events.take())
	c := dial(t, newNode(nil), server.URL+"/kite", peer.Header(http.Header{"User": {"kim"}}))
	got, err := message.Remote[struct{}, string](c, "who")(t.Context(), struct{}{})
	require.NoError(t, err)
	assert.Equal(t, "kim", got)
	assert.Empty(t, events.take())
	require.NoError(t, c.Close())
	<-logged
	assert.Equal(t, []string{"disconnect", "afterware 101", "log 101"}, events.take())
}

// TestP10NoUpgrade checks the answers to requests that cannot be upgraded.
func TestP10NoUpgrade(t *testing.T) {
	node := newNode(nil)
	url := "http" + strings.TrimPrefix(start(t, node), "ws")
	upgrade := func(more ...string) http.Header {
		h := http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"MDEyMzQ1Njc4OWFiY2RlZg=="}}
		for i := 0; i < len(more); i += 2 {
			h.Set(more[i], more[i+1])
		}
		return h
	}
	for _, test := range []struct {
		method string
		header http.Header
		status int
		text   string
	}{
		{"GET", nil, 426, "does not contain Upgrade"},
		{"POST", upgrade(), 405, "method is not GET"},
		{"GET", upgrade("Upgrade", "h2c"), 426, "does not contain websocket"},
		{"GET", upgrade("Sec-Websocket-Version", "12"), 400, "only 13 is supported"},
		{"GET", upgrade("Sec-Websocket-Key", "x"), 400, "invalid Sec-WebSocket-Key"},
		{"GET", upgrade("Origin", "https://evil.example"), 403, "is not authorized"},
		{"GET", upgrade("Origin", "null"), 403, "not a valid URL"},
		{"GET", upgrade("Origin", "%"), 403, "failed to parse Origin"},
	} {
		r, err := http.NewRequest(test.method, url, nil)
		require.NoError(t, err)
		r.Header = test.header
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		assert.Equal(t, test.status, response.StatusCode, "%s %v", test.method, test.header)
		assert.Contains(t, string(body), test.text)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/", nil)
	r.Header = upgrade()
	node.ServeHTTP(w, r)
	assert.Equal(t, 501, w.Code)
	reply := message.Serve(t.Context(), node, &message.Message{Route: "a"})
	assert.Equal(t, 426, reply.Status)
}

func TestP10Origins(t *testing.T) {
	node := newNode(nil)
	node.Origins = []string{"https://good.example", "*.wild.example"}
	url := start(t, node)
	host := strings.TrimPrefix(url, "ws://")
	for origin, good := range map[string]bool{
		"": true, "http://" + host: true, "https://good.example": true, "HTTPS://GOOD.example": true, "http://a.wild.example": true,
		"http://good.example": false, "https://good.example.evil": false, "https://evil.example": false, "https://wild.example": false,
	} {
		_, response, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {origin}}})
		assert.Equal(t, good, err == nil, "%q", origin)
		if !good {
			assert.Equal(t, 403, response.StatusCode)
		}
	}
}

func TestP01Subprotocol(t *testing.T) {
	url := start(t, newNode(nil))
	for _, test := range []struct {
		offered []string
		want    string
	}{{nil, ""}, {[]string{"kami.jsonrpc"}, "kami.jsonrpc"}, {[]string{"x", "kami.jsonrpc"}, "kami.jsonrpc"}, {[]string{"x"}, ""}} {
		r := dialRaw(t, url, nil, test.offered...)
		assert.Equal(t, test.want, r.Subprotocol())
		r.silence()
	}
}

// TestP20 checks kami.ping and kami.info, which each Node has, and that a handler can replace one of them.
func TestP20(t *testing.T) {
	server := newNode(nil)
	server.ID = "7 é/"
	url := start(t, server)
	r := dialRaw(t, url, nil)
	assert.Equal(t, `{"jsonrpc":"2.0","id":1,"result":"pong"}`, r.ask(`{"jsonrpc":"2.0","id":1,"method":"kami.ping"}`))
	assert.Equal(t, `{"jsonrpc":"2.0","id":1,"result":{"name":"test","version":"1.2.3","id":"7 é/"}}`, r.ask(`{"jsonrpc":"2.0","id":1,"method":"kami.info"}`))
	c := dial(t, newNode(nil), url)
	assert.Equal(t, peer.Info{Name: "test", Version: "1.2.3", ID: "7 é/", RemoteAddr: url}, c.Peer())

	own := newNode(mux("/kami/ping", endpoint.JSON(func(context.Context, struct{}) (string, error) { return "own", nil })))
	r = dialRaw(t, start(t, own), nil)
	assert.Equal(t, `{"jsonrpc":"2.0","id":1,"result":"own"}`, r.ask(`{"jsonrpc":"2.0","id":1,"method":"kami.ping"}`))
	assert.Contains(t, r.ask(`{"jsonrpc":"2.0","id":1,"method":"kami.info"}`), `"version":"1.2.3"`)
}

// TestP20Peer checks that Peer returns the Info that the client has sent.
func TestP20Peer(t *testing.T) {
	came := make(chan peer.Info, 1)
	server := newNode(nil)
	server.OnConnect = func(c *peer.Conn) { came <- c.Peer() }
	url := start(t, server)
	dial(t, &peer.Node{Name: "a b", Version: "0.1.0-rc.1+x", ID: "i"}, url)
	got := <-came
	assert.Equal(t, peer.Info{Name: "a b", Version: "0.1.0-rc.1+x", ID: "i", RemoteAddr: got.RemoteAddr}, got)
	assert.Contains(t, got.RemoteAddr, "127.0.0.1:")
	for _, header := range []string{"a/b", "a/b/c/d", "%zz/b/c", strings.Repeat("x", 2000) + "/1.0.0/x"} {
		dialRaw(t, url, http.Header{"Kami-Peer": {header}})
		got := <-came
		assert.Equal(t, peer.Info{RemoteAddr: got.RemoteAddr}, got)
	}
}

func TestBadNodes(t *testing.T) {
	for _, test := range []struct{ name, version, want string }{
		{"", "1.0.0", "peer: the Node has no Name"},
		{"a", "", `peer: the Version of Node "a" is "", and should be one of semver.org, such as 1.2.3`},
		{"a", "v1.0.0", `peer: the Version of Node "a" is "v1.0.0", and should be one of semver.org, such as 1.2.3`},
		{"a", "1.0", `peer: the Version of Node "a" is "1.0", and should be one of semver.org, such as 1.2.3`},
		{"a", "01.0.0", `peer: the Version of Node "a" is "01.0.0", and should be one of semver.org, such as 1.2.3`},
	} {
		node := &peer.Node{Name: test.name, Version: test.version, Log: slog.New(slog.DiscardHandler)}
		_, err := node.Dial(t.Context(), "ws://127.0.0.1:1")
		assert.EqualError(t, err, test.want)
		w := httptest.NewRecorder()
		node.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		assert.Equal(t, 500, w.Code)
		assert.Equal(t, test.want+"\n", w.Body.String())
	}
}

func TestBadURLs(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ok" {
			return
		}
		http.Error(w, "nothing here\x00\xff", http.StatusTeapot)
	}))
	defer server.Close()
	_, err := newNode(nil).Dial(t.Context(), server.URL+"/x?secret=1#secret")
	assert.EqualError(t, err, "peer: dialing "+server.URL+"/x: the answer is 418 and no websocket: nothing here\x00?")
	_, err = newNode(nil).Dial(t.Context(), server.URL+"/ok")
	assert.ErrorContains(t, err, "the answer is 200 and no websocket: OK")
	for _, url := range []string{"ftp://x", "", "://", "ws://127.0.0.1:1/?secret=1", "ws://user:secret@127.0.0.1:1/"} {
		_, err := newNode(nil).Dial(t.Context(), url)
		assert.Error(t, err)
		assert.NotContains(t, fmt.Sprint(err), "secret")
	}
}

// TestRedirects checks which redirects Dial follows.
func TestRedirects(t *testing.T) {
	plain := start(t, newNode(nil))
	var seen atomic.Int32
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		to := map[string]string{"/round": "/round", "/ws": plain, "/http": "http" + strings.TrimPrefix(plain, "ws")}[r.URL.Path]
		http.Redirect(w, r, to, http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	for path, want := range map[string]string{
		"/round": "more than 10 redirects", "/ws": "a redirect leads to where nothing is encrypted", "/http": "a redirect leads to where nothing is encrypted",
	} {
		_, err := newNode(nil).Dial(t.Context(), server.URL+path, peer.HTTPClient(server.Client()))
		assert.ErrorContains(t, err, want)
	}
	assert.EqualValues(t, 12, seen.Load())
	own := server.Client()
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return errors.New("the app's own rule") }
	_, err := newNode(nil).Dial(t.Context(), server.URL+"/round", peer.HTTPClient(own))
	assert.ErrorContains(t, err, "the app's own rule")
	near := httptest.NewServer(http.RedirectHandler(plain, http.StatusTemporaryRedirect))
	defer near.Close()
	c, err := newNode(nil).Dial(t.Context(), near.URL)
	require.NoError(t, err)
	assert.NoError(t, c.Close())
}

// authenticator returns an Authenticate that accepts credentials that begin with "good-", and records all in events.
func authenticator(events *trace) func(context.Context, string, string) (context.Context, error) {
	return func(ctx context.Context, scheme, credential string) (context.Context, error) {
		events.add("%s %s", scheme, credential)
		if user, ok := strings.CutPrefix(credential, "good-"); ok {
			return session.WithSubject(context.WithValue(ctx, userKey{}, user), user), nil
		}
		if credential == "down" {
			return nil, endpoint.Error(503, "the database at 10.0.0.1 is down")
		}
		return nil, errors.New("it is bad, for a secret reason")
	}
}

func TestP18(t *testing.T) {
	var events trace
	var log lockedBuffer
	node := newNode(mux("/who", endpoint.JSON(func(ctx context.Context, _ struct{}) (string, error) {
		user, _ := ctx.Value(userKey{}).(string)
		return user, nil
	})))
	node.Log = slog.New(slog.NewTextHandler(&log, nil))
	node.Authenticate = authenticator(&events)
	url := start(t, node)
	encoded := func(text string) string { return "kami.auth." + base64.RawURLEncoding.EncodeToString([]byte(text)) }
	const who = `{"jsonrpc":"2.0","id":1,"method":"who"}`
	answer := func(user string) string { return `{"jsonrpc":"2.0","id":1,"result":"` + user + `"}` }

	r := dialRaw(t, url, nil)
	assert.Equal(t, answer(""), r.ask(who))
	assert.Empty(t, events.take())
	r = dialRaw(t, url, http.Header{"Authorization": {"Bearer good-kim"}})
	assert.Equal(t, answer("kim"), r.ask(who))
	r = dialRaw(t, url, nil, "kami.jsonrpc", encoded("Bearer good-lee"))
	assert.Equal(t, "kami.jsonrpc", r.Subprotocol())
	assert.Equal(t, answer("lee"), r.ask(who))
	assert.Equal(t, []string{"Bearer good-kim", "Bearer good-lee"}, events.take())

	for _, test := range []struct {
		header, protocol, challenge, text string
		status                            int
	}{
		{"Bearer hunter2", "", `Bearer realm="kami"`, "Unauthorized", 401},
		{"Basic hunter2", "", `Basic realm="kami"`, "Unauthorized", 401},
		{"B\"c hunter2", "", `Bearer realm="kami"`, "Unauthorized", 401},
		{"", "Key hunter2", `Key realm="kami"`, "Unauthorized", 401},
		{"Bearer down", "", "", "Service Unavailable", 503},
		{"hunter2", "", "", "a credential must have a scheme before it", 400},
	} {
		header, protocols := http.Header{}, []string{"kami.jsonrpc"}
		if test.header != "" {
			header.Set("Authorization", test.header)
		} else {
			protocols = append(protocols, encoded(test.protocol))
		}
		_, response, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPHeader: header, Subprotocols: protocols})
		require.Error(t, err)
		body, _ := io.ReadAll(response.Body)
		assert.Equal(t, test.status, response.StatusCode)
		assert.Equal(t, test.challenge, response.Header.Get("WWW-Authenticate"))
		assert.Equal(t, test.text+"\n", string(body))
	}
	_, response, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{Subprotocols: []string{"kami.auth.!!"}})
	require.Error(t, err)
	assert.Equal(t, 400, response.StatusCode)
	assert.NotContains(t, log.String(), "hunter2")
	assert.Contains(t, log.String(), "it is bad, for a secret reason")
}

// TestP18InBand checks that kami.auth replaces the identity for later messages.
func TestP18InBand(t *testing.T) {
	var events trace
	var log lockedBuffer
	node := newNode(mux("/who", endpoint.JSON(func(ctx context.Context, _ struct{}) (string, error) {
		user, _ := ctx.Value(userKey{}).(string)
		return user, nil
	}), "/bind", endpoint.JSON(func(ctx context.Context, _ struct{}) (struct{}, error) {
		return struct{}{}, session.FromContext(ctx).Bind(ctx, session.Subject(ctx))
	})))
	node.Log = slog.New(slog.NewTextHandler(&log, nil))
	node.Authenticate = authenticator(&events)
	r := dialRaw(t, start(t, node), http.Header{"Authorization": {"Bearer good-kim"}})
	const who = `{"jsonrpc":"2.0","id":1,"method":"who"}`
	answer := func(user string) string { return `{"jsonrpc":"2.0","id":1,"result":"` + user + `"}` }
	auth := func(credential string) string {
		return r.ask(`{"jsonrpc":"2.0","id":1,"method":"kami.auth","params":{"scheme":"Bearer","credential":"` + credential + `"}}`)
	}
	assert.Equal(t, answer("kim"), r.ask(who))
	assert.Equal(t, `{"jsonrpc":"2.0","id":1,"result":null,"status":204}`, auth("good-lee"))
	assert.Equal(t, answer("lee"), r.ask(who))
	assert.Equal(t, `{"jsonrpc":"2.0","id":1,"error":{"code":401,"message":"Unauthorized"},"headers":{"Www-Authenticate":"Bearer realm=\"kami\""}}`, auth("hunter2"))
	assert.Equal(t, answer("lee"), r.ask(who))
	assert.Equal(t, `{"jsonrpc":"2.0","id":1,"error":{"code":503,"message":"Service Unavailable"}}`, auth("down"))
	assert.Equal(t, `{"jsonrpc":"2.0","id":1,"error":{"code":400,"message":"the params of kami.auth must be a scheme and a credential"}}`,
		r.ask(`{"jsonrpc":"2.0","id":1,"method":"kami.auth","params":[1,2]}`))
	r.ask(`{"jsonrpc":"2.0","id":1,"method":"bind"}`)
	assert.Equal(t, `{"jsonrpc":"2.0","id":1,"result":null,"status":204}`, auth("good-lee"))
	r.send(`{"jsonrpc":"2.0","id":1,"method":"kami.auth","params":{"scheme":"Bearer","credential":"good-kim"}}`)
	code, reason := r.closed()
	assert.Equal(t, 1008, code)
	assert.Equal(t, "another user than the session's was authenticated", reason)
	assert.NotContains(t, log.String(), "hunter2")

	r = dialRaw(t, start(t, newNode(nil)), nil)
	assert.Contains(t, auth("good-kim"), `"code":-32601`) // this Node has no Authenticate, so it has no kami.auth
}

// lockedBuffer is a buffer for log records that goroutines can share.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
