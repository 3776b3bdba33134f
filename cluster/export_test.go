package cluster

import "time"

// SetBeats sets how often servers announce themselves, and how often streams say that they still run. Call it before a server joins.
// It returns a function that restores the old values.
func SetBeats(presence, stream time.Duration) (reset func()) {
	old := defaultBeats
	defaultBeats = beats{presence, stream}
	return func() { defaultBeats = old }
}
