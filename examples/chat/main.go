// Chat is a page with rooms, names, private lines and a history, over websockets. Open http://localhost:8000 in two tabs:
//
//	go run ./examples/chat
//
// Say something, click a name to write to that user alone, stop the program and start it again while you write.
//
// It can be restarted at any time: no line is lost. A tab whose connection is lost comes back to its session, or, if the
// process was replaced, says its name again and gets the missed lines from the history.
package main

import (
	"context"
	"embed"
	"flag"
	"io/fs"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/component"
	"github.com/guregu/kami/peer"
)

//go:embed page
var files embed.FS

func main() {
	history := flag.String("history", filepath.Join(os.TempDir(), "kami-chat.jsonl"), "file of all that has been said")
	flag.Parse()
	chat := routes(*history)
	ctx := context.Background()
	if err := chat.Start(ctx); err != nil {
		log.Fatal(err)
	}
	kami.Serve()
	if err := chat.Stop(ctx); err != nil {
		log.Fatal(err)
	}
}

// routes is apart from main so that the test can register them without serving.
func routes(history string) *component.Set {
	calls := kami.New() // what tabs may call
	node := &peer.Node{Name: "chat", Version: "1.0.0", Handler: calls}
	room := &Room{sessions: &node.Sessions, file: history}
	node.Sessions.ResumeWithin = time.Minute
	node.Sessions.OnClose = room.closed

	var chat component.Set
	chat.Register(calls.Handle, room, component.WithName("room"), component.WithNameFunc(strings.ToLower))

	page, err := fs.Sub(files, "page")
	if err != nil {
		panic(err)
	}
	kami.Get("/chat", node)
	kami.Get("/kami.js", peer.Client())
	kami.Get("/", http.FileServerFS(page))
	kami.Get("/:file", http.FileServerFS(page))
	return &chat
}
