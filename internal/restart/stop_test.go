//go:build unix

package restart

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/internal/load"
	"github.com/guregu/kami/internal/supervise"
)

// slack is how long an end may take in addition to what it waits for.
const slack = 200 * time.Millisecond

// atMost prints how long something has taken. With -figures it fails if that is longer than the limit.
func atMost(t *testing.T, most, took time.Duration) {
	t.Helper()
	t.Logf("it has taken %v, and should take %v at most", took, most)
	if *figures {
		assert.LessOrEqual(t, took, most)
	}
}

// answer reads an answer and returns its body, and whether it says that the connection ends.
func answer(t *testing.T, conn net.Conn) (body string, closes bool) {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, response.StatusCode)
	return string(text), response.Close
}

func ask(t *testing.T, conn net.Conn, path string) (body string, closes bool) {
	t.Helper()
	require.NoError(t, get(conn, path))
	return answer(t, conn)
}

// TestStopsUnderChurn stops workers while each request comes on a new connection. The socket outlives them, so the next worker
// accepts the connections that one has not accepted. No request may be lost.
func TestStopsUnderChurn(t *testing.T) {
	s, err := supervise.NewSystemd(program(), nil)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	require.NoError(t, s.Start())
	warm(t, s.Address())
	end := begin(t, load.Config{Mode: load.NewConnection, Address: s.Address(), Path: "/echo", Clients: 16})
	stops := 5 * *restarts
	for range stops {
		require.NoError(t, s.Restart())
		warm(t, s.Address())
	}
	result := end()
	t.Log(result)
	assert.Zero(t, result.Failed, "%s", strings.Join(result.Failures, "\n"))
	assert.Greater(t, result.Answered, stops)
	for _, exit := range s.Exits {
		assert.Equal(t, "exit status 0", exit.String())
	}
}

// TestRequestsAfterTheSignal sends requests up to two milliseconds after the signal, on accepted connections that are idle or were
// never used.
func TestRequestsAfterTheSignal(t *testing.T) {
	for _, used := range []bool{false, true} {
		t.Run(fmt.Sprint("used before: ", used), func(t *testing.T) {
			for range 100 {
				p, address := start(t)
				conn := connect(t, address)
				if used {
					_, closes := ask(t, conn, "/pid")
					assert.False(t, closes)
				}
				warm(t, address) // by a connection that was accepted after this one
				signal(t, p, syscall.SIGTERM)
				pause(t, rand.N(2*time.Millisecond))
				body, _ := ask(t, conn, "/pid")
				assert.Equal(t, strconv.Itoa(p.Pid)+"\n", body)
				wait(t, p)
			}
		})
	}
}

func TestSilentConnections(t *testing.T) {
	for _, test := range []struct {
		name, mode string
		begin      func(t *testing.T, conn net.Conn)
	}{
		{"plain", "plain", func(*testing.T, net.Conn) {}},
		{"half a request line", "plain", func(t *testing.T, conn net.Conn) {
			_, err := io.WriteString(conn, "GET /pi")
			require.NoError(t, err)
		}},
		{"before the handshake", "tls", func(*testing.T, net.Conn) {}},
		{"HTTP-2 after the handshake", "tls", func(t *testing.T, conn net.Conn) {
			config := trusting(t, certificate())
			config.NextProtos = []string{"h2"}
			require.NoError(t, tls.Client(conn, config).Handshake())
		}},
		{"h2c before the preface", "h2c", func(*testing.T, net.Conn) {}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p, address := start(t, "-mode", test.mode, "-certificate", certificate())
			test.begin(t, connect(t, address))
			if test.mode == "tls" {
				conn := tls.Client(connect(t, address), trusting(t, certificate()))
				ask(t, conn, "/pid") // is accepted after the other
				_ = conn.Close()
			} else {
				warm(t, address)
			}
			signal(t, p, syscall.SIGTERM)
			atMost(t, linger+slack, wait(t, p))
		})
	}
}

