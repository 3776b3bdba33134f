package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
)

var errWrongKey = errors.New("the subject is unknown, or the key is wrong")

// Secret returns a Scheme of shared keys by subject. Its credential is "subject:key". It is for servers that know each other. Keys must
// be random and long, because a short key can be guessed.
//
//	schemes := auth.Schemes{"Key": auth.Secret(map[string]string{"billing": os.Getenv("BILLING_KEY")})}
//
// A subject with an empty key, for example of an environment variable that is not set, is refused. The time that a refusal takes does not
// tell whether the subject is known, or anything about its key. The map is copied. It panics if a subject is empty or has a colon.
func Secret(keys map[string]string) Scheme {
	sums := make(map[string][sha256.Size]byte, len(keys))
	for subject, key := range keys {
		if subject == "" || strings.Contains(subject, ":") {
			panic(fmt.Sprintf("auth: Secret: the subject %q is empty or has a colon, so that no credential could name it", subject))
		}
		if key != "" {
			sums[subject] = sha256.Sum256([]byte(key))
		}
	}
	var nobody [sha256.Size]byte // compared if the subject is unknown
	_, _ = rand.Read(nobody[:])  // Read never fails
	return func(_ context.Context, credential string) (*Identity, error) {
		subject, key, _ := strings.Cut(credential, ":")
		want, known := sums[subject]
		if !known {
			want = nobody
		}
		got := sha256.Sum256([]byte(key))
		if same := subtle.ConstantTimeCompare(got[:], want[:]) == 1; !same || !known {
			return nil, errWrongKey
		}
		return &Identity{Subject: subject}, nil
	}
}
