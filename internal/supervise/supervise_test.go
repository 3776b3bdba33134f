//go:build unix

package supervise_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/internal/supervise"
)

const (
	limit = 30 * time.Second       // for what comes at once
	short = 100 * time.Millisecond // for what never comes
	ack   = "{\"command\": \"worker:ack\", \"pid\": %d}\n"
)

// stubVariable is an environment variable that makes the test program run as one of the stubs.
const stubVariable = "SUPERVISE_TEST_STUB"

// stubs are programs that do what a worker of kami's never does.
var stubs = map[string]func(){
	"acks":    func() { sendAck(os.Getenv("ACK"), true); hang() },
	"no EOF":  func() { defer sendAck(ack, false).Close(); hang() },
	"exits":   func() { fmt.Println("no!"); os.Exit(3) },
	"hangs":   hang,
	"environ": func() { fmt.Println(strings.Join(os.Environ(), "\n") + "\nthat is all") },

	"worker": func() {
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGUSR2)
		sendAck(ack, true)
		fd, _ := strconv.Atoi(os.Getenv("EINHORN_FD_0"))
		fmt.Println("inherited:", fd, "nonblocking:", isNonblocking(fd))
		<-signals
	},
	"service": func() {
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM)
		fmt.Println("of", os.Getenv("LISTEN_PID"), "in", os.Getpid())
		notify(os.Getenv("NOTIFY_SOCKET"), "STATUS=it begins")
		notify(os.Getenv("NOTIFY_SOCKET"), "READY=1\nSTATUS=it serves")
		<-signals
		notify(os.Getenv("NOTIFY_SOCKET"), "STOPPING=1")
	},
}

func TestMain(m *testing.M) {
	if stub, ok := stubs[os.Getenv(stubVariable)]; ok {
		stub()
		return
	}
	os.Exit(run(m))
}

// directory is where the worker is built.
var directory string

func run(m *testing.M) int {
	var err error
	if directory, err = os.MkdirTemp("", "kami"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(directory)
	return m.Run()
}

// stub runs the test program as one of the stubs. With the race detector it would exit a second late.
func stub(name string, env ...string) supervise.Program {
	return supervise.Program{Path: os.Args[0], Env: append(env, stubVariable+"="+name, "GORACE=atexit_sleep_ms=0")}
}

// hang runs until it is ended, or long after the tests.
func hang() {
	fmt.Println("hanging")
	<-time.After(time.Minute)
}

func sendAck(format string, end bool) net.Conn {
	conn, err := net.Dial("unix", os.Getenv("EINHORN_SOCK_PATH"))
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(conn, strings.Replace(format, "%d", strconv.Itoa(os.Getpid()), 1))
	if end {
		conn.Close()
	}
	return conn
}

func notify(socket, message string) {
	conn, err := net.Dial("unixgram", socket)
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, message)
}

func isNonblocking(fd int) bool {
	flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFL, 0)
	return errno == 0 && flags&syscall.O_NONBLOCK != 0
}

// buildWorker builds internal/worker once for all tests.
var buildWorker = sync.OnceValues(func() (string, error) {
	return supervise.Build(directory, "github.com/guregu/kami/internal/worker")
})

func worker(t *testing.T, args ...string) supervise.Program {
	path, err := buildWorker()
	require.NoError(t, err)
	return supervise.Program{Path: path, Args: args}
}

func newEinhorn(t *testing.T, program supervise.Program) *supervise.Einhorn {
	e, err := supervise.NewEinhorn(program)
	require.NoError(t, err)
	t.Cleanup(e.Close)
	return e
}

