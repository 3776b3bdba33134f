package session

import "context"

type (
	sessionKey struct{}
	subjectKey struct{}
	seqKey     struct{}
)

// FromContext returns the session of the client that has sent a message, from the context of its handler. It returns nil where
// nobody is known.
func FromContext(ctx context.Context) *Session {
	s, _ := ctx.Value(sessionKey{}).(*Session)
	return s
}

// NewContext returns a context with the session. It is for transports and tests.
func NewContext(ctx context.Context, s *Session) context.Context {
	return context.WithValue(ctx, sessionKey{}, s)
}

// WithSubject returns a context that says who was authenticated. Authentication calls it, and transports compare the subject with
// the session's UID.
func WithSubject(ctx context.Context, subject string) context.Context {
	return context.WithValue(ctx, subjectKey{}, subject)
}

// Subject returns who was authenticated, or "" if nobody was.
func Subject(ctx context.Context) string {
	subject, _ := ctx.Value(subjectKey{}).(string)
	return subject
}

// Seq returns the number of the push that a Link has been given with this context. It is for transports. It returns 0 where the
// context is no such one.
func Seq(ctx context.Context) uint64 {
	seq, _ := ctx.Value(seqKey{}).(uint64)
	return seq
}