func TestSignals(t *testing.T) {
	interrupt, term, upgrade := os.Interrupt, syscall.SIGTERM, syscall.SIGUSR2
	for _, test := range []struct {
		name    string
		hooks   string
		einhorn bool
		signals []os.Signal
		forced  bool
	}{
		{"SIGINT", "print", false, []os.Signal{interrupt}, false},
		{"SIGINT twice", "print", false, []os.Signal{interrupt, interrupt}, true},
		{"SIGINT twice, slow pre hook", "slow", false, []os.Signal{interrupt, interrupt}, true},
		{"panicking pre hook", "panic", false, []os.Signal{term}, false},
		{"panicking hooks", "panic,panic-post", false, []os.Signal{term}, false},
		{"SIGTERM thrice", "print", false, []os.Signal{term, term, term}, false},
		{"SIGUSR2 twice", "print", true, []os.Signal{upgrade, upgrade}, false},
		{"SIGUSR2 and SIGTERM", "print", true, []os.Signal{upgrade, term}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.forced {
				p, conn := busy(t, test.hooks, test.einhorn, test.signals)
				atMost(t, linger, wait(t, p))
				_, err := conn.Read(make([]byte, 1))
				assert.Error(t, err)
				return
			}
			p, conn := busy(t, test.hooks, test.einhorn, test.signals)
			_, err := p.Line("kami: waiting for 1 connection", limit)
			require.NoError(t, err)
			_, err = io.WriteString(conn, ".") // is the request's body
			require.NoError(t, err)
			body, closes := answer(t, conn)
			assert.Equal(t, "ok X\n", body)
			assert.True(t, closes)
			wait(t, p)
			assert.Equal(t, 1, strings.Count(p.Output(), received))
			assert.True(t, strings.HasSuffix(p.Output(), "kami stopped\n"), p.Output())
			if test.hooks == "print" {
				assert.Regexp(t, `(?s)gracefully stopping\npre hook\n.*post hook\n.*kami stopped\n$`, p.Output())
			}
		})
	}
}

const received = "kami received signal, gracefully stopping"

// busy starts a worker, begins a request, which lasts until its body is sent, and sends the signals.
func busy(t *testing.T, hooks string, einhorn bool, signals []os.Signal) (p *supervise.Process, conn net.Conn) {
	p, address := start(t, "-hooks", hooks)
	if einhorn {
		e, err := supervise.NewEinhorn(program("-hooks", hooks))
		require.NoError(t, err)
		t.Cleanup(e.Close)
		require.NoError(t, e.Start())
		p, address = e.Process(), e.Address()
	}
	conn = connect(t, address)
	_, err := io.WriteString(conn, "POST /echo?id=X HTTP/1.1\r\nHost: kami\r\nContent-Length: 1\r\n\r\n")
	require.NoError(t, err)
	warm(t, address)
	for _, s := range signals {
		signal(t, p, s)
		_, err := p.Line(received, limit) // after the first, lest two become one
		require.NoError(t, err)
	}
	return p, conn
}

func TestEventStream(t *testing.T) {
	p, address := start(t)
	conn := connect(t, address)
	require.NoError(t, get(conn, "/events"))
	r := bufio.NewReader(conn)
	for line := ""; line != ": it begins\n"; {
		var err error
		line, err = r.ReadString('\n')
		require.NoError(t, err)
	}
	signal(t, p, syscall.SIGTERM)
	rest, err := io.ReadAll(r)
	ended := time.Now()
	require.NoError(t, err)
	assert.Contains(t, string(rest), "event: bye\n")
	wait(t, p)
	atMost(t, 50*time.Millisecond, time.Since(ended))
}

// TestFewDescriptors has more connections than the worker has descriptors for.
func TestFewDescriptors(t *testing.T) {
	for _, recovers := range []bool{false, true} {
		t.Run(fmt.Sprint("recovers: ", recovers), func(t *testing.T) {
			p, address := start(t, "-descriptors", "64")
			conns := make([]net.Conn, 200)
			for i := range conns {
				conns[i] = connect(t, address)
			}
			_, err := p.Line("too many open files", limit)
			require.NoError(t, err)
			if recovers {
				for _, conn := range conns {
					_ = conn.Close()
				}
				warm(t, address)
			}
			signal(t, p, syscall.SIGTERM)
			atMost(t, 3*time.Second, wait(t, p)) // of which it takes one at most
		})
	}
}

