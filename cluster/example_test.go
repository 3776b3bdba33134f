package cluster_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/guregu/kami"
	"github.com/guregu/kami/cluster"
	"github.com/guregu/kami/cluster/embed"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/internal/pages"
	"github.com/guregu/kami/message"
)

type joinRequest struct {
	Name string `json:"name"`
}

type joined struct {
	Text string `json:"text"`
}

func joinRoom(_ context.Context, r joinRequest) (joined, error) {
	return joined{"hello " + r.Name}, nil
}

// must ends the program at an error.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// curl prints the answer to a POST of JSON.
func curl(h http.Handler, path, body string) {
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Print(w.Code, " ", w.Body)
}

// One process: the front hands messages of clients to the rooms, and calls them itself.
func Example_oneProcess() {
	ctx := context.Background()

	rooms := kami.New()
	rooms.Post("/room/join", endpoint.JSON(joinRoom))

	front := kami.New()
	front.Mount("/room/", rooms)

	find := message.Remote[joinRequest, joined](message.Local(rooms), "room.join")
	curl(front, "/room/join", `{"name": "bob"}`)
	fmt.Println(find(ctx, joinRequest{"ann"}))
	// Output:
	// 200 {"text":"hello bob"}
	// {hello ann} <nil>
}

// Many servers: the same with the rooms in another process, or in many.
func Example_manyServers() {
	ctx := context.Background()
	engine, err := embed.Start(embed.Options{}) // NATS in this process
	must(err)
	defer engine.Stop()
	nc, err := engine.Connect(cluster.Options()...) // or nats.Connect(url, cluster.Options()...)
	must(err)

	rooms := kami.New()
	rooms.Post("/room/join", endpoint.JSON(joinRoom))
	back, err := cluster.Join(ctx, nc, cluster.Config{Type: "room", Version: "1.0.0", Handlers: rooms, Remotes: rooms})
	must(err)
	defer back.Leave(ctx)

	server, err := cluster.Join(ctx, nc, cluster.Config{Type: "front", Version: "1.0.0"})
	must(err)
	defer server.Leave(ctx)
	front := kami.New()
	front.Post("/room/*route", cluster.Forward(server, "room"))

	find := message.Remote[joinRequest, joined](server, "room.join")
	curl(front, "/room/join", `{"name": "bob"}`)
	fmt.Println(find(ctx, joinRequest{"ann"}))
	// Output:
	// 200 {"text":"hello bob"}
	// {hello ann} <nil>
}

// TestClusterDoc has the pages show nothing but what is tested: their diff leads from one Example to the other.
func TestClusterDoc(t *testing.T) {
	bodies, err := pages.Examples("example_test.go")
	noError(t, err)
	here, err := os.Getwd() // not cleaned, so that go test runs again when a page has changed
	noError(t, err)
	for _, page := range []string{"/../docs/cluster.md", "/../README.md"} {
		diffs, err := pages.Blocks(here+page, "diff")
		noError(t, err)
		if len(diffs) != 1 {
			t.Fatalf("%s has %d diffs", page, len(diffs))
		}
		for i, side := range []string{"-", "+"} {
			want, _, _ := strings.Cut(bodies[i], "// Output:")
			if got := sideOf(diffs[0], side); got != strings.TrimSpace(want) {
				t.Errorf("%s: the side %s of the diff is\n%s\n\nand the Example is\n%s", page, side, got, want)
			}
		}
	}
}

// sideOf returns the lines that a diff takes away, "-", or adds, "+", and those around them.
func sideOf(diff, side string) string {
	var lines []string
	for line := range strings.SplitSeq(diff, "\n") {
		if line == "" || strings.HasPrefix(line, " ") || strings.HasPrefix(line, side) {
			lines = append(lines, line[min(1, len(line)):])
		}
	}
	return strings.Join(lines, "\n")
}
