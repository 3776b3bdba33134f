package cluster

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/guregu/kami"
	"github.com/guregu/kami/message"
)

// This package's metadata in the answers to questions of NATS's services (ADR-32).
const (
	prefixKey = "kami.prefix"
	bornKey   = "kami.born"
	urlKey    = "kami.url"
)

// subscribeQuestions subscribes to the questions to services: to all services, to the type, and to this server.
func (s *Server) subscribeQuestions() error {
	for _, verb := range []micro.Verb{micro.PingVerb, micro.InfoVerb, micro.StatsVerb} {
		for _, who := range []string{"", "." + s.cfg.Type, "." + s.cfg.Type + "." + s.cfg.ID} {
			if err := s.subscribe("$SRV."+verb.String()+who, "", s.news); err != nil {
				return err
			}
		}
	}
	return nil
}

// answerQuestion answers the questions to NATS's services. A server that has said goodbye no longer says that it is there.
func (s *Server) answerQuestion(m *nats.Msg) {
	rest, ok := strings.CutPrefix(m.Subject, "$SRV.")
	if !ok || s.isLeaving() {
		return
	}
	verb, _, _ := strings.Cut(rest, ".")
	var answer any
	switch verb {
	case micro.PingVerb.String():
		answer = micro.Ping{ServiceIdentity: s.identity(), Type: micro.PingResponseType}
	case micro.InfoVerb.String():
		answer = micro.Info{ServiceIdentity: s.identity(), Type: micro.InfoResponseType, Endpoints: s.stats.infos()}
	case micro.StatsVerb.String():
		answer = micro.Stats{ServiceIdentity: s.identity(), Type: micro.StatsResponseType, Started: time.Unix(0, s.self.born).UTC(), Endpoints: s.stats.all()}
	default:
		return
	}
	body, err := json.Marshal(answer)
	if err == nil {
		err = s.publish(m.Reply, "", nil, body)
	}
	s.logError("answering "+m.Subject, err)
}

// identity returns this server's identity as a service.
func (s *Server) identity() micro.ServiceIdentity {
	i := s.self.Instance
	metadata := map[string]string{prefixKey: s.cfg.Prefix, bornKey: strconv.FormatInt(s.self.born, 10)}
	if i.URL != "" {
		metadata[urlKey] = i.URL
	}
	maps.Copy(metadata, i.Metadata)
	return micro.ServiceIdentity{Name: i.Type, ID: i.ID, Version: i.Version, Metadata: metadata}
}

// hearAnswer puts the server that has answered a PING or an INFO into the view, and returns it, or nil if it is not of this cluster.
func (s *Server) hearAnswer(m *nats.Msg) *Instance {
	var identity micro.ServiceIdentity
	if json.Unmarshal(m.Data, &identity) != nil || identity.Metadata[prefixKey] != s.cfg.Prefix {
		return nil
	}
	if !nameRule.MatchString(identity.ID) || !nameRule.MatchString(identity.Name) {
		return nil
	}
	born, _ := strconv.ParseInt(identity.Metadata[bornKey], 10, 64)
	i := Instance{identity.ID, identity.Name, identity.Version, identity.Metadata[urlKey], nil}
	for _, own := range []string{prefixKey, bornKey, urlKey} {
		delete(identity.Metadata, own)
	}
	if len(identity.Metadata) > 0 {
		i.Metadata = identity.Metadata
	}
	s.hearOf(newMember(i, born))
	return &i
}

// stats counts the calls of each endpoint: the routes of both muxes, and for each mux one endpoint for calls that hit no route.
type stats struct {
	s         *Server
	endpoints sync.Map // statsKey -> *endpointStats
}

type statsKey struct {
	tree    tree
	pattern string
}

type endpointStats struct {
	requests, errors, time atomic.Int64
	last                   atomic.Pointer[string] // the last error
}

func (t *stats) init(s *Server) { t.s = s }

// count counts a call.
func (t *stats) count(in tree, pattern string, took time.Duration, err error) {
	key := statsKey{in, pattern}
	known, ok := t.endpoints.Load(key)
	if !ok {
		known, _ = t.endpoints.LoadOrStore(key, new(endpointStats))
	}
	e := known.(*endpointStats)
	e.requests.Add(1)
	e.time.Add(int64(took))
	if err != nil {
		e.errors.Add(1)
		text := err.Error()
		e.last.Store(&text)
	}
}

