package load

import (
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"
)

// conn is a connection that knows how many requests it has served. It is closed at the end of the run.
type conn struct {
	net.Conn
	served atomic.Int64
	forget func() bool // that it is to be closed
}

func (c *conn) Close() error {
	c.forget()
	return c.Conn.Close()
}

// dial opens a connection. It takes no longer than a request may, even if ctx has no end: a Transport dials on when the
// request that was in need of it is served elsewhere, and even when the run is over.
func (r *run) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, r.Limit)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	r.count(&r.result.Connections)
	return &conn{Conn: c, forget: context.AfterFunc(r.over, func() { c.Close() })}, nil
}

// unwrap returns the conn that a Transport uses.
func unwrap(c net.Conn) *conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	return c.(*conn)
}
