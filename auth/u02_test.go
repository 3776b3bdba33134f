package auth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/auth"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/session"
)

// bearer returns an Authorization header with a token that edKey has signed. The token lives for ttl.
func bearer(ttl time.Duration) http.Header {
	return authorization("Bearer " + sign("EdDSA", M{"alg": "EdDSA", "kid": "ed"}, M{"sub": "greg", "exp": time.Now().Add(ttl).Unix()}, edKey))
}

// open returns the context that the messages of a connection have if the header has authenticated the connection.
func open(t testing.TB, schemes auth.Schemes, header http.Header) context.Context {
	var ctx context.Context
	mux := kami.New()
	mux.Use("/", schemes.Identify)
	mux.Post("/kite", func(c context.Context, w http.ResponseWriter, r *http.Request) { ctx = c })
	ways["recorder"](t, context.Background(), mux, "/kite", header)
	require.NotNil(t, ctx)
	return ctx
}

func TestU02RotatedKey(t *testing.T) {
	each(t, func(t *testing.T, ask way) {
		for name, opts := range map[string][]auth.JWTOption{"cached": nil, "not cached": {auth.WithCache(0)}} {
			t.Run(name, func(t *testing.T) {
				log := logs(t)
				keys := set()
				schemes := auth.Schemes{"Bearer": auth.JWT(keys, opts...)}
				mux, header := guarded(schemes), bearer(time.Hour)
				conn := open(t, schemes, header)
				status := func(ctx context.Context, header http.Header) int {
					got := ask(t, ctx, mux, "/private/it", header)
					if got.status == 401 {
						assert.Equal(t, []string{`Bearer realm="restricted", error="invalid_token"`}, got.header.Values("WWW-Authenticate"))
					}
					return got.status
				}
				both := func(want int, why string) {
					t.Helper()
					assert.Equal(t, want, status(t.Context(), header), "a request: %s", why)
					assert.Equal(t, want, status(conn, nil), "a message of a connection: %s", why)
				}
				both(200, "the key is there")
				keys.Set("ed", slices.Clone(edKey.Public().(ed25519.PublicKey)))
				both(200, "the same key in another place")
				keys.Set("ed", otherEdKey.Public())
				both(401, "another key")
				assert.Contains(t, log.take(), "the key of the token has been replaced")
				keys.Set("ed", rsaKey.Public())
				both(401, "a key of another kind")
				keys.Delete("ed")
				both(401, "no key")
				assert.Contains(t, log.take(), "there is no such key")
				keys.Set("ed", edKey.Public())
				both(200, "the key is back")
				require.NoError(t, keys.LoadJWKS([]byte(`{"keys":[`+jwkOf("ed", otherEdKey)+`]}`)))
				both(401, "another set")
			})
		}
	})
}

// jwkOf returns the JSON Web Key of the public half of key.
func jwkOf(kid string, key ed25519.PrivateKey) string {
	return `{"kty":"OKP","crv":"Ed25519","kid":"` + kid + `","x":"` + b64(key.Public().(ed25519.PublicKey)) + `"}`
}

func TestU02AnotherAlgorithmOfTheKey(t *testing.T) {
	logs(t)
	keys := set()
	schemes := auth.Schemes{"Bearer": auth.JWT(keys)}
	header := bearer(time.Hour)
	conn := open(t, schemes, header)
	jwk := jwkOf("ed", edKey)
	require.NoError(t, keys.LoadJWKS([]byte(`{"keys":[`+jwk[:len(jwk)-1]+`,"alg":"EdDSA"}]}`)))
	assert.Equal(t, 200, ways["message"](t, conn, guarded(schemes), "/private/it", nil).status)
	assert.Equal(t, 200, ways["message"](t, t.Context(), guarded(schemes), "/private/it", header).status)
}

