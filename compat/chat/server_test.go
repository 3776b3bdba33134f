package chat

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// limit is how long a test waits for anything.
const limit = time.Minute

// server is the program, and a proxy in front of it whose address stays the same.
type server struct {
	URL string

	t       *testing.T
	program string
	history string
	command *exec.Cmd
	proxy   net.Listener

	mu      sync.Mutex
	address string // of the program
	conns   map[net.Conn]bool
	down    bool // whether connections are refused
}

// start builds the program and starts it.
func start(t *testing.T) *server {
	t.Helper()
	dir := t.TempDir()
	s := &server{t: t, program: filepath.Join(dir, "chat"), history: filepath.Join(dir, "history"), conns: make(map[net.Conn]bool)}
	build := exec.Command("go", "build", "-o", s.program, "./chat")
	build.Dir = "../../examples"
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	s.proxy, err = net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.URL = "http://" + s.proxy.Addr().String() + "/"
	go s.accept()
	t.Cleanup(func() {
		s.stop()
		_ = s.proxy.Close()
		s.cut(true)
	})
	s.run()
	return s
}

// run starts the program, and waits until it answers.
func (s *server) run() {
	s.t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(s.t, err)
	address := free.Addr().String()
	require.NoError(s.t, free.Close())
	s.command = exec.Command(s.program, "-bind", address, "-history", s.history)
	s.command.Stderr = os.Stderr
	require.NoError(s.t, s.command.Start())
	for end := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		if r, err := http.Get("http://" + address + "/"); err == nil {
			_ = r.Body.Close()
			break
		}
		require.True(s.t, time.Now().Before(end), "the program does not answer")
	}
	s.mu.Lock()
	s.address = address
	s.mu.Unlock()
}

// stop stops the program as a supervisor does, and waits for it.
func (s *server) stop() {
	s.t.Helper()
	require.NoError(s.t, s.command.Process.Signal(syscall.SIGTERM))
	require.NoError(s.t, s.command.Wait())
}

// roll replaces the program. The new one starts before the old one stops.
func (s *server) roll() {
	old := s.command
	s.run()
	require.NoError(s.t, old.Process.Signal(syscall.SIGTERM))
	require.NoError(s.t, old.Wait())
}

func (s *server) accept() {
	for {
		client, err := s.proxy.Accept()
		if err != nil {
			return
		}
		go s.carry(client)
	}
}

// carry connects a client to the program.
func (s *server) carry(client net.Conn) {
	defer func() { _ = client.Close() }()
	s.mu.Lock()
	address, down := s.address, s.down
	s.mu.Unlock()
	if down {
		return
	}
	program, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer func() { _ = program.Close() }()
	s.mu.Lock()
	if down = s.down; !down {
		s.conns[client] = true
	}
	s.mu.Unlock()
	if down {
		return
	}
	go func() {
		_, _ = io.Copy(program, client)
		_ = program.Close()
	}()
	_, _ = io.Copy(client, program)
	s.mu.Lock()
	delete(s.conns, client)
	s.mu.Unlock()
}

// cut cuts all connections. Down says whether new ones are refused.
func (s *server) cut(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
	for conn := range s.conns {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
}