func newSystemd(t *testing.T, program supervise.Program, notify *supervise.Notify) *supervise.Systemd {
	s, err := supervise.NewSystemd(program, notify)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

func listenNotify(t *testing.T, abstract bool) *supervise.Notify {
	n, err := supervise.ListenNotify(abstract)
	require.NoError(t, err)
	t.Cleanup(func() { _ = n.Close() }) // also if it has been closed
	return n
}

func start(t *testing.T, program supervise.Program) *supervise.Process {
	p, err := supervise.Start(program)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

func startBound(t *testing.T, program supervise.Program) (p *supervise.Process, address string) {
	p, address, err := supervise.StartBound(program, "127.0.0.1:0", limit)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p, address
}

// get requests a URL on a new connection.
func get(t *testing.T, client *tls.Config, url string) string {
	transport := &http.Transport{TLSClientConfig: client, DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport, Timeout: limit}).Get(url)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}

// assertServes asserts that requests are answered by that process.
func assertServes(t *testing.T, p *supervise.Process, address string) {
	assert.Equal(t, fmt.Sprintln(p.Pid), get(t, nil, "http://"+address+"/pid"))
}

func assertClean(t *testing.T, count int, exits []supervise.Exit) {
	assert.Len(t, exits, count)
	for _, exit := range exits {
		assert.Equal(t, "exit status 0", exit.String())
		assert.Positive(t, exit.After)
	}
}

func TestEinhorn(t *testing.T) {
	t.Parallel()
	e := newEinhorn(t, worker(t))
	require.NoError(t, e.Start())
	var want []string
	for range 3 {
		want = append(want, fmt.Sprintf(ack, e.Process().Pid))
		assertServes(t, e.Process(), e.Address())
		require.NoError(t, e.Upgrade())
	}
	want = append(want, fmt.Sprintf(ack, e.Process().Pid))
	assertServes(t, e.Process(), e.Address())
	require.NoError(t, e.Stop(syscall.SIGINT))
	assert.Equal(t, want, e.Acks())
	assertClean(t, 4, e.Exits)
}

func TestEinhornsSignalAndDescriptor(t *testing.T) {
	t.Parallel()
	file, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer file.Close()
	program := stub("worker")
	program.Files = []*os.File{file}
	e := newEinhorn(t, program)
	require.NoError(t, e.Start())
	for range 2 {
		_, err := e.Process().Line("inherited: 4 nonblocking: true", limit)
		require.NoError(t, err)
		require.NoError(t, e.Upgrade())
	}
	assertClean(t, 2, e.Exits)
}

func TestEinhornRefusesWrongAcks(t *testing.T) {
	t.Parallel()
	endless := stub("no EOF")
	endless.Grace = short
	for name, test := range map[string]struct {
		program supervise.Program
		limit   time.Duration
		want    string
	}{
		"another's pid": {stub("acks", "ACK="+fmt.Sprintf(ack, 1)), limit, `has sent the ACK .* instead of .*`},
		"garbage":       {stub("acks", "ACK=hello\n"), limit, `has sent the ACK "hello\\n" instead of`},
		"nothing":       {stub("acks", "ACK="), limit, `has sent the ACK "" instead of`},
		"no newline":    {stub("acks", "ACK="+strings.TrimSpace(ack)), limit, `has sent the ACK .*}" instead of .*}\\n"`},
		"more":          {stub("acks", "ACK="+ack+"\n"), limit, `has sent the ACK .*}\\n\\n" instead of`},
		"no EOF":        {endless, limit, `has sent the ACK .* \(.*i/o timeout\)" instead of`},
		"none":          {stub("hangs"), short, `\(still running\) has sent no ACK; its output:\n`},
		"an exit":       {stub("exits"), limit, `\(exit status 3\) has sent no ACK; its output:\nno!\n`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEinhorn(t, test.program)
			e.Limit = test.limit
			assert.Regexp(t, `^supervise: pid \d+ .*`+test.want, errorOf(e.Start()))
			assert.Nil(t, e.Process())
		})
	}
}

// TestEinhornKeepsTheOldWorker has a worker that starts only the first time.
func TestEinhornKeepsTheOldWorker(t *testing.T) {
	t.Parallel()
	once := filepath.Join(t.TempDir(), "once")
	program := stub("worker")
	program.Args = []string{"-c", `mkdir "$0" && exec "$1"`, once, program.Path}
	program.Path = "/bin/sh"
	e := newEinhorn(t, program)
	require.NoError(t, e.Start())
	old := e.Process()
	assert.ErrorContains(t, e.Upgrade(), "(exit status 1) has sent no ACK")
	assert.Same(t, old, e.Process())
	assert.NoError(t, e.Stop(syscall.SIGUSR2))
	assertClean(t, 1, e.Exits)
}