func TestU02Expired(t *testing.T) {
	for leeway, opts := range map[time.Duration][]auth.JWTOption{
		30 * time.Second: nil,
		0:                {auth.WithLeeway(0)},
		5 * time.Second:  {auth.WithLeeway(5 * time.Second), auth.WithCache(0)},
		time.Second:      {auth.WithLeeway(time.Second), auth.WithCache(time.Hour)},
	} {
		synctest.Test(t, func(t *testing.T) {
			log := logs(t)
			schemes := auth.Schemes{"Bearer": auth.JWT(set(), opts...)}
			mux, header := guarded(schemes), bearer(10*time.Minute)
			conn := open(t, schemes, header)
			both := func(want int) {
				t.Helper()
				for _, name := range []string{"message", "recorder"} {
					assert.Equal(t, want, ways[name](t, t.Context(), mux, "/private/it", header).status, leeway)
					assert.Equal(t, want, ways[name](t, conn, mux, "/private/it", nil).status, leeway)
				}
			}
			both(200)
			time.Sleep(10*time.Minute + leeway - 1) // on synctest's clock
			both(200)
			time.Sleep(time.Nanosecond)
			log.take()
			both(401)
			assert.Contains(t, log.take(), "expired")
			assert.Equal(t, 200, ways["message"](t, conn, mux, "/it", nil).status, "which requires nothing")

			_, credential, _, err := (&auth.Issuer{KeyID: "ed", Key: edKey}).Source(auth.Identity{Subject: "greg"}, time.Minute)(t.Context())
			require.NoError(t, err)
			conn, err = schemes.Authenticate(conn, "Bearer", credential)
			require.NoError(t, err)
			assert.Equal(t, 200, ways["message"](t, conn, mux, "/private/it", nil).status, "kami.auth has brought another")
		})
	}
}

// TestU02IdentitiesOfOtherSchemes checks that identities of schemes other than JWT expire without leeway.
func TestU02IdentitiesOfOtherSchemes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logs(t)
		schemes := auth.Schemes{"Key": func(context.Context, string) (*auth.Identity, error) {
			return &auth.Identity{Subject: "greg", Expires: time.Now().Add(time.Minute)}, nil
		}}
		conn := open(t, schemes, authorization("Key x"))
		mux := guarded(schemes)
		time.Sleep(time.Minute - 1)
		assert.Equal(t, 200, ways["message"](t, conn, mux, "/private/it", nil).status)
		time.Sleep(time.Nanosecond)
		got := ways["message"](t, conn, mux, "/private/it", nil)
		assert.Equal(t, 401, got.status)
		assert.Equal(t, []string{`Key realm="restricted"`}, got.header.Values("WWW-Authenticate"))
	})
}

// TestU02Cache checks how often a token is verified in full.
func TestU02Cache(t *testing.T) {
	for name, test := range map[string]struct {
		opts []auth.JWTOption
		ttl  time.Duration
		at   []time.Duration // when the token comes
		want int             // how often it was verified
	}{
		"300 s by default": {nil, time.Hour, []time.Duration{0, 1, 299 * time.Second, 300*time.Second - 1, 300 * time.Second, 301 * time.Second}, 2},
		"0 is none":        {[]auth.JWTOption{auth.WithCache(0)}, time.Hour, []time.Duration{0, 0, 0}, 3},
		"10 s":             {[]auth.JWTOption{auth.WithCache(10 * time.Second)}, time.Hour, []time.Duration{0, 9 * time.Second, 10 * time.Second}, 2},
		"never beyond exp": {nil, time.Minute, []time.Duration{0, time.Minute - 1, time.Minute, time.Minute + 1}, 3},
	} {
		synctest.Test(t, func(t *testing.T) {
			logs(t)
			var verified int
			verify := auth.WithVerify(func(context.Context, *auth.Identity) error { verified++; return nil })
			mux := guarded(auth.Schemes{"Bearer": auth.JWT(set(), append(test.opts, verify)...)})
			start, header := time.Now(), bearer(test.ttl)
			for _, at := range test.at {
				time.Sleep(time.Until(start.Add(at)))
				assert.Equal(t, 200, ways["message"](t, t.Context(), mux, "/private/it", header).status, name)
			}
			assert.Equal(t, test.want, verified, name)
		})
	}
}

