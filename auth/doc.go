// Package auth identifies the sender of a request: by JSON Web Tokens, by shared keys, or by your own schemes. It does so for HTTP, for
// messages and for the peers of a connection.
//
//	keys := new(auth.Keys)
//	if err := keys.LoadJWKS(jwks); err != nil { // again whenever the keys change
//		return err
//	}
//	schemes := auth.Schemes{
//		"Bearer": auth.JWT(keys, auth.WithIssuer("https://id.example.com"), auth.WithAudience("chat")),
//		"Key":    auth.Secret(map[string]string{"billing": os.Getenv("BILLING_KEY")}),
//	}
//	mux.Use("/", schemes.Identify)            // a wrong credential is 401, none passes
//	mux.Use("/private/", auth.Require)        // none is 401 here
//	mux.Get("/private/me", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
//		fmt.Fprintln(w, auth.FromContext(ctx).Subject)
//	})
//
// # Authentication
//
// A client sends its credential in the header Authorization: a scheme, a space and the scheme's own text. [Schemes.Identify] puts an [Identity] in the context; [Require] and [RequireAudience] guard scopes with it.
//
//	credential     on /          on /private/   in the log
//	none           passes        401            at Debug
//	right          passes        passes
//	wrong          401           401            the reason, at Info
//	unknowable     503           503            the reason, at Error
//	expired since  passes        401            the reason, at Info
//	key replaced   passes        401            the reason, at Info
//
// The client gets the status and the challenges of WWW-Authenticate, and never the reason. Credentials are not logged, nor are names of
// unknown schemes, which may be credentials in the wrong place. A credential is unknowable if a [KeySource] or a [Scheme] itself
// fails: after a 401 the client would throw a good credential away.
//
// # Connections
//
// A peer is authenticated as its connection is opened, by the same header or by Schemes.Authenticate, and again whenever it sends
// another credential in band:
//
//	node := &peer.Node{Name: "chat", Version: "1.0.0", Handler: mux, Authenticate: schemes.Authenticate}
//	conn, err := node.Dial(ctx, url, peer.Token(issuer.Source(auth.Identity{Subject: "billing"}, 10*time.Minute)))
//
// The messages of the connection have its Identity. Require checks it again for each message: an identity that has expired, or whose
// key has been replaced or deleted in its KeySource, is a 401 until the peer sends another credential. Routes without Require still
// answer.
//
// # Tokens
//
// [JWT] accepts tokens that are signed with the key that they name by "kid", and that expire: a token without "exp" is refused, because
// it could only be revoked together with its key. [Issuer] makes such tokens. [Keys] replaces keys at run time.
// To rotate a key, publish the new one next to the old; sign with the new one; delete the old one when its last token has expired,
// or at once if it has leaked. See [JWT] for all that is refused.
//
// # Your own schemes
//
// A [Scheme] is a function. For example, a Scheme for Basic decodes the credential and asks another Scheme or a table of password hashes.
// Its error says whether the credential is wrong, 401, or could not be checked, 503.
package auth
