package auth_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/message"
)

// A key of each kind, made once.
var (
	edKey, otherEdKey = newEd(1), newEd(2) // from fixed seeds, because all processes of a fuzz test need the same keys
	p256Key           = must(ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{3}, 32)))
	p384Key           = newEC(elliptic.P384())
	p521Key           = newEC(elliptic.P521())
	rsaKey            = newRSA(2048)
)

func newEd(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func newEC(curve elliptic.Curve) *ecdsa.PrivateKey {
	return must(ecdsa.GenerateKey(curve, rand.Reader))
}
func newRSA(bits int) *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, bits)) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// M is a JSON object.
type M = map[string]any

// with returns a copy of m with the member name set to v, or without the member if v is nil.
func with(m M, name string, v any) M {
	c := M{}
	for k := range m {
		c[k] = m[k]
	}
	if c[name] = v; v == nil {
		delete(c, name)
	}
	return c
}

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func encode(v any) string {
	if s, ok := v.(string); ok {
		return b64([]byte(s))
	}
	return b64(must(json.Marshal(v)))
}

// sign makes a token of a header and claims with package jwt only, without any check. It does not encode a string as JSON.
func sign(alg string, header, claims any, key any) string {
	signed := encode(header) + "." + encode(claims)
	return signed + "." + b64(must(jwt.GetSigningMethod(alg).Sign(signed, key)))
}

// log is a buffer for log records that goroutines can share.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// take returns the records since the last take.
func (l *log) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.buf.Reset()
	return l.buf.String()
}

func (l *log) lines() []string {
	s := strings.TrimSuffix(l.take(), "\n")
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

// logs makes slog's default logger write to the returned log during a test.
func logs(t testing.TB) *log {
	l := new(log)
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelInfo})))
	t.Cleanup(func() { slog.SetDefault(before) })
	return l
}

// answer is the status, the header and the body that a way returns.
type answer struct {
	status int
	header http.Header
	body   string
}

// way sends a POST request for a path to a mux, with ctx as the base of the request's context.
type way func(t testing.TB, ctx context.Context, mux *kami.Mux, path string, header http.Header) answer

// ways send a request over HTTP, to a recorder, and as a message.
var ways = map[string]way{
	"http": func(t testing.TB, ctx context.Context, mux *kami.Mux, path string, header http.Header) answer {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { mux.ServeHTTPContext(ctx, w, r) }))
		defer server.Close()
		r := must(http.NewRequest("POST", server.URL+path, nil))
		r.Header = header.Clone()
		resp, err := server.Client().Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		return answer{resp.StatusCode, resp.Header, string(must(io.ReadAll(resp.Body)))}
	},
	"recorder": func(_ testing.TB, ctx context.Context, mux *kami.Mux, path string, header http.Header) answer {
		w, r := httptest.NewRecorder(), httptest.NewRequest("POST", path, nil)
		r.Header = header.Clone()
		mux.ServeHTTPContext(ctx, w, r)
		return answer{w.Code, w.Result().Header, w.Body.String()}
	},
	"message": func(_ testing.TB, ctx context.Context, mux *kami.Mux, path string, header http.Header) answer {
		reply := message.Serve(ctx, mux, &message.Message{Route: message.Route(path), Header: header})
		return answer{reply.Status, reply.Header, string(reply.Body)}
	},
}

// each runs a test for each way.
func each(t *testing.T, test func(t *testing.T, ask way)) {
	for name, ask := range ways {
		t.Run(name, func(t *testing.T) { test(t, ask) })
	}
}

func authorization(values ...string) http.Header { return http.Header{"Authorization": values} }

// source is a function as a KeySource.
type source func(ctx context.Context, kid string) (crypto.PublicKey, error)

func (s source) Key(ctx context.Context, kid string) (crypto.PublicKey, error) { return s(ctx, kid) }

func b64Decode(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }
