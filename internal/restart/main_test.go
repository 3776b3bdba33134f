//go:build unix

package restart

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/internal/load"
	"github.com/guregu/kami/internal/supervise"
)

var (
	restarts = flag.Int("restarts", 2, "restarts in each cell of the tests under load")
	figures  = flag.Bool("figures", false, "fail if an end takes longer than it should, or an idle connection more memory; for a machine at rest")
)

const (
	limit  = 30 * time.Second       // for what comes, but not when
	linger = 500 * time.Millisecond // as kami's
)

// worker is the program. directory has it and all other files.
var worker, directory string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if directory, err = os.MkdirTemp("", "kami"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(directory)
	var flags []string
	if race {
		flags = append(flags, "-race")
	}
	if worker, err = supervise.Build(directory, "github.com/guregu/kami/internal/worker", flags...); err != nil {
		fmt.Println(err)
		return 1
	}
	return m.Run()
}

// program is the worker with the arguments. The race detector, if any, must not delay its end.
func program(args ...string) supervise.Program {
	return supervise.Program{Path: worker, Args: args, Env: []string{"GORACE=atexit_sleep_ms=0"}}
}

// start starts the worker without a supervisor.
func start(t *testing.T, args ...string) (p *supervise.Process, address string) {
	p, address, err := supervise.StartBound(program(args...), "127.0.0.1:0", limit)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p, address
}

// wait waits for the end, which must be clean, and returns how long after the last signal it came.
func wait(t *testing.T, p *supervise.Process) time.Duration {
	t.Helper()
	exit, err := p.Wait(limit)
	require.NoError(t, err)
	assert.Equal(t, "exit status 0", exit.String(), p.Output())
	return exit.After
}

func signal(t *testing.T, p *supervise.Process, signals ...os.Signal) {
	t.Helper()
	for _, s := range signals {
		require.NoError(t, p.Signal(s))
	}
}

// connect opens a connection with a deadline.
func connect(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, limit)
	require.NoError(t, err)
	require.NoError(t, conn.SetDeadline(time.Now().Add(limit)))
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// trusting is a client's config that trusts the certificate of the workers with that file.
func trusting(t *testing.T, file string) *tls.Config {
	pem, err := os.ReadFile(file)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(pem))
	return &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}
}

// certificate is the file with the certificate of all workers. The first worker makes it.
func certificate() string { return filepath.Join(directory, "certificate.pem") }

// begin has clients send requests until the returned function is called, which returns the result.
func begin(t *testing.T, c load.Config) (end func() load.Result) {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	c.Limit = limit
	c.Check = func(id, body string) error {
		if body != "ok "+id+"\n" {
			return fmt.Errorf("%q", body)
		}
		return nil
	}
	results := make(chan load.Result, 1)
	go func() {
		result, err := load.Run(ctx, c)
		assert.NoError(t, err)
		results <- result
	}()
	return func() load.Result {
		cancel()
		return <-results
	}
}

// cells are the kinds of load, and how the worker serves for them.
var cells = []struct {
	name string
	load load.Config
	mode string
}{
	{"keep-alive", load.Config{Mode: load.KeepAlive, Path: "/echo", Clients: 64, Think: 20 * time.Millisecond}, "plain"},
	{"keep-alive, looking", load.Config{Mode: load.KeepAliveLooking, Path: "/echo", Clients: 64, Think: 20 * time.Millisecond}, "plain"},
	{"new connections", load.Config{Mode: load.NewConnection, Path: "/echo", Clients: 16, Think: 2 * time.Millisecond}, "plain"},
	{"POST by net/http", load.Config{Mode: load.TransportPost, Path: "/echo", Clients: 16, Think: 2 * time.Millisecond}, "plain"},
	{"slow handlers", load.Config{Mode: load.KeepAlive, Path: "/slow?ms=200", Clients: 64, Think: 20 * time.Millisecond}, "plain"},
	{"HTTP-2", load.Config{Mode: load.HTTP2, Path: "/echo", Clients: 16, Think: 2 * time.Millisecond, Rewind: true}, "tls"},
	{"h2c", load.Config{Mode: load.H2C, Path: "/echo", Clients: 16, Think: 2 * time.Millisecond, Rewind: true}, "h2c"},
}

// supervisor restarts a worker.
type supervisor interface {
	Start() error
	Address() string
	Close()
}

// TestRestartsLoseNothing restarts workers under load. Every request that was begun must be answered, and every worker
// must exit with status 0. (HTTP/2 lets clients send again what a GOAWAY says was not begun; see package load.)
func TestRestartsLoseNothing(t *testing.T) {
	for _, cell := range cells {
		args := []string{"-mode", cell.mode, "-certificate", certificate()}
		t.Run("einhorn, "+cell.name, func(t *testing.T) {
			e, err := supervise.NewEinhorn(program(args...))
			require.NoError(t, err)
			restart(t, cell.load, e, e.Upgrade, e.Service)
		})
		t.Run("systemd, "+cell.name, func(t *testing.T) {
			var notify *supervise.Notify
			if cell.mode != "h2c" { // for which Serve does not see to that
				var err error
				notify, err = supervise.ListenNotify(false)
				require.NoError(t, err)
			}
			s, err := supervise.NewSystemd(program(args...), notify)
			require.NoError(t, err)
			restart(t, cell.load, s, s.Restart, s.Service)
		})
	}
}

func restart(t *testing.T, c load.Config, s supervisor, again func() error, service *supervise.Service) {
	t.Cleanup(s.Close)
	restartTimes(t, *restarts, c, s, again, service)
}

func restartTimes(t *testing.T, times int, c load.Config, s supervisor, again func() error, service *supervise.Service) {
	require.NoError(t, s.Start())
	c.Address = s.Address()
	if c.Mode == load.HTTP2 {
		c.TLS = trusting(t, certificate())
	}
	warm(t, s.Address())
	end := begin(t, c)
	for range times {
		pause(t, 100*time.Millisecond) // of load on each worker
		require.NoError(t, again())
		warm(t, s.Address())
	}
	result := end()
	require.NoError(t, service.Stop(os.Interrupt))
	t.Log(result)
	assert.Zero(t, result.Failed, "%s", strings.Join(result.Failures, "\n"))
	assert.Greater(t, result.Answered, times)
	assert.Len(t, service.Exits, times+1)
	for _, exit := range service.Exits {
		assert.Equal(t, "exit status 0", exit.String())
	}
}

// warm waits until the worker handles its signals, which is so once it serves.
func warm(t *testing.T, address string) {
	conn := connect(t, address)
	defer conn.Close()
	_, err := fmt.Fprintf(conn, "GET /pid HTTP/1.1\r\nHost: kami\r\nConnection: close\r\n\r\n")
	require.NoError(t, err)
	_, err = conn.Read(make([]byte, 1))
	require.NoError(t, err)
}

// pause lets the load go on for a while. There is no event to wait for.
func pause(t *testing.T, d time.Duration) {
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

// get asks for a path over an open connection.
func get(conn net.Conn, path string) error {
	r, err := http.NewRequest(http.MethodGet, "http://kami"+path, nil)
	if err != nil {
		return err
	}
	return r.Write(conn)
}
