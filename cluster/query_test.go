package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/guregu/kami/cluster"
	"github.com/guregu/kami/cluster/embed"
	"github.com/guregu/kami/message"
)

func TestD04Versions(t *testing.T) {
	server := startNATS(t, embed.Options{})
	nc := connect(t, server)
	for i, version := range []string{"1.0.0", "1.5.4", "1.5.5", "1.6.0-beta", "2.0.0", "2.1.0+build.7"} {
		join(t, nc, cluster.Config{Type: "room", Version: version, ID: string(rune('a' + i)), Metadata: map[string]string{"region": []string{"eu", "us"}[i%2]}})
	}
	s := join(t, nc, cluster.Config{Type: "other", ID: "z"})
	for _, c := range []struct {
		query cluster.Query
		want  string // ids
	}{
		{cluster.Query{Type: "room"}, "abcdef"},
		{cluster.Query{}, "abcdefz"},
		{cluster.Query{Type: "room", Version: "1.5.5"}, "c"},
		{cluster.Query{Type: "room", Version: "=1.5.5"}, "c"},
		{cluster.Query{Type: "room", Version: "1.6.0-beta"}, "d"},
		{cluster.Query{Type: "room", Version: "1.x"}, "abc"},
		{cluster.Query{Type: "room", Version: "1"}, "abc"},
		{cluster.Query{Type: "room", Version: "1.5"}, "bc"},
		{cluster.Query{Type: "room", Version: ">= 1.5.5"}, "cef"},
		{cluster.Query{Type: "room", Version: ">= 1.5.5-0"}, "cdef"},
		{cluster.Query{Type: "room", Version: ">= 1.5.5, < 2"}, "c"},
		{cluster.Query{Type: "room", Version: "~1.5.4"}, "bc"},
		{cluster.Query{Type: "room", Version: "^2.0.0"}, "ef"},
		{cluster.Query{Type: "room", Version: "1.0.0 || 2.0.0"}, "ae"},
		{cluster.Query{Type: "room", Version: "*"}, "abcef"},
		{cluster.Query{Type: "room", Version: " "}, "abcdef"},
		{cluster.Query{Type: "room", Version: "2.1.0"}, "f"},
		{cluster.Query{Type: "room", Version: "3.x"}, ""},
		{cluster.Query{Type: "room", ID: "b"}, "b"},
		{cluster.Query{ID: "z"}, "z"},
		{cluster.Query{Type: "room", ID: "z"}, ""},
		{cluster.Query{Type: "room", Metadata: map[string]string{"region": "eu"}}, "ace"},
		{cluster.Query{Type: "room", Version: "2.x", Metadata: map[string]string{"region": "us"}}, "f"},
		{cluster.Query{Type: "room", Metadata: map[string]string{"region": "eu", "zone": ""}}, ""},
		{cluster.Query{Type: "nothing"}, ""},
	} {
		found, err := s.Find(t.Context(), c.query)
		ids := ""
		for _, i := range found {
			ids += i.ID
		}
		sorted := []byte(ids)
		slices.Sort(sorted)
		if string(sorted) != c.want || errors.Is(err, cluster.ErrNone) != (c.want == "") {
			t.Errorf("%+v: got %q, %v, want %q", c.query, ids, err, c.want)
		}
	}
	for _, bad := range []string{"x.y.z", ">>1", "1.2.3.4", "latest"} {
		if _, err := s.Find(t.Context(), cluster.Query{Version: bad}); err == nil || errors.Is(err, cluster.ErrNone) || !strings.Contains(err.Error(), fmt.Sprintf("%q", bad)) {
			t.Errorf("version %q: got %v", bad, err)
		}
	}
}