func TestSystemd(t *testing.T) {
	t.Parallel()
	notify := listenNotify(t, false)
	for _, n := range []*supervise.Notify{nil, notify} {
		s := newSystemd(t, worker(t), n)
		require.NoError(t, s.Start())
		for range 3 {
			assertServes(t, s.Process(), s.Address())
			require.NoError(t, s.Restart())
		}
		assertServes(t, s.Process(), s.Address())
		require.NoError(t, s.Stop(syscall.SIGINT))
		assertClean(t, 4, s.Exits)
	}
	require.True(t, notify.Await("STOPPING=1", limit))
	assert.Equal(t, []string{"READY=1", "STOPPING=1", "READY=1"}, notify.Messages()[:3])
}

func TestSystemdWaitsForReadiness(t *testing.T) {
	t.Parallel()
	for _, abstract := range abstracts() {
		notify := listenNotify(t, abstract)
		s := newSystemd(t, stub("service"), notify)
		require.NoError(t, s.Start())
		pid := s.Process().Pid
		_, err := s.Process().Line(fmt.Sprintf("of %d in %d\n", pid, pid), limit)
		assert.NoError(t, err)
		require.NoError(t, s.Restart())
		require.NoError(t, s.Stop(syscall.SIGTERM))
		assertClean(t, 2, s.Exits)
		assert.True(t, notify.Await("STOPPING=1", limit))
		assert.False(t, notify.Await("STOPPING", 0))
		begin := []string{"STATUS=it begins", "READY=1\nSTATUS=it serves"}
		assert.Equal(t, append(begin, "STOPPING=1"), s.Messages()[:3])
		assert.Equal(t, begin, s.Messages()[3:5])
	}
}

func TestSystemdRefusesServicesThatAreNotReady(t *testing.T) {
	t.Parallel()
	for program, test := range map[string]struct {
		limit time.Duration
		want  string
	}{
		"exits": {limit, `\(exit status 3\) has not sent READY=1; its output:\nno!\n$`},
		"hangs": {short, `\(still running\) has not sent READY=1; its output:\n`},
	} {
		s := newSystemd(t, stub(program), listenNotify(t, false))
		s.Limit = test.limit
		assert.Regexp(t, test.want, errorOf(s.Start()))
	}
}

func TestNotify(t *testing.T) {
	t.Parallel()
	for _, abstract := range abstracts() {
		n := listenNotify(t, abstract)
		assert.Equal(t, abstract, strings.HasPrefix(n.Name(), "@"))
		assert.False(t, n.Await("READY=1", 0))
		notify(n.Name(), "READY=1\nMAINPID=1")
		notify(n.Name(), "STOPPING=1\n")
		assert.True(t, n.Await("STOPPING=1", limit))
		assert.True(t, n.Await("READY=1", 0))
		assert.Equal(t, []string{"READY=1\nMAINPID=1", "STOPPING=1\n"}, n.Messages())
	}
}

// abstracts are the kinds of sockets of the system.
func abstracts() []bool {
	if runtime.GOOS == "linux" {
		return []bool{false, true}
	}
	return []bool{false}
}

func TestWaitHasALimit(t *testing.T) {
	t.Parallel()
	p := start(t, stub("hangs"))
	_, err := p.Line("hanging", limit)
	require.NoError(t, err)
	exit, err := p.Wait(time.Millisecond)
	assert.Regexp(t, `^supervise: pid \d+ \(still running\) has not ended within 1ms; its output:\nhanging\n(?s).*goroutine 1 `,
		errorOf(err))
	assert.Equal(t, supervise.Exit{Pid: p.Pid, Code: 2}, exit)

	p = start(t, supervise.Program{Path: "/bin/sh", Args: []string{"-c", `trap "" QUIT; echo deaf; exec sleep 60`}, Grace: short})
	_, err = p.Line("deaf", limit)
	require.NoError(t, err)
	exit, err = p.Wait(0)
	assert.ErrorContains(t, err, "has not ended within 0s; its output:\ndeaf\n")
	assert.Equal(t, supervise.Exit{Pid: p.Pid, Code: -1, Signal: syscall.SIGKILL}, exit)
}

