package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"math/big"
	"net"
	"os"
	"time"
)

// mustCertificate returns the certificate in the file. It makes the file if there is none, so that all workers have the
// same one, and a client that trusts the first trusts them all.
func mustCertificate(file string) tls.Certificate {
	if file == "" {
		log.Fatal("worker: -mode tls needs -certificate")
	}
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		if err := makeCertificate(file); err != nil {
			log.Fatalf("worker: %v", err)
		}
	}
	certificate, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		log.Fatalf("worker: %v", err)
	}
	return certificate
}

// makeCertificate writes a certificate, signed by itself, and its key. The file is never there half written, and of workers
// that make it at the same time the first wins.
func makeCertificate(file string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	own := fmt.Sprint(file, ".", os.Getpid())
	if err := os.WriteFile(own, text, 0o600); err != nil {
		return err
	}
	defer os.Remove(own)
	if err := os.Link(own, file); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
