// Tls is a server that takes a new certificate without a restart. Replace the old files by the new ones, then
//
//	kill -HUP <its process id>
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"github.com/guregu/kami"
)

var (
	cert = flag.String("cert", "cert.pem", "PEM `file` with the certificate, followed by those that lead to its root")
	key  = flag.String("key", "key.pem", "PEM `file` with the certificate's key")
)

func main() {
	flag.Parse()
	pair := &keyPair{cert: *cert, key: *key}
	if err := pair.load(); err != nil {
		log.Fatal(err)
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP) // never comes on Windows
	go pair.reload(hangups)

	routes()
	kami.ServeTLS(pair.config())
}

// routes is apart from main so that the test can register them without serving.
func routes() {
	kami.Get("/", func(_ context.Context, w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Hello over %s and %s!\n", r.Proto, tls.VersionName(r.TLS.Version))
	})
}

// keyPair is the certificate in two files, as it was when they were last read.
type keyPair struct {
	cert, key string
	current   atomic.Pointer[tls.Certificate]
}

// load reads the files. If they are not right, which includes that only one of them is new, the certificate stays.
func (p *keyPair) load() error {
	loaded, err := tls.LoadX509KeyPair(p.cert, p.key)
	if err != nil {
		return err
	}
	p.current.Store(&loaded)
	return nil
}

// reload loads the files again at every signal.
func (p *keyPair) reload(signals <-chan os.Signal) {
	for range signals {
		if err := p.load(); err != nil {
			log.Println("keeping the certificate:", err)
			continue
		}
		log.Println("certificate loaded")
	}
}

// config asks for the certificate at every handshake. Connections that have one keep it.
func (p *keyPair) config() *tls.Config {
	return &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.current.Load(), nil },
	}
}