// patterns returns the endpoints, the catch-all of a tree first. The subject of a pattern is below the tree's.
func (t *stats) patterns() iter.Seq2[statsKey, string] {
	return func(yield func(statsKey, string) bool) {
		for in, h := range map[tree]http.Handler{remotesTree: t.s.cfg.Remotes, handlersTree: t.s.cfg.Handlers} {
			if h == nil {
				continue
			}
			if !yield(statsKey{in, ""}, t.s.names.calls(in, t.s.cfg.Type)) {
				return
			}
			for _, pattern := range patternsOf(h) {
				if subject := t.subject(in, pattern); subject != "" && !yield(statsKey{in, pattern}, subject) {
					return
				}
			}
		}
	}
}

// patternsOf returns the patterns of a mux's routes for messages.
func patternsOf(h http.Handler) (patterns []string) {
	mux, ok := h.(interface{ Routes() iter.Seq[kami.Route] })
	if !ok {
		return nil
	}
	for route := range mux.Routes() {
		if route.Method == http.MethodPost || route.Method == "*" {
			patterns = append(patterns, route.Pattern)
		}
	}
	slices.Sort(patterns)
	return slices.Compact(patterns)
}

// subject returns the subject of a pattern, or "" if no call to the type can reach it.
func (t *stats) subject(in tree, pattern string) string {
	subject := message.Subject(pattern)
	first, rest, more := strings.Cut(subject, ".")
	switch {
	case subject == "":
		return ""
	case first == ">":
		return t.s.names.calls(in, t.s.cfg.Type)
	case first != "*" && first != t.s.cfg.Type:
		return ""
	case !more:
		return t.s.names.call(in, t.s.cfg.Type)
	}
	return t.s.names.call(in, t.s.cfg.Type+"."+rest)
}

// endpointName returns a name for an endpoint, with the characters that NATS allows there.
func endpointName(key statsKey) string {
	name := "remotes"
	if key.tree == handlersTree {
		name = "handlers"
	}
	for _, c := range key.pattern {
		if c == '-' || c == '_' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' {
			name += string(c)
		} else {
			name += "_"
		}
	}
	return name
}

func (t *stats) infos() []micro.EndpointInfo {
	infos := []micro.EndpointInfo{}
	for key, subject := range t.patterns() {
		info := micro.EndpointInfo{Name: endpointName(key), Subject: subject, QueueGroup: queue}
		if key.pattern != "" {
			info.Metadata = map[string]string{"pattern": key.pattern}
		}
		infos = append(infos, info)
	}
	slices.SortFunc(infos, func(a, b micro.EndpointInfo) int { return strings.Compare(a.Subject, b.Subject) })
	return infos
}

func (t *stats) all() []*micro.EndpointStats {
	all := []*micro.EndpointStats{}
	for key, subject := range t.patterns() {
		one := &micro.EndpointStats{Name: endpointName(key), Subject: subject, QueueGroup: queue}
		if known, ok := t.endpoints.Load(key); ok {
			known.(*endpointStats).copyTo(one)
		}
		if key.pattern == "" {
			one.Data = t.data()
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b *micro.EndpointStats) int { return strings.Compare(a.Subject, b.Subject) })
	return all
}

// copyTo writes the counts.
func (e *endpointStats) copyTo(into *micro.EndpointStats) {
	into.NumRequests, into.NumErrors = int(e.requests.Load()), int(e.errors.Load())
	into.ProcessingTime = time.Duration(e.time.Load())
	if into.NumRequests > 0 {
		into.AverageProcessingTime = into.ProcessingTime / time.Duration(into.NumRequests)
	}
	if last := e.last.Load(); last != nil {
		into.LastError = *last
	}
}

// data returns the counts that NATS's services do not have.
func (t *stats) data() json.RawMessage {
	return fmt.Appendf(nil, `{"dropped": %d, "waiting": %d}`, t.s.dropped(), t.s.service.load.Load())
}

// dropped returns how many messages have been lost because this server was too slow to take them.
func (s *Server) dropped() (all int) {
	for _, sub := range s.subscriptions() {
		n, err := sub.Dropped()
		if err == nil {
			all += n
		}
	}
	return all
}

// slow logs that messages have been lost.
func (s *Server) slow(sub *nats.Subscription) {
	n, _ := sub.Dropped()
	s.cfg.Log.Error("cluster: messages have been lost, because they came faster than this server takes them", "subject", sub.Subject, "lost", n)
}
