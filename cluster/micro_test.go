package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/nats-io/nats.go/micro"

	"github.com/guregu/kami"
	"github.com/guregu/kami/cluster"
	"github.com/guregu/kami/cluster/embed"
	"github.com/guregu/kami/endpoint"
)

func TestD03Micro(t *testing.T) {
	mux := kami.New()
	mux.Post("/room/match/find", endpoint.JSON(func(_ context.Context, n int) (int, error) {
		if n < 0 {
			return 0, endpoint.Error(409, "negative")
		}
		return n + 1, nil
	}))
	mux.Post("/room/:id/join", endpoint.JSON(func(context.Context, struct{}) (string, error) { return "", nil }))
	mux.Get("/room/page", func(http.ResponseWriter, *http.Request) {})
	server := startNATS(t, embed.Options{})
	nc := connect(t, server)
	s := join(t, connect(t, server), cluster.Config{Type: "room", Version: "1.2.3", URL: "wss://x", Metadata: map[string]string{"region": "eu"}, Remotes: mux})

	question := func(subject string, into any) {
		t.Helper()
		m, err := nc.Request(subject, nil, patience)
		noError(t, err)
		noError(t, json.Unmarshal(m.Data, into))
	}
	for _, who := range []string{"", ".room", ".room." + s.ID()} {
		var ping micro.Ping
		question("$SRV.PING"+who, &ping)
		if ping.Type != micro.PingResponseType || ping.Name != "room" || ping.ID != s.ID() || ping.Version != "1.2.3" || ping.Metadata["region"] != "eu" {
			t.Errorf("PING%s: got %+v", who, ping)
		}
		var info micro.Info
		question("$SRV.INFO"+who, &info)
		want := []micro.EndpointInfo{
			{Name: "remotes_room__id_join", Subject: "kami.r.room.*.join", QueueGroup: "q"},
			{Name: "remotes", Subject: "kami.r.room.>", QueueGroup: "q"},
			{Name: "remotes_room_match_find", Subject: "kami.r.room.match.find", QueueGroup: "q"},
		}
		if info.Type != micro.InfoResponseType || len(info.Endpoints) != len(want) {
			t.Fatalf("INFO%s: got %+v", who, info)
		}
		for i, w := range want {
			if got := info.Endpoints[i]; got.Name != w.Name || got.Subject != w.Subject || got.QueueGroup != w.QueueGroup {
				t.Errorf("INFO%s: got %+v, want %+v", who, got, w)
			}
		}
	}

	// Any client of NATS can call the server.
	m, err := nc.Request("kami.r.room.match.find", []byte("1"), patience)
	if err != nil || string(m.Data) != "2\n" || len(m.Header) != 0 {
		t.Errorf("got %v, %v", m, err)
	}
	m, err = nc.Request("kami.r.room.match.find", []byte("-1"), patience)
	if err != nil || m.Header.Get(micro.ErrorCodeHeader) != "409" || m.Header.Get(micro.ErrorHeader) != "negative" {
		t.Errorf("got %v, %v", m, err)
	}
	m, err = nc.Request("kami.r.room.nothing", nil, patience)
	if err != nil || m.Header.Get(micro.ErrorCodeHeader) != "404" {
		t.Errorf("got %v, %v", m, err)
	}
	var stats micro.Stats
	question("$SRV.STATS.room", &stats)
	counts := make(map[string][2]int)
	for _, e := range stats.Endpoints {
		counts[e.Subject] = [2]int{e.NumRequests, e.NumErrors}
		if e.Subject == "kami.r.room.match.find" && (e.LastError != "negative" || e.ProcessingTime <= 0 || e.AverageProcessingTime != e.ProcessingTime/2) {
			t.Errorf("got %+v", e)
		}
	}
	if counts["kami.r.room.match.find"] != [2]int{2, 1} || counts["kami.r.room.>"] != [2]int{1, 1} || counts["kami.r.room.*.join"] != [2]int{} || stats.Started.IsZero() {
		t.Errorf("got %v", counts)
	}
}

func TestD03Foreign(t *testing.T) {
	server := startNATS(t, embed.Options{})
	nc := connect(t, server)
	service, err := micro.AddService(nc, micro.Config{Name: "room", Version: "0.0.1"})
	noError(t, err)
	defer func() { _ = service.Stop() }()
	a := join(t, connect(t, server), cluster.Config{Type: "a"})
	if _, err := ask(t, a, "room.name"); !errors.Is(err, cluster.ErrNoServer) || len(a.Instances("room")) != 0 {
		t.Errorf("a service that is no server of the cluster: got %v, %v", err, a.Instances("room"))
	}
	// A server of another cluster on the same NATS is not in the view either.
	join(t, connect(t, server), cluster.Config{Type: "room", Prefix: "other.cluster", Remotes: named("/room/name", "b")})
	if _, err := ask(t, a, "room.name"); !errors.Is(err, cluster.ErrNoServer) || len(a.Instances("room")) != 0 {
		t.Errorf("a server of another cluster: got %v, %v", err, a.Instances("room"))
	}
	c := join(t, connect(t, server), cluster.Config{Type: "c", Prefix: "other.cluster"})
	if got, err := ask(t, c, "room.name"); err != nil || got != "b" {
		t.Errorf("the other cluster: got %q, %v", got, err)
	}
}
