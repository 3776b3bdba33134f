//go:build unix

package supervise

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// pipeLimit is for descendants that live on to let go of the output.
const pipeLimit = 2 * time.Second

// Program is the program to run.
type Program struct {
	Path string
	Args []string // without the program's name
	// Env is added to the environment of this process, and replaces variables of a supervisor (except LISTEN_PID). Variables of this
	// process about a supervisor, or about an address to bind, are not passed on.
	Env []string
	// Files are inherited, numbered from 3 on, or from 4 on under Systemd.
	Files []*os.File
	// Log, if set, gets the output as it comes, from a goroutine of each process.
	Log io.Writer
	// Grace limits what a process should do at once: end its ACK, dump its goroutines. Zero means 30 seconds.
	Grace time.Duration
}

func (p Program) grace() time.Duration { return cmp.Or(p.Grace, startLimit) }

// Build builds a main package in the directory, with flags for go build, and returns the program's path.
func Build(directory, pkg string, flags ...string) (string, error) {
	path := filepath.Join(directory, filepath.Base(pkg))
	args := append([]string{"build", "-buildvcs=false", "-o", path}, flags...)
	if output, err := exec.Command("go", append(args, pkg)...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("supervise: building %s: %w\n%s", pkg, err, output)
	}
	return path, nil
}

// Process is a process that has been started. Its methods may be called by several goroutines at once.
type Process struct {
	Pid int

	command *exec.Cmd
	output  journal
	grace   time.Duration
	done    chan struct{}
	exit    Exit // set when done is closed

	mu        sync.Mutex
	signalled time.Time
}

// Exit says how a process has ended.
type Exit struct {
	Pid    int
	Code   int            // the exit status, or -1 if a signal ended it
	Signal syscall.Signal // that ended it, or 0
	After  time.Duration  // since the last Process.Signal, or 0 if there was none
}

// String is "exit status 0", "signal: killed" or the like.
func (e Exit) String() string {
	if e.Signal != 0 {
		return "signal: " + e.Signal.String()
	}
	return fmt.Sprintf("exit status %d", e.Code)
}

// Start starts a program without a supervisor.
func Start(program Program) (*Process, error) {
	command := exec.Command(program.Path, program.Args...)
	p := &Process{command: command, grace: program.grace(), done: make(chan struct{})}
	var output io.Writer = &p.output
	if program.Log != nil {
		output = io.MultiWriter(output, program.Log)
	}
	p.command.Stdout, p.command.Stderr = output, output
	p.command.Env = append(environment(), program.Env...)
	p.command.ExtraFiles = program.Files
	p.command.WaitDelay = pipeLimit
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("supervise: %w", err)
	}
	p.Pid = p.command.Process.Pid
	go p.reap()
	return p, nil
}

// StartBound starts a program of kami's without a supervisor, with the flag -bind before its other arguments. It waits
// until the program has logged the address that it serves on, and returns that.
func StartBound(program Program, bind string, limit time.Duration) (p *Process, address string, err error) {
	program.Args = append([]string{"-bind", bind}, program.Args...)
	if p, err = Start(program); err != nil {
		return nil, "", err
	}
	const starting = "Starting kami on "
	line, err := p.Line(starting, limit)
	if err != nil {
		p.Close()
		return nil, "", err
	}
	_, address, _ = strings.Cut(line, starting)
	return p, address, nil
}

// environment returns the environment of this process without the variables that would mislead a child about its supervisor or address.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return strings.HasPrefix(name, "LISTEN_") || strings.HasPrefix(name, "EINHORN_") ||
			name == "NOTIFY_SOCKET" || name == "GOJI_BIND" || name == "PORT"
	})
}

// reap waits for the end of the process and of its output.
func (p *Process) reap() {
	_ = p.command.Wait() // the state says more than the error
	now, state := time.Now(), p.command.ProcessState
	p.exit = Exit{Pid: p.Pid, Code: state.ExitCode()}
	if status := state.Sys().(syscall.WaitStatus); status.Signaled() {
		p.exit.Signal = status.Signal()
	}
	p.mu.Lock()
	if !p.signalled.IsZero() {
		p.exit.After = now.Sub(p.signalled)
	}
	p.mu.Unlock()
	close(p.done)
}

// Signal sends a signal. It is an error if the process has ended.
func (p *Process) Signal(sig os.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if err := p.command.Process.Signal(sig); err != nil {
		return fmt.Errorf("supervise: pid %d: %v: %w", p.Pid, sig, err)
	}
	p.signalled = now
	return nil
}

// Done returns a channel that closes when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the end of the process. If it still runs at the limit it is killed, with SIGQUIT first, so that a Go
// program dumps its goroutines, and there is an error with all its output.
func (p *Process) Wait(limit time.Duration) (Exit, error) {
	var err error
	if !p.ends(limit) {
		err = p.abort(fmt.Sprintf("has not ended within %v", limit))
	}
	return p.exit, err
}

// Output returns what the process has written so far, to its standard output and error.
func (p *Process) Output() string { return p.output.text() }

// Line waits for a whole line of the output that contains substr, and returns it. One that has come before counts.
func (p *Process) Line(substr string, limit time.Duration) (string, error) {
	match := func(line string) bool { return strings.Contains(line, substr) }
	line, found := p.output.await(0, match, limit, p.done)
	if !found {
		return "", p.failure(fmt.Sprintf("has not written %q", substr), p.status())
	}
	return strings.TrimSuffix(line, "\n"), nil
}

// Close kills the process if it still runs, and waits for its end.
func (p *Process) Close() {
	_ = p.command.Process.Kill()
	<-p.done
}

// ends waits for the end of the process, and returns whether it has come within the limit.
func (p *Process) ends(limit time.Duration) bool {
	select {
	case <-p.done:
	case <-time.After(limit):
	}
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// abort ends a process that has failed. The output in the error has its goroutines, if it is a Go program and still ran.
func (p *Process) abort(what string) error {
	status := p.status()
	_ = p.command.Process.Signal(syscall.SIGQUIT)
	if !p.ends(p.grace) {
		p.Close()
	}
	return p.failure(what, status)
}

func (p *Process) status() string {
	if p.ends(0) {
		return p.exit.String()
	}
	return "still running"
}

func (p *Process) failure(what, status string) error {
	return fmt.Errorf("supervise: pid %d (%s) %s; its output:\n%s", p.Pid, status, what, p.Output())
}
