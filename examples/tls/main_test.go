package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/examples/internal/program"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { program.Main(m, main) }

func TestReload(t *testing.T) {
	t.Cleanup(kami.Reset)
	routes()
	assert.Empty(t, kami.Check())
	pair := newPair(t)
	first := write(t, pair, 1)
	require.NoError(t, pair.load())

	r, w := io.Pipe()
	log.SetOutput(w)
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	hangups := make(chan os.Signal)
	t.Cleanup(func() { close(hangups) })
	go pair.reload(hangups)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), program.RunLimit)
	t.Cleanup(cancel)
	serving, stop := context.WithCancel(ctx)
	stopped := make(chan error, 1)
	go func() { stopped <- kami.ServeContext(serving, l, &http.Server{TLSConfig: pair.config()}) }()

	checkReload(ctx, t, pair, l.Addr().String(), first, bufio.NewReader(r), func() { hangups <- syscall.SIGHUP })
	_ = r.Close() // whatever else is logged
	stop()
	assert.NoError(t, <-stopped)
}

// TestProgram runs the program up to the signal that stops it.
func TestProgram(t *testing.T) {
	pair := newPair(t)
	first := write(t, pair, 1)
	p := program.Start(t, "-cert", pair.cert, "-key", pair.key)
	checkReload(p.Context, t, pair, p.Address, first, p.Log, func() { p.Signal(syscall.SIGHUP) })

	p.Signal(syscall.SIGTERM)
	p.End()
}

// checkReload replaces the files of the server at the address, which have the first certificate, by a good pair and then by a
// broken one. The log is the server's, and hangUp sends it the signal.
func checkReload(ctx context.Context, t *testing.T, pair *keyPair, address string, first *x509.Certificate, log *bufio.Reader,
	hangUp func()) {
	t.Helper()
	old := client(t, first)
	assert.Equal(t, first.SerialNumber, serial(ctx, t, old, address))

	second := write(t, pair, 2)
	hangUp()
	program.After(t, log, "certificate loaded")
	assert.Equal(t, first.SerialNumber, serial(ctx, t, old, address), "the connection goes on")
	assert.Equal(t, second.SerialNumber, serial(ctx, t, client(t, second), address))

	require.NoError(t, os.WriteFile(pair.cert, []byte("broken"), 0o600))
	hangUp()
	assert.Contains(t, program.After(t, log, "keeping the certificate: "), "PEM")
	assert.Equal(t, second.SerialNumber, serial(ctx, t, client(t, second), address))
}

// client returns a client that trusts only the certificate.
func client(t *testing.T, trusted *x509.Certificate) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(trusted)
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// serial makes a request and returns the serial number of the server's certificate.
func serial(ctx context.Context, t *testing.T, c *http.Client, address string) *big.Int {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/", nil)
	require.NoError(t, err)
	response, err := c.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, "Hello over HTTP/2.0 and TLS 1.3!\n", string(body))
	return response.TLS.PeerCertificates[0].SerialNumber
}

// newPair returns the names of two files that do not exist yet.
func newPair(t *testing.T) *keyPair {
	t.Helper()
	dir := t.TempDir()
	return &keyPair{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
}

// write makes a self-signed certificate with the serial number, and writes the pair's files.
func write(t *testing.T, pair *keyPair, number int64) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(number),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for file, block := range map[string]*pem.Block{
		pair.cert: {Type: "CERTIFICATE", Bytes: signed},
		pair.key:  {Type: "PRIVATE KEY", Bytes: private},
	} {
		require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	}
	made, err := x509.ParseCertificate(signed)
	require.NoError(t, err)
	return made
}
