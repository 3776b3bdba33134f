package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"
	pitaya "github.com/topfreegames/pitaya/v3/pkg"
	pitayacluster "github.com/topfreegames/pitaya/v3/pkg/cluster"
	"github.com/topfreegames/pitaya/v3/pkg/component"
	"github.com/topfreegames/pitaya/v3/pkg/config"
	"github.com/topfreegames/pitaya/v3/pkg/constants"
	pitayaerrors "github.com/topfreegames/pitaya/v3/pkg/errors"
	pitayalog "github.com/topfreegames/pitaya/v3/pkg/logger/logrus"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func init() {
	silent := logrus.New()
	silent.SetLevel(logrus.FatalLevel)
	pitaya.SetLogger(pitayalog.NewWithLogger(silent))
}

// pitayas are a server and a caller of Pitaya v3. They find each other without etcd.
type pitayas struct {
	caller                  pitaya.Pitaya
	server                  string // the id of the server
	conf                    config.PitayaConfig
	calls, failed, timedOut atomic.Int64
	ends                    []func()
}

// startPitayas starts both, with the settings that Pitaya has by default.
func startPitayas(url string) *pitayas {
	p := &pitayas{conf: *config.NewDefaultPitayaConfig()}
	client, server := &p.conf.Cluster.RPC.Client.Nats, &p.conf.Cluster.RPC.Server.Nats
	client.Connect, server.Connect = url, url
	client.MaxReconnectionRetries, server.MaxReconnectionRetries = 0, 0 // the caller's connection is not closed by its app, so it ends with NATS
	p.conf.Concurrency.Handler.Dispatch = 0                             // there are no clients, and these goroutines of two apps have a data race
	known := make(directory)
	math, endMath := known.start("math", p.conf, new(PitayaMath))
	caller, endCaller := known.start("caller", p.conf)
	p.caller, p.server, p.ends = caller, math.GetServerID(), []func(){endCaller, endMath}
	for range 100 { // until NATS knows of the server, calls fail at once
		if _, _ = p.call(context.Background(), Request{}); p.failed.Swap(0) == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	p.count()
	return p
}

// end ends both apps, and resets the signals, which an app goes on catching.
func (p *pitayas) end() {
	for _, end := range p.ends {
		end()
	}
	signal.Reset(os.Interrupt, syscall.SIGQUIT, syscall.SIGTERM)
}

// settings describes the settings of Pitaya.
func (p *pitayas) settings() string {
	server := p.conf.Cluster.RPC.Server.Nats
	return fmt.Sprintf("Pitaya v3 has its Builder's settings, with three exceptions: it knows its servers from the start, without etcd, it "+
		"handles no clients, and it does not reconnect. A call may take %v. The server has %d goroutines and queues %d messages. Pitaya "+
		"sends protobuf, two integers there and one back; kami sends JSON. Pitaya's calls that fail are counted and do not end the measurement.", p.conf.Cluster.RPC.Client.Nats.RequestTimeout, server.Services, server.Buffer.Messages)
}

// call calls any server of the type, as kami does. callTo calls the server with the id, which costs Pitaya less. Both count the call. They
// return an answer even for a call that fails.
func (p *pitayas) call(ctx context.Context, request Request) (Response, error) {
	return p.counted(request, func(in *timestamppb.Timestamp, out *wrapperspb.Int64Value) error {
		return p.caller.RPC(ctx, "math.math.sum", out, in)
	})
}

func (p *pitayas) callTo(ctx context.Context, request Request) (Response, error) {
	return p.counted(request, func(in *timestamppb.Timestamp, out *wrapperspb.Int64Value) error {
		return p.caller.RPCTo(ctx, p.server, "math.math.sum", out, in)
	})
}

func (p *pitayas) counted(request Request, call func(in *timestamppb.Timestamp, out *wrapperspb.Int64Value) error) (Response, error) {
	var sum wrapperspb.Int64Value
	err := call(&timestamppb.Timestamp{Seconds: int64(request.A), Nanos: int32(request.B)}, &sum)
	p.calls.Add(1)
	if err != nil || sum.Value != int64(request.A+request.B) {
		p.failed.Add(1)
	}
	if e := new(pitayaerrors.Error); errors.As(err, &e) && e.Code == "PIT-408" {
		p.timedOut.Add(1)
	}
	return Response{request.A + request.B}, nil
}

// count returns the number of calls since the last count, how many of them have failed, and how many of the failed ones timed out.
func (p *pitayas) count() (calls, failed, timedOut int64) {
	return p.calls.Swap(0), p.failed.Swap(0), p.timedOut.Swap(0)
}

// room is how many calls can wait at the server. It drops calls that come when as many wait; they time out.
func (p *pitayas) room() int { return p.conf.Cluster.RPC.Server.Nats.Buffer.Messages }

// flood has many callers call for some seconds, and writes how many calls were answered. It does not work in turns because each call that
// fails takes its whole timeout.
func (p *page) flood(theirs *pitayas, callers int) {
	theirs.count()
	start := time.Now()
	makeCalls([]call{func(ctx context.Context, request Request) (Response, error) {
		if time.Since(start) > 6*time.Second {
			return Response{request.A + request.B}, nil
		}
		return theirs.call(ctx, request)
	}}, callers, 50)
	took := time.Since(start)
	calls, failed, timedOut := theirs.count()
	p.printf("\nPitaya v3, by itself, failed in %d of %d calls of %d callers, in %d by its timeout, and answered %.0f a second.\n", failed, calls,
		callers, timedOut, float64(calls-failed)/took.Seconds())
}

// beside writes how many times as many calls a second kami makes as Pitaya, given the times of both. Least is the limit, or 0 for none.
func (p *page) beside(theirs *pitayas, kamis, its []float64, least float64) {
	calls, failed, _ := theirs.count()
	ratio := median(ratios(its, kamis))
	p.printf("\n%.2f times the calls a second of Pitaya v3", ratio)
	if least > 0 {
		p.printf(", at least %.1f: %s", least, held(least, ratio))
	}
	p.printf(". Of its %d calls %d failed.\n", calls, failed)
}

// PitayaMath is a component of Pitaya.
type PitayaMath struct{ component.Base }

// Sum adds. Its messages are types of the protobuf module: one with two integers and one with one.
func (*PitayaMath) Sum(_ context.Context, request *timestamppb.Timestamp) (*wrapperspb.Int64Value, error) {
	return wrapperspb.Int64(request.Seconds + int64(request.Nanos)), nil
}

// directory holds the apps, by type and then by id, for Pitaya's service discovery. They neither come nor go.
type directory map[string]map[string]*pitayacluster.Server

// start starts an app, adds it to the directory, and returns it with a function that ends it. An app that a signal ends also ends the process.
func (d directory) start(serverType string, conf config.PitayaConfig, remotes ...component.Component) (app pitaya.Pitaya, end func()) {
	b := pitaya.NewBuilder(false, serverType, pitaya.Standalone, nil, conf) // the builder's cluster mode needs etcd
	var err error
	// nil replaces b.DieChan, because a lost connection would send on it after the app has closed it.
	b.RPCServer, err = pitayacluster.NewNatsRPCServer(conf.Cluster.RPC.Server.Nats, b.Server, b.MetricsReporters, nil, b.SessionPool)
	must(err)
	b.RPCClient, err = pitayacluster.NewNatsRPCClient(conf.Cluster.RPC.Client.Nats, b.Server, b.MetricsReporters, nil)
	must(err)
	started := make(chan struct{})
	b.ServerMode, b.ServiceDiscovery = pitaya.Cluster, discovery{d, started}
	d[serverType] = map[string]*pitayacluster.Server{b.Server.ID: b.Server}
	app = b.Build()
	for _, c := range remotes {
		app.RegisterRemote(c, component.WithName("math"), component.WithNameFunc(strings.ToLower))
	}
	var ending atomic.Bool
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		app.Start()
		if !ending.Load() {
			os.Exit(1)
		}
	}()
	<-started
	return app, func() { ending.Store(true); app.Shutdown(); <-ended }
}

// discovery is a directory for one app.
type discovery struct {
	directory
	started chan struct{}
}

func (d directory) GetServersByType(serverType string) (map[string]*pitayacluster.Server, error) {
	if servers, ok := d[serverType]; ok {
		return servers, nil
	}
	return nil, constants.ErrNoServersAvailableOfType
}

func (d directory) GetServer(id string) (*pitayacluster.Server, error) {
	for _, s := range d.GetServers() {
		if s.ID == id {
			return s, nil
		}
	}
	return nil, constants.ErrServerNotFound
}

func (d directory) GetServers() (all []*pitayacluster.Server) {
	for _, servers := range d {
		all = slices.AppendSeq(all, maps.Values(servers))
	}
	return all
}

func (directory) SyncServers(bool) error               { return nil }
func (directory) AddListener(pitayacluster.SDListener) {}
func (directory) Init() error                          { return nil }
func (directory) BeforeShutdown()                      {}
func (directory) Shutdown() error                      { return nil }

// AfterInit is called when the rest of the app has started.
func (d discovery) AfterInit() { close(d.started) }