// TestU02RefusalsAreNotCached checks that a refused token is accepted once its key is there.
func TestU02RefusalsAreNotCached(t *testing.T) {
	logs(t)
	keys := new(auth.Keys)
	mux, header := guarded(auth.Schemes{"Bearer": auth.JWT(keys)}), bearer(time.Hour)
	assert.Equal(t, 401, ways["message"](t, t.Context(), mux, "/private/it", header).status)
	keys.Set("ed", edKey.Public())
	assert.Equal(t, 200, ways["message"](t, t.Context(), mux, "/private/it", header).status)
}

// TestU02CachedIdentitiesAreCopies checks that a change to a returned identity does not change the cached one.
func TestU02CachedIdentitiesAreCopies(t *testing.T) {
	logs(t)
	inner := auth.JWT(set())
	token := sign("EdDSA", M{"alg": "EdDSA", "kid": "ed"}, M{"sub": "greg", "exp": time.Now().Unix() + 60}, edKey)
	for range 3 {
		id, err := inner(t.Context(), token)
		require.NoError(t, err)
		assert.Equal(t, "greg", id.Subject)
		assert.NotContains(t, id.Claims, "admin")
		id.Subject = "tenant/" + id.Subject
		id.Claims["admin"] = true
	}
}

// TestU02WithVerify checks that the functions of WithVerify can change an identity, and refuse it.
func TestU02WithVerify(t *testing.T) {
	log := logs(t)
	revoked := errors.New("revoked")
	var answer error
	scheme := auth.JWT(set(), auth.WithCache(0),
		auth.WithVerify(func(_ context.Context, id *auth.Identity) error {
			id.Subject += "!"
			id.Expires = time.Time{}
			return nil
		}),
		auth.WithVerify(func(_ context.Context, id *auth.Identity) error { return answer }))
	mux, header := guarded(auth.Schemes{"Bearer": scheme}), bearer(time.Hour)
	assert.Equal(t, "greg! by Bearer", ways["message"](t, t.Context(), mux, "/private/it", header).body)
	answer = revoked
	assert.Equal(t, 401, ways["message"](t, t.Context(), mux, "/private/it", header).status)
	assert.Contains(t, log.take(), "reason=revoked")
}

// TestU02SourceIsDown checks that an error of the KeySource is answered with 503, not with 401, and logged as an error.
func TestU02SourceIsDown(t *testing.T) {
	each(t, func(t *testing.T, ask way) {
		log := logs(t)
		var down atomic.Pointer[error]
		keys := source(func(context.Context, string) (crypto.PublicKey, error) {
			if err := down.Load(); err != nil {
				return nil, *err
			}
			return edKey.Public(), nil
		})
		schemes := auth.Schemes{"Bearer": auth.JWT(keys)}
		mux, header := guarded(schemes), bearer(time.Hour)
		conn := open(t, schemes, header)
		other := bearer(2 * time.Hour)
		for _, err := range []error{errors.New("no route to host"), context.DeadlineExceeded} {
			down.Store(&err)
			for _, call := range []func() answer{
				func() answer { return ask(t, t.Context(), mux, "/private/it", header) }, // this token is in the cache
				func() answer { return ask(t, t.Context(), mux, "/private/it", other) },
				func() answer { return ask(t, conn, mux, "/private/it", nil) },
			} {
				got := call()
				assert.Equal(t, 503, got.status)
				assert.Equal(t, "Service Unavailable\n", got.body)
				assert.Empty(t, got.header.Values("WWW-Authenticate"))
				lines := log.lines()
				require.Len(t, lines, 1)
				assert.Contains(t, lines[0], "level=ERROR")
				assert.Contains(t, lines[0], `the keys are not available: `+err.Error())
			}
			_, refused := schemes.Authenticate(t.Context(), "Bearer", other.Get("Authorization")[len("Bearer "):])
			assert.EqualError(t, refused, "Service Unavailable")
			assert.ErrorIs(t, refused, err)
			require.Len(t, log.lines(), 1)
		}
		down.Store(nil)
		assert.Equal(t, 200, ask(t, conn, mux, "/private/it", header).status)
	})
}

