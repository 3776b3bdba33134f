package cluster

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Query selects servers. An empty field matches all.
type Query struct {
	Type string
	// Version is exact, such as "1.2.3", or a constraint, such as "1.x", "~1.2", "^1.2.3" or ">= 1.5.5, < 2". A constraint takes no
	// pre-releases, unless it names one.
	Version string
	ID      string
	// Metadata must be part of a server's metadata.
	Metadata map[string]string
}

// Find returns the servers that match, this one included, sorted by type and id. It reads the local view, and does not wait. The error is
// [ErrNone] if no server matches.
func (s *Server) Find(_ context.Context, q Query) ([]Instance, error) {
	matches, err := q.compile()
	if err != nil {
		return nil, err
	}
	if s.hasLeft() {
		return nil, ErrLeft
	}
	members := s.view.ofType(q.Type)
	if q.Type == "" {
		members = s.view.all()
	}
	// optimization: an Instance is nine times as large as a pointer, so only matching servers are copied (BenchmarkView).
	matching := make([]*member, 0, len(members))
	for _, m := range members {
		if matches(m) {
			matching = append(matching, m)
		}
	}
	if len(matching) == 0 {
		return nil, fmt.Errorf("%w %+v", ErrNone, q)
	}
	found := make([]Instance, len(matching))
	for i, m := range matching {
		found[i] = m.Instance
	}
	return found, nil
}

// compile returns what a server must be. It may be called by one goroutine at a time.
func (q Query) compile() (func(*member) bool, error) {
	hasVersion, err := q.versions()
	if err != nil {
		return nil, err
	}
	type pair struct{ key, value string }
	var metadata []pair
	for key, value := range q.Metadata {
		metadata = append(metadata, pair{key, value})
	}
	return func(m *member) bool {
		if q.Type != "" && m.Type != q.Type || q.ID != "" && m.ID != q.ID || !hasVersion(m) {
			return false
		}
		for _, want := range metadata {
			if got, ok := m.Metadata[want.key]; !ok || got != want.value {
				return false
			}
		}
		return true
	}, nil
}

// versions returns the function that selects versions.
func (q Query) versions() (func(*member) bool, error) {
	text := strings.TrimSpace(q.Version)
	if text == "" {
		return func(*member) bool { return true }, nil
	}
	constraint, err := semver.NewConstraint(text)
	if err != nil {
		return nil, fmt.Errorf("cluster: the version %.80q of a query must be exact, or a constraint such as 1.x: %w", q.Version, err)
	}
	// optimization: most servers of a type have one of a few versions (BenchmarkView).
	known := make(map[string]bool)
	return func(m *member) bool {
		ok, seen := known[m.Version]
		if !seen {
			ok = m.version != nil && constraint.Check(m.version)
			known[m.Version] = ok
		}
		return ok
	}, nil
}

// Watch returns an event Joined for each server that matches, and then all further events of such servers. The sequence ends with an error:
// the query's, the cause of ctx's end, or [ErrLeft]. A slow consumer loses no event.
func (s *Server) Watch(ctx context.Context, q Query) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		matches, err := q.compile()
		if err != nil {
			yield(Event{}, err)
			return
		}
		w := s.view.watch(matches)
		defer s.view.unwatch(w)
		for {
			for _, e := range s.view.takeEvents(w) {
				if ctx.Err() != nil {
					break
				}
				if !yield(e, nil) {
					return
				}
			}
			select {
			case <-w.woken:
			case <-s.left:
				yield(Event{}, ErrLeft)
				return
			case <-ctx.Done():
				yield(Event{}, withCause(ctx, fmt.Errorf("cluster: watching")))
				return
			}
		}
	}
}

// hasLeft reports whether Leave has ended, and isLeaving whether it has begun.
func (s *Server) hasLeft() bool   { return isClosed(s.left) }
func (s *Server) isLeaving() bool { return isClosed(s.leaving) }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
