// Math is Kite's classic: a service squares numbers for clients that show a token, calls them back, and may be restarted at any time.
//
//	go run ./examples/math                              the server and a client
//	go run ./examples/math -server -key math.key        the server alone; it makes the key if there is none
//	go run ./examples/math -client http://localhost:8000/math -key math.key
package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/guregu/kami"
	"github.com/guregu/kami/auth"
	"github.com/zenazn/goji/bind"
)

var (
	alone   = flag.Bool("server", false, "run the server without a client; it needs -key")
	client  = flag.String("client", "", "run a client of the server at that `URL`; it needs -key")
	keyFile = flag.String("key", "", "`file` with the key that signs tokens, made if there is none; by default each run has its own key")
)

func main() {
	flag.Parse()
	if *keyFile == "" && (*alone || *client != "") {
		log.Fatal("math: server and client need the same key: say -key FILE to both")
	}
	key, err := readKey(*keyFile)
	if err != nil {
		log.Fatal(err)
	}
	issuer := &auth.Issuer{Name: issuerName, KeyID: keyID, Key: key}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *client != "" {
		if err := calculate(ctx, *client, issuer); err != nil {
			log.Fatal(err)
		}
		return
	}

	keys := new(auth.Keys) // the server has no more than the public key
	keys.Set(keyID, key.Public())
	kami.Get("/math", newService(keys))
	listener := bind.Default() // what kami.Serve would listen on: the client must know the port
	var clients sync.WaitGroup
	if !*alone {
		clients.Go(func() {
			if err := calculate(ctx, urlOf(listener.Addr()), issuer); err != nil {
				log.Print(err)
			}
		})
	}
	kami.ServeListener(listener)
	clients.Wait()
}

func urlOf(address net.Addr) string {
	_, port, _ := net.SplitHostPort(address.String())
	return "http://localhost:" + port + "/math"
}

// readKey returns the key in the file. It makes a new one if there is none; one without a file is not kept.
func readKey(file string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil || file == "" {
		return key, err
	}
	seed, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return key, os.WriteFile(file, key.Seed(), 0o600)
	case err != nil:
		return nil, err
	case len(seed) != ed25519.SeedSize:
		return nil, fmt.Errorf("math: %s has %d bytes, and a key has %d", file, len(seed), ed25519.SeedSize)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}
