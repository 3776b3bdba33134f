// Package incoming finds the context that a request came with, which ends when its client goes away, behind the one that
// kami makes of it, which by default does not.
package incoming

import "context"

// Key is the key under which kami's contexts have the one that their request came with.
type Key struct{}

// Context returns the context that the request came with whose context ctx is or derives from: ctx itself if that is none
// of kami's.
func Context(ctx context.Context) context.Context {
	if in, ok := ctx.Value(Key{}).(context.Context); ok {
		return in
	}
	return ctx
}