// TestIdleConnections measures what an idle connection costs.
func TestIdleConnections(t *testing.T) {
	if !*figures || runtime.GOOS != "linux" || race {
		t.Skip("it is for -figures, reads /proc, and the race detector has a memory of its own")
	}
	const n, most = 10_000, 21_000
	var files syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files))
	if files.Cur < n+100 {
		t.Skipf("it takes %d descriptors, of which there are %d", n+100, files.Cur)
	}
	p, address := start(t)
	warm(t, address)
	before := resident(t, p.Pid)
	for range n {
		conn, err := net.Dial("tcp", address)
		require.NoError(t, err)
		defer conn.Close()
		_, err = io.WriteString(conn, "GET /pid HTTP/1.1\r\nHost: kami\r\n\r\n")
		require.NoError(t, err)
		_, err = conn.Read(make([]byte, 1024))
		require.NoError(t, err)
	}
	each := (resident(t, p.Pid) - before) / n
	signal(t, p, syscall.SIGTERM)
	atMost(t, 2*time.Second, wait(t, p))
	t.Logf("%d bytes of resident memory for each of %d idle connections", each, n)
	assert.LessOrEqual(t, each, most)
}

// resident returns the bytes of memory of the process.
func resident(t *testing.T, pid int) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
	require.NoError(t, err)
	return kilobytes << 10
}

// TestWrongBind checks that an address that cannot be bound gives one line and status 1.
func TestWrongBind(t *testing.T) {
	inUse, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = inUse.Close() })
	live := filepath.Join(directory, "live.sock")
	answering, err := net.Listen("unix", live)
	require.NoError(t, err)
	t.Cleanup(func() { _ = answering.Close() })
	parent := strconv.Itoa(os.Getpid())

	for _, test := range []struct {
		bind string
		env  []string
		want string
	}{
		{"fd@-1", nil, `kami: cannot listen on "fd@-1": a descriptor is a number from 0 on`},
		{"fd@x", nil, `kami: cannot listen on "fd@x": a descriptor is a number from 0 on`},
		{"fd@77", nil, `kami: cannot listen on "fd@77": descriptor 77 was not passed to this process as a listening socket: it is not open`},
		{"fd@1", nil, `kami: cannot listen on "fd@1": descriptor 1 was not passed to this process as a listening socket: it is not a socket`},
		{"unix:/x", nil, `kami: cannot listen on "unix:/x": an address with a colon is TCP`},
		{"", nil, `kami: cannot listen on "": it must be a TCP address`},
		{inUse.Addr().String(), nil, "listen tcp " + inUse.Addr().String() + ": bind: address already in use"},
		{directory, nil, `there is something else than a socket (drwx------)`},
		{worker, nil, `there is something else than a socket (-rwx`},
		{live, nil, `another process listens on it`},
		{filepath.Join(directory, "missing", "a.sock"), nil, "bind: no such file or directory"},
		{"einhorn@0", nil, `does not run under einhorn`},
		{"einhorn@1", []string{"EINHORN_MASTER_PID=" + parent, "EINHORN_FD_COUNT=1", "EINHORN_FD_0=77"}, `EINHORN_FD_1=""`},
		{"-", []string{"GOJI_BIND=nonsense"}, `kami: cannot listen on "nonsense": it must be a TCP address`},
		{"-", []string{"PORT=nonsense"}, `kami: cannot listen on ":nonsense": `},
		{"-", []string{"EINHORN_MASTER_PID=" + parent, "EINHORN_FD_COUNT=1", "EINHORN_FD_0=77"}, `EINHORN_FD_0="77": descriptor 77 was not passed`},
		{"-", []string{"EINHORN_MASTER_PID=" + parent, "EINHORN_FD_COUNT=1"}, `einhorn environment initialization error`},
		{"-", []string{"EINHORN_MASTER_PID=" + parent, "EINHORN_FD_COUNT=one"}, `EINHORN_FD_COUNT="one" is not a number of sockets`},
	} {
		t.Run(test.bind+" "+strings.Join(test.env, " "), func(t *testing.T) {
			program := program("-bind", test.bind)
			if test.bind == "-" { // what the environment says
				program.Args = nil
			}
			program.Env = append(program.Env, test.env...)
			p, err := supervise.Start(program)
			require.NoError(t, err)
			t.Cleanup(p.Close)
			exit, err := p.Wait(limit)
			require.NoError(t, err)
			assert.Equal(t, "exit status 1", exit.String())
			assert.Contains(t, p.Output(), test.want)
			assert.Equal(t, 1, strings.Count(p.Output(), "\n"), p.Output())
		})
	}
}