// TestU02RotationWhileVerifying rotates keys while other goroutines verify tokens. A token with a wrong signature is always
// refused. Once the rotation has ended, the keys that are then set decide.
func TestU02RotationWhileVerifying(t *testing.T) {
	logs(t)
	keys := set()
	schemes := auth.Schemes{"Bearer": auth.JWT(keys)}
	mux, header := guarded(schemes), bearer(time.Hour)
	conn := open(t, schemes, header)
	stop := make(chan struct{})
	var rotating, asking sync.WaitGroup
	for _, change := range []func(){
		func() { keys.Set("ed", otherEdKey.Public()); keys.Set("ed", edKey.Public()) },
		func() { keys.Delete("p256"); keys.Set("p256", p256Key.Public()) },
		func() { assert.NoError(t, keys.LoadJWKS([]byte(`{"keys":[`+jwkOf("ed", edKey)+`]}`))) },
	} {
		rotating.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					change()
				}
			}
		})
	}
	stranger := authorization("Bearer " + sign("EdDSA", M{"alg": "EdDSA", "kid": "p256"}, M{"sub": "greg", "exp": time.Now().Unix() + 60}, edKey))
	for range 8 {
		asking.Go(func() {
			for range 200 {
				assert.Contains(t, []int{200, 401}, ways["message"](t, t.Context(), mux, "/private/it", header).status)
				assert.Contains(t, []int{200, 401}, ways["message"](t, conn, mux, "/private/it", nil).status)
				assert.Equal(t, 401, ways["message"](t, t.Context(), mux, "/private/it", stranger).status)
			}
		})
	}
	asking.Wait()
	close(stop)
	rotating.Wait()
	keys.Set("ed", otherEdKey.Public())
	assert.Equal(t, 401, ways["message"](t, t.Context(), mux, "/private/it", header).status)
	assert.Equal(t, 401, ways["message"](t, conn, mux, "/private/it", nil).status)
	keys.Set("ed", edKey.Public())
	assert.Equal(t, 200, ways["message"](t, t.Context(), mux, "/private/it", header).status)
	assert.Equal(t, 200, ways["message"](t, conn, mux, "/private/it", nil).status)
}

// TestU02VerifyMakesAnotherIdentity checks that an identity that WithVerify has replaced still ends with the token's key.
func TestU02VerifyMakesAnotherIdentity(t *testing.T) {
	logs(t)
	keys := set()
	schemes := auth.Schemes{"Bearer": auth.JWT(keys, auth.WithVerify(func(_ context.Context, id *auth.Identity) error {
		*id = auth.Identity{Subject: "another"}
		return nil
	}))}
	mux, header := guarded(schemes), bearer(time.Hour)
	conn := open(t, schemes, header)
	assert.Equal(t, "another by Bearer", ways["message"](t, t.Context(), mux, "/private/it", header).body)
	assert.Equal(t, "another by Bearer", ways["message"](t, conn, mux, "/private/it", nil).body)
	keys.Delete("ed")
	assert.Equal(t, 401, ways["message"](t, t.Context(), mux, "/private/it", header).status)
	assert.Equal(t, 401, ways["message"](t, conn, mux, "/private/it", nil).status)
}

