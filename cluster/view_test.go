package cluster

import (
	"fmt"
	"testing"
)

// BenchmarkView measures a join and a leave, and a Find, in a view with 1,000 servers.
func BenchmarkView(b *testing.B) {
	s := &Server{left: make(chan struct{})}
	for i := range 1000 {
		s.view.hear(newMember(Instance{ID: fmt.Sprint(i), Type: "room", Version: fmt.Sprintf("1.%d.0", i%5), Metadata: map[string]string{"region": "eu"}}, 1))
	}
	b.Run("join and leave", func(b *testing.B) {
		born := int64(1)
		for b.Loop() {
			born++
			s.view.hear(newMember(Instance{ID: "new", Type: "room", Version: "1.0.0"}, born))
			s.view.leave("new", born)
		}
	})
	b.Run("find", func(b *testing.B) {
		for b.Loop() {
			if found, err := s.Find(b.Context(), Query{Type: "room", Version: ">= 1.2", Metadata: map[string]string{"region": "eu"}}); err != nil || len(found) != 600 {
				b.Fatal(len(found), err)
			}
		}
	})
}

func TestD04LateNews(t *testing.T) {
	room := func(born int64) *member { return newMember(Instance{ID: "a", Type: "room", Version: "1.0.0"}, born) }
	var v view
	w := v.watch(func(*member) bool { return true })
	expect := func(what string, there bool, kinds ...EventKind) {
		t.Helper()
		if got := v.member("a") != nil && len(v.ofType("room")) == 1; got != there {
			t.Errorf("%s: there: %v, want %v", what, got, there)
		}
		events := v.takeEvents(w)
		if len(events) != len(kinds) {
			t.Fatalf("%s: got %v, want %v", what, events, kinds)
		}
		for i, e := range events {
			if e.Kind != kinds[i] {
				t.Errorf("%s: got %v, want %v", what, events, kinds)
			}
		}
	}
	v.hear(room(1))
	expect("an announcement", true, Joined)
	v.hear(room(1))
	expect("another one", true)
	v.leave("a", 1)
	expect("a goodbye", false, Left)
	v.hear(room(1))
	expect("an announcement that comes after the goodbye", false)
	v.hear(room(2))
	expect("a new run of the server", true, Joined)
	v.leave("a", 1)
	expect("the old run's goodbye", true)
	v.hear(room(3))
	expect("a run whose predecessor said no goodbye", true, Lost, Joined)
	v.hear(room(2))
	expect("an old announcement", true)

	after := v.changes.Load()
	v.hear(room(3))
	v.lose(v.ofType("room"), after)
	expect("a call of before the last announcement found nobody", true)
	v.lose(v.ofType("room"), v.changes.Load())
	expect("a call found nobody", false, Lost)
}
