// Package natsserver runs the real nats-server in tests, in a process of its own that can be killed and started again.
package natsserver

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// patience is how long a server may take to start.
const patience = time.Minute

// Build builds the nats-server that the test's module requires, and returns its path.
func Build(t testing.TB) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "nats-server")
	if out, err := exec.Command("go", "build", "-o", binary, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
		t.Fatalf("building nats-server: %v\n%s", err, out)
	}
	return binary
}

// Server is a nats-server that is always at the same port. The test ends it.
type Server struct {
	URL     string
	binary  string
	args    []string
	process *exec.Cmd
}

// New returns a server that is not started yet, with further arguments after address and port.
func New(t testing.TB, binary string, args ...string) *Server {
	t.Helper()
	port := FreePort(t)
	s := &Server{URL: "nats://127.0.0.1:" + port, binary: binary, args: append([]string{"-a", "127.0.0.1", "-p", port}, args...)}
	t.Cleanup(s.Kill)
	return s
}

// FreePort returns a free port of the loopback.
func FreePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// Start starts the server, and returns when it takes connections.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	s.process = exec.Command(s.binary, s.args...)
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("tcp", s.URL[len("nats://"):])
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("nats-server takes no connections: %v", err)
		}
	}
}

// Signal sends the server a signal.
func (s *Server) Signal(t testing.TB, sig os.Signal) {
	t.Helper()
	if err := s.process.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// Kill ends the server at once, if it runs.
func (s *Server) Kill() {
	if s.process == nil {
		return
	}
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
	s.process = nil
}