// TestU02KeysAreCopied writes a new key over the memory of the old one. Keys is not affected, because it has a copy. A KeySource
// that returns the overwritten key makes its connections fail with 401.
func TestU02KeysAreCopied(t *testing.T) {
	for name, test := range map[string]struct {
		alg  string
		sign any
		key  crypto.PublicKey
		over func(key crypto.PublicKey)
	}{
		"Ed25519": {"EdDSA", edKey, slices.Clone(edKey.Public().(ed25519.PublicKey)), func(key crypto.PublicKey) {
			copy(key.(ed25519.PublicKey), otherEdKey.Public().(ed25519.PublicKey))
		}},
		"EC":  {"ES256", p256Key, &ecdsa.PublicKey{}, func(key crypto.PublicKey) { *key.(*ecdsa.PublicKey) = newEC(elliptic.P256()).PublicKey }},
		"RSA": {"RS256", rsaKey, &rsa.PublicKey{}, func(key crypto.PublicKey) { *key.(*rsa.PublicKey) = newRSA(2048).PublicKey }},
	} {
		t.Run(name, func(t *testing.T) {
			logs(t)
			switch key := test.key.(type) {
			case *ecdsa.PublicKey:
				*key = p256Key.PublicKey
			case *rsa.PublicKey:
				*key = rsaKey.PublicKey
			}
			token := sign(test.alg, M{"alg": test.alg, "kid": "k"}, M{"sub": "greg", "exp": farAway}, test.sign)
			keys := new(auth.Keys)
			keys.Set("k", test.key)
			careless := source(func(context.Context, string) (crypto.PublicKey, error) { return test.key, nil })
			copied, shared := auth.Schemes{"Bearer": auth.JWT(keys)}, auth.Schemes{"Bearer": auth.JWT(careless)}
			mux, header := guarded(copied), authorization("Bearer "+token)
			conn, carelessConn := open(t, copied, header), open(t, shared, header)
			test.over(test.key)
			assert.Equal(t, 200, ways["message"](t, conn, mux, "/private/it", nil).status)
			assert.Equal(t, 401, ways["message"](t, carelessConn, guarded(shared), "/private/it", nil).status)
		})
	}
}

// link is a session.Link that accepts every push.
type link struct{ _ int }

func (*link) Push(context.Context, *message.Message) error { return nil }
func (*link) Close(context.Context, string) error          { return nil }

// TestU02Subject checks that session.Subject returns the subject of a context's identity. Transports compare it with the
// session's user.
func TestU02Subject(t *testing.T) {
	logs(t)
	schemes := auth.Schemes{"Key": auth.Secret(map[string]string{"ann": "a", "bob": "b"})}
	conn := open(t, schemes, authorization("Key ann:a"))
	assert.Equal(t, "ann", session.Subject(conn))
	next, err := schemes.Authenticate(conn, "Key", "bob:b")
	require.NoError(t, err)
	assert.Equal(t, "bob", session.Subject(next))
	assert.Empty(t, session.Subject(open(t, schemes, nil)))
}

// TestU02AnotherSubjectInASession checks that a message is refused if its credential is for a subject other than the session's
// user. With such a credential, ann's session would go on after her identity has expired.
func TestU02AnotherSubjectInASession(t *testing.T) {
	log := logs(t)
	mux := guarded(auth.Schemes{"Key": auth.Secret(map[string]string{"ann": "a", "bob": "b"})})
	pool := new(session.Pool)
	s := pool.Open(new(link))
	defer s.Detach()
	ctx := session.NewContext(t.Context(), s)
	ask := func(credential string) answer {
		return ways["message"](t, ctx, mux, "/private/it", authorization("Key "+credential))
	}
	assert.Equal(t, "bob by Key", ask("bob:b").body, "nobody's session yet")
	require.NoError(t, s.Bind(ctx, "ann"))
	assert.Equal(t, "ann by Key", ask("ann:a").body)
	assert.Equal(t, 401, ask("bob:b").status)
	assert.Contains(t, log.take(), "the subject is another than the session's user")
}
