package session

import "context"

type (
	sessionKey struct{}
	subjectKey struct{}
	seqKey     struct{}
)

// FromContext returns the session of the client that has sent a message, from the context of its handler. It returns nil if there is
// none, as for plain HTTP.
func FromContext(ctx context.Context) *Session {
	s, _ := ctx.Value(sessionKey{}).(*Session)
	return s
}

// NewContext returns a context with the session. It is for transports and tests.
func NewContext(ctx context.Context, s *Session) context.Context {
	return context.WithValue(ctx, sessionKey{}, s)
}

// WithSubject returns a context with the authenticated user. Authentication calls it, and transports compare the subject with the session's
// UID.
func WithSubject(ctx context.Context, subject string) context.Context {
	return context.WithValue(ctx, subjectKey{}, subject)
}

// Subject returns the authenticated user of a context, or "".
func Subject(ctx context.Context) string {
	subject, _ := ctx.Value(subjectKey{}).(string)
	return subject
}

// Seq returns the number of the push that a Link gets with this context. It returns 0 for any other context. It is for transports.
func Seq(ctx context.Context) uint64 {
	seq, _ := ctx.Value(seqKey{}).(uint64)
	return seq
}
