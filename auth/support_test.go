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

// Keys of each kind, made once.
var (
	edKey, otherEdKey = newEd(1), newEd(2) // which are the same in the processes of a fuzz test
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

// with returns a copy of m with a member set, or left out if v is nil.
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

// sign makes a token of a header and claims with package jwt, without checks. Strings are used unchanged.
func sign(alg string, header, claims any, key any) string {
	signed := encode(header) + "." + encode(claims)
	return signed + "." + b64(must(jwt.GetSigningMethod(alg).Sign(signed, key)))
}

// log collects the records of all goroutines.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// take returns the records since the last call.
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

// logs catches what is logged during a test.
func logs(t testing.TB) *log {
	l := new(log)
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelInfo})))
	t.Cleanup(func() { slog.SetDefault(before) })
	return l
}

// answer is an answer to a request by one of the ways.
type answer struct {
	status int
	header http.Header
	body   string
}

// way asks a mux for POST /private/it, or another path.
type way func(t testing.TB, ctx context.Context, mux *kami.Mux, path string, header http.Header) answer

// ways are all ways to send a request or a message to a mux. Each takes the context as its base.
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

// source makes a function a KeySource.
type source func(ctx context.Context, kid string) (crypto.PublicKey, error)

func (s source) Key(ctx context.Context, kid string) (crypto.PublicKey, error) { return s(ctx, kid) }

func b64Decode(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }
