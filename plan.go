package kami

import (
	"github.com/guregu/kami/internal/scopes"
	"github.com/guregu/kami/treemux"
)

// plan is all that is registered on a Mux at one time. It is immutable once it is live. The next plan shares the parts that
// have not changed.
type plan struct {
	routes             treemux.Tree[*route]
	depth              int            // segments of the longest scope
	scoped             bool           // whether there is any middleware or afterware
	noMethodNotAllowed bool           // set by EnableMethodNotAllowed(false)
	unrouted           *route         // the route of requests that no route answers: it has the Mux
	notFound           ContextHandler // nil for the default
	methodNotAllowed   ContextHandler // nil for the default

	middleware scopes.Set[*middleware]
	afterware  scopes.Set[*afterware]
}

// plan returns what is registered now. A nil Mux has an empty plan.
func (m *Mux) plan() *plan {
	if m == nil {
		m = New()
	}
	return m.registered()
}

func (m *Mux) registered() *plan {
	if live := m.live.Load(); live != nil {
		return live
	}
	return m.publish()
}

// publish makes a plan of the draft.
func (m *Mux) publish() *plan {
	m.changing.Lock()
	defer m.changing.Unlock()
	if live := m.live.Load(); live != nil { // another request was faster
		return live
	}
	next := m.draft
	next.routes = m.routes.Tree()
	next.depth = max(next.middleware.Depth, next.afterware.Depth)
	next.unrouted = &route{mux: m}
	next.scoped = next.depth > 0 || len(next.middleware.Top.Steps)+len(next.afterware.Top.Steps) > 0
	m.live.Store(&next)
	return &next
}

// change changes what is registered. If the edit fails nothing has changed.
func (m *Mux) change(edit func() error) error {
	m.changing.Lock()
	defer m.changing.Unlock()
	if err := edit(); err != nil {
		return err
	}
	m.live.Store(nil)
	return nil
}

// mustChange is change for an edit that cannot fail.
func (m *Mux) mustChange(edit func()) { _ = m.change(func() error { edit(); return nil }) }

func (m *Mux) reset() {
	m.mustChange(func() { m.draft, m.routes, m.common = plan{}, treemux.Draft[*route]{}, common{} })
}
