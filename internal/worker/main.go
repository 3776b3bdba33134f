// Command worker is a program that serves with kami, for tests that need a process of its own: under a supervisor, with
// signals, with hooks of goji's. It takes the flag -bind, as all programs of kami's.
//
//	GET, POST  /echo?id=X         "ok X"; the header Body-Length has the length of the body that was read
//	GET, POST  /slow?id=X&ms=N    "ok X" after N milliseconds, at most 30000
//	GET        /pid               its process id
//	GET        /events            an event stream: a comment, and "bye" when draining begins
//	GET        /inherited         the descriptors from 3 to 9 that a child process inherits
//
// The id may also come as package load sends it.
package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zenazn/goji/bind"
	"github.com/zenazn/goji/graceful"

	"github.com/guregu/kami"
	"github.com/guregu/kami/internal/load"
)

const (
	slowest  = 30 * time.Second // that /slow takes
	slowHook = time.Minute      // longer than a test waits for an end
)

var (
	mode        = flag.String("mode", "plain", "how to serve: plain, tls or h2c")
	certificate = flag.String("certificate", "",
		"PEM `file` with the certificate and the key for -mode tls; one for the loopback interface is made if there is none")
	descriptors = flag.Uint64("descriptors", 0, "most descriptors that may be open; 0 leaves it as it is")
	hooks       = flag.String("hooks", "",
		"comma-separated hooks, run in this order: print (before and after), slow (before), panic (before), panic-post (after)")
)

// modes are the ways to serve.
var modes = map[string]func(){
	"plain": kami.Serve,
	"h2c":   serveH2C,
	"tls":   func() { kami.ServeTLS(&tls.Config{Certificates: []tls.Certificate{mustCertificate(*certificate)}}) },
}

// hookNamed has the function that registers each hook.
var hookNamed = map[string]func(){
	"print": func() {
		graceful.PreHook(func() { fmt.Println("pre hook") })
		graceful.PostHook(func() { fmt.Println("post hook") })
	},
	"slow":       func() { graceful.PreHook(func() { time.Sleep(slowHook) }) },
	"panic":      func() { graceful.PreHook(func() { panic("the pre hook panics") }) },
	"panic-post": func() { graceful.PostHook(func() { panic("the post hook panics") }) },
}

func main() {
	flag.Parse()
	serve := modes[*mode]
	if serve == nil {
		log.Fatalf("worker: -mode %q is unknown", *mode)
	}
	for _, name := range slices.DeleteFunc(strings.Split(*hooks, ","), func(name string) bool { return name == "" }) {
		register := hookNamed[name]
		if register == nil {
			log.Fatalf("worker: -hooks %q is unknown", name)
		}
		register()
	}
	if err := limitDescriptors(*descriptors); err != nil {
		log.Fatalf("worker: -descriptors %d: %v", *descriptors, err)
	}
	routes()
	serve()
}

// serveH2C serves HTTP/2 without TLS too, for which it needs a server of its own. It does what Serve does for einhorn and
// systemd with the means that every app has.
func serveH2C() {
	ctx, stop := signal.NotifyContext(context.Background(), stopSignals...)
	defer stop()
	srv := &http.Server{Protocols: new(http.Protocols)}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	l := bind.Default()
	log.Println("Starting kami on", l.Addr())
	bind.Ready()
	if err := kami.ServeContext(ctx, l, srv); err != nil {
		log.Fatal(err)
	}
	log.Println("kami stopped")
}

func routes() {
	kami.Get("/echo", echo)
	kami.Post("/echo", echo)
	kami.Get("/slow", slow)
	kami.Post("/slow", slow)
	kami.Get("/events", events)
	kami.Get("/inherited", inherited)
	kami.Get("/pid", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, os.Getpid()) })
}

func echo(w http.ResponseWriter, r *http.Request) {
	length, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Body-Length", strconv.FormatInt(length, 10))
	ok(w, r)
}

// slow answers late, unless its context ends.
func slow(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	ms, err := strconv.ParseUint(r.URL.Query().Get("ms"), 10, 31)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	timer := time.NewTimer(min(time.Duration(ms)*time.Millisecond, slowest))
	defer timer.Stop()
	select {
	case <-timer.C:
		ok(w, r)
	case <-ctx.Done():
		http.Error(w, ctx.Err().Error(), http.StatusServiceUnavailable)
	}
}

func events(ctx context.Context, w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, ": it begins\n\n")
	if err := http.NewResponseController(w).Flush(); err != nil {
		log.Print(err)
		return
	}
	<-kami.Draining(ctx)
	fmt.Fprint(w, "event: bye\ndata:\n\n")
}

func inherited(w http.ResponseWriter, _ *http.Request) {
	const list = `for fd in 3 4 5 6 7 8 9; do if [ -e /dev/fd/$fd ]; then echo $fd; fi; done`
	output, err := exec.Command("sh", "-c", list).CombinedOutput()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintf(w, "%s", output)
}

func ok(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8") // whatever the id looks like
	fmt.Fprintf(w, "ok %s\n", cmp.Or(r.URL.Query().Get("id"), r.Header.Get(load.IDHeader)))
}
