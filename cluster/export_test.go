package cluster

import "time"

// SetBeats sets how often servers announce themselves and streams send heartbeats. It must be called before a server joins. It
// returns a function that restores the old settings.
func SetBeats(presence, stream time.Duration) (reset func()) {
	old := defaultBeats
	defaultBeats = beats{presence, stream}
	return func() { defaultBeats = old }
}
