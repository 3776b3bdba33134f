package cluster

import "time"

// SetBeats sets how often servers announce themselves, and streams say that they are there, before any has joined. It returns what
// sets them back.
func SetBeats(presence, stream time.Duration) (reset func()) {
	old := defaultBeats
	defaultBeats = beats{presence, stream}
	return func() { defaultBeats = old }
}
