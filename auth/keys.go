package auth

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// KeySource has the public keys that verify tokens. Key is called for each token and for each message that [Require] guards, by many
// goroutines at once: a source that gets its keys from elsewhere must cache them.
type KeySource interface {
	// Key returns the key with that id, which comes from a token that is not verified yet. A nil key, or an error that wraps
	// ErrUnknownKey, says that there is none. Any other error says that the source has failed, and is answered with 503.
	Key(ctx context.Context, kid string) (crypto.PublicKey, error)
}

// ErrUnknownKey is the error of a [KeySource] that has no key with that id.
var ErrUnknownKey = errors.New("auth: there is no such key")

// Keys is a [KeySource] of keys in memory, by their id. The zero value is empty and ready to use. All methods may be called at any
// time, also while serving: a change counts for the next message. A Keys must not be copied.
type Keys struct {
	mu      sync.Mutex // held by writers
	entries atomic.Pointer[map[string]entry]
}

// entry is a key, and the only algorithm that it may be used with: "" for all algorithms of its kind.
type entry struct {
	key crypto.PublicKey
	alg string
}

// Key returns the key with that id.
func (k *Keys) Key(_ context.Context, kid string) (crypto.PublicKey, error) {
	if e, ok := k.entry(kid); ok {
		return e.key, nil
	}
	return nil, ErrUnknownKey
}

// Set adds a copy of a public key, or replaces the one with that id. It panics if kid is empty, or if JWT could not use
// the key. Use [Keys.LoadJWKS], which returns an error, for keys from outside.
func (k *Keys) Set(kid string, key crypto.PublicKey) {
	if kid == "" {
		panic("auth: Keys.Set: the kid is empty, and a token without one is refused")
	}
	if _, err := kindOf(key); err != nil {
		panic(fmt.Sprintf("auth: Keys.Set(%q): %v", kid, err))
	}
	key = copyOf(key)
	k.change(func(entries map[string]entry) { entries[kid] = entry{key: key} })
}

// Delete removes a key, if there is one. Its tokens are no longer accepted.
func (k *Keys) Delete(kid string) {
	k.change(func(entries map[string]entry) { delete(entries, kid) })
}

func (k *Keys) entry(kid string) (entry, bool) {
	entries := k.entries.Load()
	if entries == nil {
		return entry{}, false
	}
	e, ok := (*entries)[kid]
	return e, ok
}

// change replaces the keys by a changed copy.
func (k *Keys) change(change func(map[string]entry)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	next := make(map[string]entry)
	if entries := k.entries.Load(); entries != nil {
		maps.Copy(next, *entries)
	}
	change(next)
	k.entries.Store(&next)
}

// proof is the key that an Identity rests on.
type proof struct {
	keys     KeySource
	kid, alg string
	key      crypto.PublicKey
	leeway   time.Duration
}

var errRotated = errors.New("the key of the token has been replaced")

// check returns an error unless the source still has the same key.
func (p *proof) check(ctx context.Context) error {
	if p == nil {
		return nil
	}
	key, err := p.current(ctx)
	if err != nil {
		return err
	}
	if same, ok := p.key.(interface{ Equal(crypto.PublicKey) bool }); !ok || !same.Equal(key) {
		return fmt.Errorf("kid %.64q: %w", p.kid, errRotated)
	}
	return nil
}

// current returns the key that the source has now. It asks the source once, so that the key and its algorithm belong together.
func (p *proof) current(ctx context.Context) (crypto.PublicKey, error) {
	if own, ok := p.keys.(*Keys); ok {
		e, ok := own.entry(p.kid)
		switch {
		case !ok:
			return nil, fmt.Errorf("kid %.64q: %w", p.kid, ErrUnknownKey)
		case e.alg != "" && e.alg != p.alg:
			return nil, fmt.Errorf("kid %.64q: the key is for %s, and the token's algorithm is %s", p.kid, e.alg, p.alg)
		}
		return e.key, nil
	}
	key, err := p.keys.Key(ctx, p.kid)
	switch {
	case err == nil && key == nil || errors.Is(err, ErrUnknownKey):
		return nil, fmt.Errorf("kid %.64q: %w", p.kid, ErrUnknownKey)
	case err != nil:
		return nil, unavailable{fmt.Errorf("kid %.64q: the keys are not available: %w", p.kid, err)}
	}
	return key, nil
}
