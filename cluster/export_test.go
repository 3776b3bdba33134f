package cluster

import "time"

// SetBeats sets how often servers announce themselves, and streams say that they are there, before any has joined. It returns what
// sets them back.
func SetBeats(presence, stream time.Duration) (reset func()) {
	oldPresence, oldStream := beat, streamBeat
	beat, streamBeat = presence, stream
	return func() { beat, streamBeat = oldPresence, oldStream }
}
