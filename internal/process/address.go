package process

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/zenazn/goji/bind"
)

func init() {
	bind.WithFlag()
}

// Listen listens on the address of the flag -bind, and parses the flags if they are not parsed yet. It exits with status 1 if it cannot.
func Listen() net.Listener { return host.listen() }

// listen calls goji/bind, which exits if it cannot listen. It first refuses addresses for which goji/bind would print a stack, or an error
// that does not say what is wrong.
func (sys *system) listen() net.Listener {
	if !flag.Parsed() {
		flag.Parse()
	}
	address, path := bindAddress(), ""
	err := sys.checkBind(address)
	if err == nil && isSocketPath(address) {
		path, err = clearSocket(address)
	}
	if err != nil {
		sys.fatal("kami: cannot listen on %q: %v", address, err)
		return nil
	}
	if passed, _ := sys.number("LISTEN_FDS"); address == "fd@3" && passed > 1 {
		log.Printf("kami: systemd has passed %d sockets, of which only the first is served", passed)
	}
	l := sys.bind()
	if unix, ok := l.(*net.UnixListener); ok && path != "" {
		return newOwnSocket(unix, path)
	}
	return l
}

// bindAddress returns the value of the flag -bind, or its default if the app has replaced the flags of package flag.
func bindAddress() string {
	if f := flag.Lookup("bind"); f != nil {
		return f.Value.String()
	}
	return cmp.Or(bind.Sniff(), bind.DefaultBind)
}

func isSocketPath(address string) bool {
	return !strings.Contains(address, ":") && (strings.HasPrefix(address, ".") || strings.HasPrefix(address, "/"))
}

// checkBind returns an error that says what is wrong with an address, or with the environment that it comes from, in goji/bind's order.
func (sys *system) checkBind(address string) error {
	if err := sys.checkEnvironment(); err != nil {
		return err
	}
	switch {
	case strings.Contains(address, ":"):
		return checkTCP(address)
	case isSocketPath(address):
		return nil
	case strings.HasPrefix(address, "fd@"):
		return sys.checkDescriptor(strings.TrimPrefix(address, "fd@"))
	case strings.HasPrefix(address, "einhorn@"):
		return sys.checkEinhorn(strings.TrimPrefix(address, "einhorn@"))
	}
	return errors.New(`it must be a TCP address with a port, as ":8000", a Unix socket's path that begins with "/" or ".", "fd@N" or "einhorn@N"`)
}

func checkTCP(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return fmt.Errorf(`an address with a colon is TCP and ends in a port (a Unix socket is its path alone): %w`, err)
	}
	return nil
}

// checkEnvironment refuses variables that are meant for this process and have no number of sockets: goji/bind would ignore them
// and listen elsewhere.
func (sys *system) checkEnvironment() error {
	if sys.is("EINHORN_MASTER_PID", sys.getppid()) {
		if _, err := sys.number("EINHORN_FD_COUNT"); err != nil {
			return err
		}
	}
	if !sys.is("LISTEN_PID", sys.getpid()) {
		return nil
	}
	_, err := sys.number("LISTEN_FDS")
	return err
}

// number returns the number of sockets in an environment variable.
func (sys *system) number(variable string) (uint64, error) {
	value := sys.getenv(variable)
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%s=%q is not a number of sockets", variable, value)
	}
	return n, nil
}

// checkEinhorn checks the socket with that number of einhorn's. It finds the descriptor as goji/bind will.
func (sys *system) checkEinhorn(number string) error {
	if _, err := strconv.ParseUint(number, 10, 31); err != nil {
		return errors.New("einhorn@N takes the number of one of einhorn's sockets, from 0 on")
	}
	if !sys.is("EINHORN_MASTER_PID", sys.getppid()) {
		return errors.New("this process does not run under einhorn (EINHORN_MASTER_PID is not its parent)")
	}
	variable := "EINHORN_FD_" + number
	if err := sys.checkDescriptor(sys.getenv(variable)); err != nil {
		return fmt.Errorf("%s=%q: %w", variable, sys.getenv(variable), err)
	}
	return nil
}

func (sys *system) checkDescriptor(number string) error {
	fd, err := strconv.ParseUint(number, 10, 31)
	if err != nil {
		return errors.New("a descriptor is a number from 0 on")
	}
	if err := sys.listens(int(fd)); err != nil {
		return fmt.Errorf("descriptor %d was not passed to this process as a listening socket: %w", fd, err)
	}
	return nil
}

// clearSocket removes the file of a socket on which no process answers, so that the path can be bound. It returns the absolute path.
func clearSocket(address string) (path string, err error) {
	if path, err = filepath.Abs(address); err != nil {
		return "", err
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return path, nil
	case err != nil:
		return "", err
	case info.Mode().Type() != os.ModeSocket:
		return "", fmt.Errorf("there is something else than a socket (%s)", info.Mode())
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		_ = conn.Close()
		return "", errors.New("another process listens on it")
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		err = os.Remove(path)
	}
	return path, err
}

// ownSocket is a Unix socket that removes its file when it closes, unless somebody has replaced the file.
type ownSocket struct {
	*net.UnixListener
	path string
	file os.FileInfo
	once sync.Once
}

func newOwnSocket(l *net.UnixListener, path string) net.Listener {
	l.SetUnlinkOnClose(false)
	file, err := os.Lstat(path)
	if err != nil {
		return l
	}
	return &ownSocket{UnixListener: l, path: path, file: file}
}

// Close removes the file first, because while the socket is open no other file can be mistaken for its own.
func (l *ownSocket) Close() error {
	l.once.Do(func() {
		if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.file) {
			_ = os.Remove(l.path)
		}
	})
	return l.UnixListener.Close()
}
