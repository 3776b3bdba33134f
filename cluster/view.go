package cluster

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Masterminds/semver/v3"
)

// view has the servers that this one knows. Reading it takes no lock.
type view struct {
	byID    sync.Map                             // id -> *member
	byType  atomic.Pointer[map[string][]*member] // sorted by id; the map and its lists do not change
	changes atomic.Uint64                        // counts the news

	changing sync.Mutex
	gone     map[string]departure // servers that have left lately, because older news of them may still come
	watchers map[*watcher]struct{}
	lost     chan struct{} // see loss; nil if no goroutine waits for it
}

// member is a server in the view.
type member struct {
	Instance
	version *semver.Version // nil if it is invalid
	born    int64           // when it began to join, in nanoseconds
	seen    atomic.Int64    // when it was last heard of, as by since
	heard   atomic.Uint64   // the number of changes then
	linked  int64           // when its connection to NATS was made, as it says; guarded by the view
	back    atomic.Uint64   // the number of changes when it said that it has another one; 0 if it has the first
}

// departure is a server's that was born at a time, and when it was heard of.
type departure struct{ born, at int64 }

// same reports whether both are the same run of the same server.
func (m *member) same(other *member) bool { return m.ID == other.ID && m.born == other.born }

var start = time.Now()

// since is a clock that does not jump.
func since() int64 { return int64(time.Since(start)) }

// ofType returns the servers of a type. They must not be changed.
func (v *view) ofType(serverType string) []*member {
	if all := v.byType.Load(); all != nil {
		return (*all)[serverType]
	}
	return nil
}

// member returns a server by its id, or nil.
func (v *view) member(id string) *member {
	if m, ok := v.byID.Load(id); ok {
		return m.(*member)
	}
	return nil
}

// all returns all servers.
func (v *view) all() (members []*member) {
	if all := v.byType.Load(); all != nil {
		for _, of := range *all {
			members = append(members, of...)
		}
	}
	return members
}

// hear puts a server into the view.
func (v *view) hear(m *member) {
	v.changing.Lock()
	defer v.changing.Unlock()
	heard := v.changes.Add(1)
	known := v.member(m.ID)
	if left, ok := v.gone[m.ID]; ok && left.born >= m.born {
		return
	}
	if known != nil && known.born > m.born {
		return
	}
	if known != nil && known.same(m) {
		known.seen.Store(since())
		known.heard.Store(heard)
		if m.linked > known.linked {
			known.linked = m.linked
			known.back.Store(heard)
			v.wake()
		}
		return
	}
	if known != nil {
		v.remove(known, Lost)
	}
	m.seen.Store(since())
	m.heard.Store(heard)
	v.byID.Store(m.ID, m)
	v.change(m.Type, func(members []*member) []*member {
		at, _ := slices.BinarySearchFunc(members, m, byID)
		return slices.Concat(members[:at], []*member{m}, members[at:])
	})
	v.tell(Joined, m)
}

func byID(a, b *member) int { return cmp.Compare(a.ID, b.ID) }

// change replaces the servers of a type.
func (v *view) change(serverType string, with func([]*member) []*member) {
	all := make(map[string][]*member, 1)
	if old := v.byType.Load(); old != nil {
		maps.Copy(all, *old)
	}
	if all[serverType] = with(all[serverType]); len(all[serverType]) == 0 {
		delete(all, serverType)
	}
	v.byType.Store(&all)
}

// remove takes a server out of the view.
func (v *view) remove(m *member, kind EventKind) {
	if v.member(m.ID) != m {
		return
	}
	v.byID.Delete(m.ID)
	v.change(m.Type, func(members []*member) []*member {
		at, _ := slices.BinarySearchFunc(members, m, byID)
		return slices.Concat(members[:at], members[at+1:])
	})
	v.wake()
	v.tell(kind, m)
}

// wake wakes the goroutines that wait for a loss.
func (v *view) wake() {
	if v.lost != nil {
		close(v.lost)
		v.lost = nil
	}
}

// loss returns a channel that is closed when the next server goes, does not listen, or has connected to NATS anew.
func (v *view) loss() <-chan struct{} {
	v.changing.Lock()
	defer v.changing.Unlock()
	if v.lost == nil {
		v.lost = make(chan struct{})
	}
	return v.lost
}

// leave takes a server out that has said goodbye.
func (v *view) leave(id string, born int64) {
	v.changing.Lock()
	defer v.changing.Unlock()
	v.changes.Add(1)
	if v.gone == nil {
		v.gone = make(map[string]departure)
	}
	v.gone[id] = departure{born, since()}
	if m := v.member(id); m != nil && m.born <= born {
		v.remove(m, Left)
	}
}

// lose takes out servers that do not listen, unless there was news of them after that number of changes.
func (v *view) lose(members []*member, after uint64) {
	v.changing.Lock()
	defer v.changing.Unlock()
	for _, m := range members {
		if m.heard.Load() <= after {
			v.remove(m, Lost)
		}
	}
	v.wake()
}

// expire takes out the servers, except one, without news for so long. It also forgets servers that left before that.
func (v *view) expire(silence time.Duration, but string) {
	limit := since() - int64(silence)
	var silent []*member
	for _, m := range v.all() {
		if m.ID != but && m.seen.Load() < limit {
			silent = append(silent, m)
		}
	}
	v.lose(silent, math.MaxUint64)
	v.changing.Lock()
	defer v.changing.Unlock()
	maps.DeleteFunc(v.gone, func(_ string, d departure) bool { return d.at < limit })
}

// refresh makes all servers count as just heard of.
func (v *view) refresh() {
	for _, m := range v.all() {
		m.seen.Store(since())
	}
}

// watcher gets the events of a Watch.
type watcher struct {
	wants  func(*member) bool
	events []Event
	woken  chan struct{}
}

// watch returns a watcher that begins with an event for each server in the view.
func (v *view) watch(wants func(*member) bool) *watcher {
	w := &watcher{wants: wants, woken: make(chan struct{}, 1)}
	v.changing.Lock()
	defer v.changing.Unlock()
	for _, m := range v.all() {
		w.tell(Joined, m)
	}
	if v.watchers == nil {
		v.watchers = make(map[*watcher]struct{})
	}
	v.watchers[w] = struct{}{}
	return w
}

func (v *view) unwatch(w *watcher) {
	v.changing.Lock()
	defer v.changing.Unlock()
	delete(v.watchers, w)
}

// takeEvents returns the events since the last call.
func (v *view) takeEvents(w *watcher) (events []Event) {
	v.changing.Lock()
	defer v.changing.Unlock()
	events, w.events = w.events, nil
	return events
}

// tell tells all watchers.
func (v *view) tell(kind EventKind, m *member) {
	for w := range v.watchers {
		w.tell(kind, m)
	}
}

func (w *watcher) tell(kind EventKind, m *member) {
	if !w.wants(m) {
		return
	}
	w.events = append(w.events, Event{kind, m.Instance})
	select {
	case w.woken <- struct{}{}:
	default:
	}
}
