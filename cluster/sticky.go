package cluster

import (
	"context"
	"hash/fnv"

	"github.com/guregu/kami/message"
)

// Sticky returns a Caller that calls the same server of a route's type for the same key, as long as that server lives. It chooses by
// rendezvous hashing over the local view, so a server that joins or leaves changes only its share of the keys. Two callers whose views
// differ for a moment may choose different servers: Sticky is no lock.
func (s *Server) Sticky(key func(context.Context) string) message.Caller {
	if key == nil {
		panic("cluster: Sticky: the key must not be nil")
	}
	return sticky{s, key}
}

type sticky struct {
	s   *Server
	key func(context.Context) string
}

func (c sticky) Call(ctx context.Context, m *message.Message) (*message.Reply, error) {
	return c.s.call(ctx, &calling{message: m, tree: remotesTree, choose: func(members []*member) (*member, error) {
		return choose(members, c.key(ctx)), nil
	}})
}

// choose returns the server for a key: the one with the highest hash of key and server.
func choose(members []*member, key string) (best *member) {
	var highest uint64
	for _, m := range members {
		if weight := weigh(key, m.ID); best == nil || weight > highest {
			best, highest = m, weight
		}
	}
	return best
}

// weigh returns the same hash on all servers.
func weigh(key, id string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key))
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(id))
	// FNV alone leaves the high bits of similar texts similar: mix them, as SplitMix64 does.
	x := h.Sum64()
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
