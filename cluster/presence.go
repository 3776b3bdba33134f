package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/nats-io/nats.go"
)

// presence is a server's announcement of itself.
type presence struct {
	ID       string            `json:"id"`
	Type     string            `json:"type"`
	Version  string            `json:"version"`
	URL      string            `json:"url,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
	Born     int64             `json:"born"`
	Linked   int64             `json:"linked,omitempty"` // when its connection to NATS was made anew, in nanoseconds
	Says     string            `json:"says"`
}

const (
	here = "here"
	bye  = "bye"
)

// newMember returns a server for the view.
func newMember(i Instance, born int64) *member {
	version, _ := semver.NewVersion(i.Version)
	return &member{Instance: i, version: version, born: born}
}

// announce announces this server to all servers. It announces nothing after a goodbye.
func (s *Server) announce(says string) error {
	s.announcing.Lock()
	defer s.announcing.Unlock()
	if s.saidBye {
		return nil
	}
	s.saidBye = says == bye
	i := s.self.Instance
	body, err := json.Marshal(presence{i.ID, i.Type, i.Version, i.URL, i.Metadata, s.self.born, s.linked, says})
	if err != nil {
		return err
	}
	return s.publish(s.names.presence(i.Type, i.ID), "", nil, body)
}

// keepAnnouncing announces the server from time to time, takes servers that do not out of the view, and watches the connection.
func (s *Server) keepAnnouncing() {
	ticker := time.NewTicker(s.beats.presence)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if s.nc.IsConnected() {
				s.logError("announcing", s.announce(here))
				s.view.expire(2*s.beats.presence+s.beats.presence/2, s.cfg.ID)
			}
		case status := <-s.statuses:
			s.hearStatus(status)
		case <-s.leaving:
			return
		}
	}
}

// hearStatus acts on a change of the connection. The answers to calls that were under way are lost.
func (s *Server) hearStatus(status nats.Status) {
	switch status {
	case nats.RECONNECTING, nats.CLOSED:
		s.inbox.fail("", errCut)
	case nats.CONNECTED:
		s.view.refresh()
		s.link.isBack()
		s.announcing.Lock()
		s.linked = time.Now().UnixNano()
		s.announcing.Unlock()
		s.logError("announcing", s.announce(here))
		s.loops.Go(func() {
			err := s.ask(s.base, "$SRV.PING", gathering, gathered, func(m *nats.Msg) bool { s.hearAnswer(m); return true })
			if !errors.Is(err, ErrLeft) {
				s.logError("asking who is there", err)
			}
		})
	}
}

func (s *Server) logError(doing string, err error) {
	if err != nil {
		s.cfg.Log.Warn("cluster: "+doing+" failed", "err", err)
	}
}

// listen receives announcements of other servers, and answers questions about this one.
func (s *Server) listen() {
	for {
		select {
		case m := <-s.news:
			if m.Reply != "" {
				s.answerQuestion(m)
			} else {
				s.hearPresence(m.Data)
			}
		case <-s.left:
			return
		case <-s.base.Done():
			return
		}
	}
}

// hearPresence puts an announced server into the view. It ignores an invalid announcement.
func (s *Server) hearPresence(data []byte) {
	var p presence
	if json.Unmarshal(data, &p) != nil || !nameRule.MatchString(p.ID) || !nameRule.MatchString(p.Type) {
		return
	}
	if p.Says == bye {
		if p.ID != s.cfg.ID {
			s.view.leave(p.ID, p.Born)
		}
		return
	}
	m := newMember(Instance{p.ID, p.Type, p.Version, p.URL, p.Metadata}, p.Born)
	m.linked = p.Linked
	s.hearOf(m)
}

// hearOf puts a server into the view. If two servers have the same id, all servers receive the announcement of the same one first: that one
// stays.
func (s *Server) hearOf(m *member) {
	switch {
	case m.ID != s.cfg.ID:
		s.view.hear(m)
	case m.born == s.self.born:
		s.announced.Do(func() { close(s.heard) })
	case isClosed(s.heard):
		s.cfg.Log.Error("cluster: another server has the same id", "id", m.ID, "type", m.Type)
	default:
		s.twin.Store(&m.Instance)
	}
}

// hearSelf waits for this server's own announcement. It returns an error if that of another server with the same id has come before.
func (s *Server) hearSelf(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	select {
	case <-s.heard:
	case <-ctx.Done():
		return withCause(ctx, errors.New("waiting for the own announcement"))
	}
	if twin := s.twin.Load(); twin != nil {
		return twinError(twin)
	}
	return nil
}