// TestSupervisorsOfOthers starts a worker with environment variables of another process.
func TestSupervisorsOfOthers(t *testing.T) {
	other := strconv.Itoa(os.Getppid())
	program := program()
	program.Env = append(program.Env, "PORT=0", "LISTEN_PID="+other, "LISTEN_FDS=1",
		"EINHORN_MASTER_PID="+other, "EINHORN_FD_COUNT=1", "EINHORN_FD_0=3")
	p, err := supervise.Start(program)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	line, err := p.Line("Starting kami on ", limit)
	require.NoError(t, err)
	assert.Contains(t, line, "[::]:", "it listens where PORT says")
	signal(t, p, syscall.SIGTERM)
	wait(t, p)
	assert.NotContains(t, p.Output(), "ACK")
}

// TestSocketsAreNotPassedOn checks that the children of a worker do not get its sockets.
func TestSocketsAreNotPassedOn(t *testing.T) {
	e, err := supervise.NewEinhorn(program())
	require.NoError(t, err)
	s, err := supervise.NewSystemd(program(), nil)
	require.NoError(t, err)
	for _, s := range []supervisor{e, s} {
		t.Cleanup(s.Close)
		require.NoError(t, s.Start())
		body, _ := ask(t, connect(t, s.Address()), "/inherited")
		assert.Empty(t, body)
	}
}

// TestUnixSocket checks the file of the socket: a stale one is replaced, and only the worker's own is removed.
func TestUnixSocket(t *testing.T) {
	path := filepath.Join(directory, "worker.sock")
	stale, err := net.Listen("unix", path)
	require.NoError(t, err)
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	require.NoError(t, stale.Close())

	startOn := func() *supervise.Process {
		p, address, err := supervise.StartBound(program(), path, limit)
		require.NoError(t, err)
		t.Cleanup(p.Close)
		assert.Equal(t, path, address)
		conn, err := net.Dial("unix", path)
		require.NoError(t, err)
		defer conn.Close()
		ask(t, conn, "/pid")
		return p
	}
	first := startOn()
	signal(t, first, syscall.SIGTERM)
	wait(t, first)
	assert.NoFileExists(t, path)

	first = startOn()
	require.NoError(t, os.Remove(path))
	second := startOn()
	signal(t, first, syscall.SIGTERM)
	wait(t, first)
	conn, err := net.Dial("unix", path)
	require.NoError(t, err, "it is the second one's")
	defer conn.Close()
	ask(t, conn, "/pid")
	signal(t, second, syscall.SIGTERM)
	_ = conn.Close()
	wait(t, second)
	assert.NoFileExists(t, path)
}

// TestSocketActivate serves under the real systemd-socket-activate.
func TestSocketActivate(t *testing.T) {
	activate, err := exec.LookPath("systemd-socket-activate")
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("systemd-socket-activate is not installed")
	}
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close()) // it takes no address but a free one
	p, err := supervise.Start(supervise.Program{Path: activate, Args: []string{"--listen=" + address, worker}})
	require.NoError(t, err)
	t.Cleanup(p.Close)
	_, err = p.Line("Listening on", limit)
	require.NoError(t, err)
	body, _ := ask(t, connect(t, address), "/pid") // the connection starts the worker
	assert.Equal(t, strconv.Itoa(p.Pid)+"\n", body, "it has become the worker, so LISTEN_PID is right")
	_, err = p.Line("Starting kami on "+address, limit)
	require.NoError(t, err)
	signal(t, p, syscall.SIGTERM)
	wait(t, p)
}
