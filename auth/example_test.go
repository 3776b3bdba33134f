package auth_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/auth"
)

// get sends a request and prints the answer.
func get(mux *kami.Mux, path, authorization string) {
	r, w := httptest.NewRequest("GET", path, nil), httptest.NewRecorder()
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	mux.ServeHTTP(w, r)
	fmt.Print(w.Code, " ", w.Body)
	for _, challenge := range w.Header().Values("WWW-Authenticate") {
		fmt.Println("   ", challenge)
	}
}

// greet is a handler that says who asks.
func greet(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	if id := auth.FromContext(ctx); id != nil {
		fmt.Fprintf(w, "Hello, %s!\n", id.Subject)
		return
	}
	fmt.Fprintln(w, "Hello!")
}

func Example() {
	_, private, _ := ed25519.GenerateKey(nil)
	keys := new(auth.Keys)
	keys.Set("2026-11", private.Public())
	schemes := auth.Schemes{
		"Bearer": auth.JWT(keys, auth.WithIssuer("login"), auth.WithAudience("chat")),
		"Key":    auth.Secret(map[string]string{"billing": "a long and random key"}),
	}

	mux := kami.New()
	mux.Use("/", schemes.Identify)
	mux.Use("/private/", auth.Require)
	mux.Get("/", greet)
	mux.Get("/private/", greet)

	issuer := &auth.Issuer{Name: "login", KeyID: "2026-11", Key: private}
	token, err := issuer.Token(context.Background(), auth.Identity{Subject: "ann", Audience: "chat"}, time.Hour)
	if err != nil {
		fmt.Println(err)
		return
	}
	get(mux, "/", "")
	get(mux, "/private/", "")
	get(mux, "/private/", "Bearer "+token)
	get(mux, "/private/", "Key billing:a long and random key")
	get(mux, "/", "Key billing:guessed")

	keys.Delete("2026-11") // no token that was signed with it counts any more
	get(mux, "/private/", "Bearer "+token)
	// Output:
	// 200 Hello!
	// 401 Unauthorized
	//     Bearer realm="restricted"
	//     Key realm="restricted"
	// 200 Hello, ann!
	// 200 Hello, billing!
	// 401 Unauthorized
	//     Bearer realm="restricted"
	//     Key realm="restricted"
	// 401 Unauthorized
	//     Bearer realm="restricted", error="invalid_token"
	//     Key realm="restricted"
}

// The scheme Basic of RFC 7617, by which browsers ask for a name and a password.
func ExampleScheme() {
	secret := auth.Secret(map[string]string{"ann": "correct horse battery staple"})
	basic := func(ctx context.Context, credential string) (*auth.Identity, error) {
		pair, err := base64.StdEncoding.DecodeString(credential)
		if err != nil {
			return nil, errors.New("the credential is not base64")
		}
		return secret(ctx, string(pair))
	}

	mux := kami.New()
	mux.Use("/", auth.Schemes{"Basic": basic}.Identify)
	mux.Use("/", auth.Require)
	mux.Get("/", greet)

	get(mux, "/", "")
	get(mux, "/", "Basic "+base64.StdEncoding.EncodeToString([]byte("ann:correct horse battery staple")))
	// Output:
	// 401 Unauthorized
	//     Basic realm="restricted", charset="UTF-8"
	// 200 Hello, ann!
}

// Tokens that may be used for a part of what there is.
func ExampleRequireAudience() {
	_, private, _ := ed25519.GenerateKey(nil)
	keys := new(auth.Keys)
	keys.Set("k", private.Public())
	issuer := &auth.Issuer{KeyID: "k", Key: private}

	mux := kami.New()
	mux.Use("/", auth.Schemes{"Bearer": auth.JWT(keys)}.Identify)
	mux.Use("/math/", auth.RequireAudience("/acme/production/math"))
	mux.Get("/math/", greet)

	for _, audience := range []string{"/acme", "/acme//math", "/acme/production/text"} {
		token, err := issuer.Token(context.Background(), auth.Identity{Subject: "ann", Audience: audience}, time.Hour)
		if err != nil {
			fmt.Println(err)
			return
		}
		get(mux, "/math/", "Bearer "+token)
	}
	// Output:
	// 200 Hello, ann!
	// 200 Hello, ann!
	// 403 Forbidden
}

// Tokens that can be taken back before they expire. How soon that counts is up to the cache.
func ExampleWithVerify() {
	_, private, _ := ed25519.GenerateKey(nil)
	keys := new(auth.Keys)
	keys.Set("k", private.Public())

	revoked := map[any]bool{"7": true} // by the claim jti
	schemes := auth.Schemes{"Bearer": auth.JWT(keys, auth.WithCache(10*time.Second),
		auth.WithVerify(func(_ context.Context, id *auth.Identity) error {
			if revoked[id.Claims["jti"]] {
				return errors.New("the token has been revoked")
			}
			return nil
		}))}

	mux := kami.New()
	mux.Use("/", schemes.Identify)
	mux.Get("/", greet)
	issuer := &auth.Issuer{KeyID: "k", Key: private}
	for _, id := range []string{"6", "7"} {
		token, err := issuer.Token(context.Background(), auth.Identity{Subject: "ann", Claims: map[string]any{"jti": id}}, time.Hour)
		if err != nil {
			fmt.Println(err)
			return
		}
		get(mux, "/", "Bearer "+token)
	}
	// Output:
	// 200 Hello, ann!
	// 401 Unauthorized
	//     Bearer realm="restricted", error="invalid_token"
}
