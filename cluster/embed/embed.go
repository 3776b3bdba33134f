// Package embed runs a NATS server inside the process: for tests, for development, and for a cluster in one binary.
//
//	server, err := embed.Start(embed.Options{})
//	nc, err := server.Connect(cluster.Options()...)
package embed

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Options describes a server. With the zero value only this process can reach it, and it has no JetStream.
type Options struct {
	// StoreDir is where JetStream keeps its data. Without it there is no JetStream.
	StoreDir string
	// Host is the address that the server listens on, "127.0.0.1" by default.
	Host string
	// Port is for clients; -1 is a free port. With 0 there is no port: only [Server.Connect] reaches the server.
	Port int
	// ClusterName, ClusterHost, ClusterPort and Routes are for several NATS servers that work as one. ClusterPort -1 is a free port.
	// Without a ClusterPort there is no such cluster; with one NATS also needs a Port. Routes are the URLs of other servers, such as
	// "nats://10.0.0.1:6222".
	ClusterName string
	ClusterHost string
	ClusterPort int
	Routes      []string
	// Log gets the server's log, from Info up. Nil logs nothing.
	Log *slog.Logger
	// Configure changes all other options of NATS, such as users and their permissions, before the server starts.
	Configure func(*server.Options)
}

// ready is how long a server may take to start.
const ready = 20 * time.Second

// Server is a NATS server in this process. Its methods may be called by any goroutine.
type Server struct {
	nats *server.Server
	port bool
}

// Start starts a server, and returns when it accepts connections.
func Start(o Options) (*Server, error) {
	options, err := o.nats()
	if err != nil {
		return nil, err
	}
	s, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("embed: %w", err)
	}
	log := &logger{log: o.Log, failed: make(chan struct{})}
	s.SetLoggerV2(log, false, false, false)
	s.Start()
	started := make(chan bool, 1)
	go func() { started <- s.ReadyForConnections(ready) }()
	select {
	case ok := <-started:
		if !ok {
			err = fmt.Errorf("embed: the NATS server has not started in %v", ready)
		}
	case <-log.failed:
		err = errors.New("embed: the NATS server has not started: " + log.failure)
	}
	if err != nil {
		s.Shutdown()
		return nil, err
	}
	return &Server{s, o.Port != 0}, nil
}

// nats returns the options as NATS has them.
func (o Options) nats() (*server.Options, error) {
	if o.ClusterPort != 0 && o.Port == 0 {
		return nil, errors.New("embed: a server with a ClusterPort needs a Port for clients; -1 is a free one")
	}
	host := o.Host
	if host == "" {
		host = "127.0.0.1"
	}
	options := &server.Options{
		Host: host, Port: o.Port, DontListen: o.Port == 0, NoSigs: true,
		JetStream: o.StoreDir != "", StoreDir: o.StoreDir,
	}
	options.Cluster.Name, options.Cluster.Host, options.Cluster.Port = o.ClusterName, o.ClusterHost, o.ClusterPort
	for _, text := range o.Routes {
		route, err := url.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("embed: route: %w", err)
		}
		options.Routes = append(options.Routes, route)
	}
	if o.Configure != nil {
		o.Configure(options)
	}
	return options, nil
}

// Connect returns a connection inside the process, without a socket. For a cluster, cluster.Options() must be among the options.
func (s *Server) Connect(opts ...nats.Option) (*nats.Conn, error) {
	return nats.Connect("", append([]nats.Option{nats.InProcessServer(s.nats)}, opts...)...)
}

// URL returns the URL for clients, such as "nats://127.0.0.1:4222", or "" if the server has no port.
func (s *Server) URL() string {
	if !s.port {
		return ""
	}
	return s.nats.ClientURL()
}

// ClusterPort returns the port for the routes of other servers, or 0 if there is none.
func (s *Server) ClusterPort() int {
	if addr := s.nats.ClusterAddr(); addr != nil {
		return addr.Port
	}
	return 0
}

// Stop stops the server, cuts its connections and waits for its end.
func (s *Server) Stop() {
	s.nats.Shutdown()
	s.nats.WaitForShutdown()
}

// LameDuck tells the clients that the server is about to stop, gives them the time that NATS is configured for, and stops it.
func (s *Server) LameDuck() { s.nats.LameDuckShutdown() }

// logger passes the server's log to slog, and keeps the failure that ends the server.
type logger struct {
	log     *slog.Logger
	once    sync.Once
	failure string
	failed  chan struct{}
}

func (l *logger) say(level func(*slog.Logger, string, ...any), format string, v []any) {
	if l.log != nil {
		level(l.log, "embed: "+fmt.Sprintf(format, v...))
	}
}

func (l *logger) Noticef(format string, v ...any) { l.say((*slog.Logger).Info, format, v) }
func (l *logger) Warnf(format string, v ...any)   { l.say((*slog.Logger).Warn, format, v) }
func (l *logger) Errorf(format string, v ...any)  { l.say((*slog.Logger).Error, format, v) }
func (l *logger) Debugf(string, ...any)           {}
func (l *logger) Tracef(string, ...any)           {}

// Fatalf is called in cases in which nats-server ends its process.
func (l *logger) Fatalf(format string, v ...any) {
	l.say((*slog.Logger).Error, format, v)
	l.once.Do(func() {
		l.failure = fmt.Sprintf(format, v...)
		close(l.failed)
	})
}