func TestLine(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	script := `echo one two; echo three >&2; printf four`
	p := start(t, supervise.Program{Path: "/bin/sh", Args: []string{"-c", script}, Log: &log})
	line, err := p.Line("two", limit)
	require.NoError(t, err)
	assert.Equal(t, "one two", line)
	<-p.Done()
	assert.Equal(t, "one two\nthree\nfour", p.Output())
	assert.Equal(t, p.Output(), log.String())
	_, err = p.Line("five", limit)
	assert.ErrorContains(t, err, `(exit status 0) has not written "five"; its output:`)
	assert.ErrorIs(t, p.Signal(syscall.SIGTERM), os.ErrProcessDone)
}

func TestProgramsThatCannotStart(t *testing.T) {
	t.Parallel()
	missing := supervise.Program{Path: filepath.Join(t.TempDir(), "missing")}
	_, err := supervise.Start(missing)
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, missing.Path)
	assert.ErrorIs(t, newEinhorn(t, missing).Start(), os.ErrNotExist)
	assert.ErrorIs(t, newSystemd(t, missing, nil).Start(), os.ErrNotExist)
	_, _, err = supervise.StartBound(worker(t, "-mode=none"), "127.0.0.1:0", limit)
	assert.ErrorContains(t, err, `worker: -mode "none" is unknown`)
	_, err = supervise.Build(t.TempDir(), "./missing")
	assert.ErrorContains(t, err, "supervise: building ./missing: exit status 1\n")
}

func TestStopOfWhatHasEnded(t *testing.T) {
	t.Parallel()
	s := newSystemd(t, stub("exits"), nil)
	require.NoError(t, s.Start())
	<-s.Process().Done()
	assert.ErrorContains(t, s.Restart(), "(exit status 3) ended before it was told to; its output:\nno!\n")
}

func TestEnvironment(t *testing.T) {
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "EINHORN_FD_COUNT", "NOTIFY_SOCKET", "GOJI_BIND", "PORT", "PORTER"} {
		t.Setenv(name, "leftover")
	}
	p := start(t, stub("environ", "PORT=mine"))
	_, err := p.Line("that is all", limit)
	require.NoError(t, err)
	assert.Equal(t, 1, strings.Count(p.Output(), "leftover"))
	assert.Contains(t, p.Output(), "\nPORTER=leftover\n")
	assert.Contains(t, p.Output(), "\nPORT=mine\n")
}

func TestWorker(t *testing.T) {
	t.Parallel()
	p, address := startBound(t, worker(t))
	assertServes(t, p, address)
	assert.Equal(t, "ok 7\n", get(t, nil, "http://"+address+"/echo?id=7"))
	assert.Equal(t, "ok 8\n", get(t, nil, "http://"+address+"/slow?id=8&ms=1"))
	response, err := http.Post("http://"+address+"/echo?id=9", "", strings.NewReader("body"))
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	assert.Equal(t, "ok 9\n", string(body))
	assert.Equal(t, "4", response.Header.Get("Body-Length"))
}

func TestWorkersHooks(t *testing.T) {
	t.Parallel()
	for hooks, want := range map[string][]string{
		"print":            {"pre hook", "post hook"},
		"print,panic":      {"pre hook", "the pre hook panics"},
		"panic-post,print": {"pre hook", "the post hook panics"},
	} {
		p, _ := startBound(t, worker(t, "-hooks", hooks))
		require.NoError(t, p.Signal(syscall.SIGTERM))
		exit, err := p.Wait(limit)
		require.NoError(t, err)
		assertClean(t, 1, []supervise.Exit{exit})
		for _, line := range want {
			_, err := p.Line(line, 0)
			assert.NoError(t, err, hooks)
		}
	}
}

func TestWorkersOfOneFileHaveOneCertificate(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "certificate.pem")
	program := worker(t, "-mode", "tls", "-certificate", file)
	_, first := startBound(t, program)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	client := &tls.Config{RootCAs: x509.NewCertPool()}
	require.True(t, client.RootCAs.AppendCertsFromPEM(text))
	_, second := startBound(t, program)
	for _, address := range []string{first, second} {
		assert.Equal(t, "ok 7\n", get(t, client, "https://"+address+"/echo?id=7"))
	}
}

func errorOf(err error) string {
	if err == nil {
		return "no error"
	}
	return err.Error()
}
