// Events is a server with a stream of events, which says goodbye to its clients when it stops.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/guregu/kami"
)

// interval is the time between two ticks.
var interval = time.Second

func main() {
	routes()
	kami.Serve()
}

// routes is apart from main so that the test can register them without serving.
func routes() {
	// By default a request's context outlives its client. A stream should end when its client has gone.
	kami.Cancel = true

	kami.Get("/", index)
	kami.Get("/events", events)
}

// events sends a tick at every interval, until the client goes away or the server stops.
func events(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	stream := http.NewResponseController(w)
	if err := stream.Flush(); err != nil { // the client learns at once that the stream is open
		return
	}

	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for id := 1; ; id++ {
		select {
		case now := <-ticker.C:
			fmt.Fprintf(w, "id: %d\nevent: tick\ndata: %s\n\n", id, now.UTC().Format(time.RFC3339))
			if err := stream.Flush(); err != nil {
				return
			}
		case <-kami.Draining(ctx):
			// The browser comes back after the time that retry says, in milliseconds, and finds the next process.
			fmt.Fprint(w, "retry: 1000\nevent: bye\ndata: the server stops\n\n")
			return
		case <-ctx.Done():
			return
		}
	}
}

// index is a page that shows the ticks.
func index(_ context.Context, w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, page)
}

const page = `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Events</title>
<h1>Events</h1>
<ul id="log"></ul>
<script>
const log = document.getElementById("log");
function show(text) {
	const item = document.createElement("li");
	item.textContent = text;
	log.append(item);
}
const source = new EventSource("/events");
source.onopen = () => show("connected");
source.onerror = () => show("disconnected");
source.addEventListener("tick", (event) => show(event.lastEventId + ": " + event.data));
source.addEventListener("bye", (event) => show("bye: " + event.data));
</script>
</html>
`
