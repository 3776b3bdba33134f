package session

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/guregu/kami/message"
)

type silent struct{ _ int }

func (*silent) Push(context.Context, *message.Message) error { return nil }
func (*silent) Close(context.Context, string) error          { return nil }

// TestS06ATimerThatIsLate checks that the timer of an earlier pause does not end a session that has been resumed, or that waits again.
func TestS06ATimerThatIsLate(t *testing.T) {
	pool := Pool{ResumeWithin: time.Hour}
	s := pool.Open(new(silent))
	token := s.Token()
	s.Detach()
	late := s.pause
	_, _, recovered := pool.Resume(token, 0, new(silent))
	assert.True(t, recovered)
	s.expire(late)
	assert.Equal(t, 1, pool.Len())
	s.Detach()
	s.expire(late)
	assert.Equal(t, 1, pool.Len())
	s.expire(s.pause)
	assert.Zero(t, pool.Len())
}