func TestD04View(t *testing.T) {
	server := startNATS(t, embed.Options{})
	a := join(t, connect(t, server), cluster.Config{Type: "a"})
	if got := a.Instances("a"); len(got) != 1 || got[0].ID != a.ID() {
		t.Errorf("its own view has %v", got)
	}
	next, stop := iter.Pull2(a.Watch(t.Context(), cluster.Query{Type: "b", Version: "2.x"}))
	defer stop()
	join(t, connect(t, server), cluster.Config{Type: "b", Version: "1.0.0"})
	want := cluster.Instance{ID: "b2", Type: "b", Version: "2.0.0", URL: "wss://b", Metadata: map[string]string{"region": "eu"}}
	b := join(t, connect(t, server), cluster.Config{Type: "b", Version: "2.0.0", ID: "b2", URL: want.URL, Metadata: want.Metadata})
	expect := func(kind cluster.EventKind) {
		t.Helper()
		e, err, ok := next()
		if !ok || err != nil || e.Kind != kind || fmt.Sprint(e.Instance) != fmt.Sprint(want) {
			t.Fatalf("got %v, %v, want %v of %v", e, err, kind, want)
		}
	}
	expect(cluster.Joined)
	// A server that joins later asks the others, and so knows this server too.
	late := join(t, connect(t, server), cluster.Config{Type: "late"})
	if got := late.Instances("b"); len(got) != 2 || fmt.Sprint(got[0]) != fmt.Sprint(want) && fmt.Sprint(got[1]) != fmt.Sprint(want) {
		t.Errorf("the late one's view has %v", got)
	}
	leave(t, b)
	expect(cluster.Left)
	knows(t, late, "b", 1)
}

func TestD04Lost(t *testing.T) {
	t.Cleanup(cluster.SetBeats(300*time.Millisecond, time.Minute))
	server := startNATS(t, embed.Options{})
	a := join(t, connect(t, server), cluster.Config{Type: "a"})
	nc := connect(t, server)
	crash := func() {
		b, err := cluster.Join(context.Background(), nc, cluster.Config{Type: "b", Version: "1.0.0", ID: "b"})
		noError(t, err)
		t.Cleanup(func() { _ = b.Leave(context.Background()) })
		knows(t, a, "b", 1)
	}
	next, stop := iter.Pull2(a.Watch(t.Context(), cluster.Query{Type: "b"}))
	defer stop()
	expect := func(kind cluster.EventKind) {
		t.Helper()
		if e, err, ok := next(); !ok || err != nil || e.Kind != kind {
			t.Fatalf("got %v, %v, want %v", e, err, kind)
		}
	}
	crash()
	expect(cluster.Joined)
	nc.Close() // without a goodbye
	expect(cluster.Lost)

	t.Run("no responders", func(t *testing.T) {
		cluster.SetBeats(time.Hour, time.Minute)
		a := join(t, connect(t, server), cluster.Config{Type: "a"})
		nc := connect(t, server)
		b, err := cluster.Join(context.Background(), nc, cluster.Config{Type: "c", Version: "1.0.0", ID: "c"})
		noError(t, err)
		knows(t, a, "c", 1)
		nc.Close()
		noServer(t, a, "c.name")
		if got := a.Instances("c"); len(got) != 0 {
			t.Errorf("the view has %v", got)
		}
		_ = b.Leave(context.Background())
	})
}

func TestWatchEnds(t *testing.T) {
	server := startNATS(t, embed.Options{})
	a := join(t, connect(t, server), cluster.Config{Type: "a"})
	for _, err := range a.Watch(t.Context(), cluster.Query{Version: "x.y"}) {
		if err == nil || !strings.Contains(err.Error(), "x.y") {
			t.Errorf("got %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for e, err := range a.Watch(ctx, cluster.Query{}) {
		if last = err; err == nil && e.Kind == cluster.Joined {
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("got %v, want the end of the context", last)
	}
	for _, err := range a.Watch(t.Context(), cluster.Query{}) {
		if last = err; err == nil {
			leave(t, a)
		}
	}
	if !errors.Is(last, cluster.ErrLeft) {
		t.Errorf("got %v, want ErrLeft", last)
	}
	if _, err := a.Call(t.Context(), &message.Message{Route: "a.b"}); !errors.Is(err, cluster.ErrLeft) {
		t.Errorf("a call of a server that has left: got %v", err)
	}
	if _, err := a.Find(t.Context(), cluster.Query{}); !errors.Is(err, cluster.ErrLeft) {
		t.Errorf("a Find of a server that has left: got %v", err)
	}
}
