package load

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"time"
)

// pool is the Transport that all clients share.
type pool struct {
	run        *run
	transport  *http.Transport
	url, proto string
}

func newPool(r *run) *pool {
	p := &pool{run: r, url: "http://" + r.Address + r.Path, proto: "HTTP/2.0"}
	p.transport = &http.Transport{
		TLSClientConfig:     r.TLS.Clone(),
		DisableCompression:  true,
		MaxIdleConnsPerHost: r.Clients,
		Protocols:           new(http.Protocols),
		DialContext:         r.dial,
	}
	switch r.Mode {
	case TransportPost:
		p.proto = "HTTP/1.1"
		p.transport.Protocols.SetHTTP1(true)
	case HTTP2:
		p.url = "https://" + r.Address + r.Path
		p.transport.Protocols.SetHTTP2(true)
	case H2C:
		p.transport.Protocols.SetUnencryptedHTTP2(true)
	}
	return p
}

func (p *pool) send(id string, deadline time.Time) (served int, err error) {
	var c *conn
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if c != nil {
			p.run.count(&p.run.result.Moved)
		}
		c = unwrap(info.Conn)
		served = int(c.served.Load())
	}})
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	if err = p.exchange(ctx, id); err == nil {
		c.served.Add(1)
	}
	return served, err
}

// exchange sends a request past http.Client, which would follow redirects.
func (p *pool) exchange(ctx context.Context, id string) error {
	// NopCloser hides the strings.Reader, for which NewRequest would make a GetBody.
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, io.NopCloser(strings.NewReader(id)))
	if err != nil {
		return err
	}
	request.Header.Set(IDHeader, id)
	request.ContentLength = int64(len(id))
	if p.run.Rewind {
		request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(id)), nil }
	}
	response, err := p.transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return p.run.verify(id, p.proto, response)
}
