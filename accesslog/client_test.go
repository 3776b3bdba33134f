package accesslog_test

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/guregu/kami/accesslog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// trusted are the proxies of most tests: 10/8 in both forms, fd00::/8 and fe80::/10.
var trusted = []netip.Prefix{
	netip.MustParsePrefix("::ffff:10.0.0.0/104"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("fe80::/10"),
	{},
}

// from returns a request from a peer, with lines of a header.
func from(peer, header string, lines ...string) *http.Request {
	r := request("GET", "/")
	r.RemoteAddr = peer
	r.Header[header] = lines
	return r
}

// clientOf returns the client that is logged for a request.
func clientOf(t *testing.T, r *http.Request, opts ...accesslog.Option) any {
	t.Helper()
	h, got := newLog(opts...)
	logged(h, r)
	return got.record(t)["remote"]
}

func TestRemote(t *testing.T) {
	for peer, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1", "192.0.2.1": "192.0.2.1",
		"[2001:db8::1]:80": "2001:db8::1", "2001:db8::1": "2001:db8::1",
		"[2001:DB8:0::1]:80": "2001:db8::1", "[::ffff:192.0.2.1]:80": "192.0.2.1", "[fe80::1%eth0]:80": "fe80::1", "": "",
		"@": "@", "/run/proxy.sock": "/run/proxy.sock", "pipe": "pipe", "example.com:80": "example.com:80",
	} {
		forged := from(peer, "X-Forwarded-For", "198.51.100.1")
		forged.Header.Set("Forwarded", "for=198.51.100.1")
		assert.Equal(t, want, clientOf(t, forged), peer)
		for _, proxies := range [][]netip.Prefix{nil, {{}}, trusted[:2]} {
			assert.Equal(t, want, clientOf(t, forged, accesslog.TrustXForwardedFor(proxies...)), peer)
			assert.Equal(t, want, clientOf(t, forged, accesslog.TrustForwarded(proxies...)), peer)
		}
	}
}

func TestUnixSocket(t *testing.T) {
	for _, peer := range []string{"", "@", "@proxy", "/run/proxy.sock"} {
		r := from(peer, "X-Forwarded-For", "192.0.2.1")
		for proxies, want := range map[string]string{
			"127.0.0.1/32": "192.0.2.1", "::1/128": "192.0.2.1", "127.0.0.0/8": "192.0.2.1", "0.0.0.0/0": "192.0.2.1",
			"10.0.0.0/8": peer,
		} {
			assert.Equal(t, want, clientOf(t, r, accesslog.TrustXForwardedFor(netip.MustParsePrefix(proxies))), proxies)
		}
		r = from(peer, "X-Forwarded-For", "unknown")
		assert.Equal(t, peer, clientOf(t, r, accesslog.TrustXForwardedFor(netip.MustParsePrefix("::1/128"))))
	}
	everybody := accesslog.TrustXForwardedFor(netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"))
	for _, peer := range []string{"pipe", "example.com:80", "10.0.0.1:http", "10.0.0.256:80"} {
		assert.Equal(t, peer, clientOf(t, from(peer, "X-Forwarded-For", "192.0.2.1"), everybody), "it is nobody's")
	}
}

func TestUnixServer(t *testing.T) {
	h, got := newLog(accesslog.TrustXForwardedFor(netip.MustParsePrefix("127.0.0.0/8")))
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	require.NoError(t, err)
	srv := &http.Server{Handler: newMux(h)}
	go func() { _ = srv.Serve(listener) }()
	defer srv.Close()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dial}}
	for header, want := range map[string]string{"": "@", "192.0.2.1": "192.0.2.1"} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://kami.test/empty", nil)
		require.NoError(t, err)
		if header != "" {
			r.Header.Set("X-Forwarded-For", header)
		}
		resp, err := client.Do(r)
		require.NoError(t, err)
		resp.Body.Close()
		remote := got.record(t)["remote"]
		if remote == "" { // on some systems
			remote = "@"
		}
		assert.Equal(t, want, remote)
	}
}

func TestXForwardedFor(t *testing.T) {
	const peer, itself = "10.0.0.1:80", "10.0.0.1"
	for _, tt := range []struct {
		lines []string
		want  string
	}{
		{nil, itself},
		{[]string{""}, itself},
		{[]string{"192.0.2.1"}, "192.0.2.1"},
		{[]string{" \t192.0.2.1\t "}, "192.0.2.1"},
		{[]string{"192.0.2.9, 192.0.2.1"}, "192.0.2.1"},
		{[]string{"192.0.2.9,192.0.2.1,10.0.0.2 , 10.0.0.3"}, "192.0.2.1"},
		{[]string{"192.0.2.9, 192.0.2.1", "10.0.0.2", "10.0.0.3"}, "192.0.2.1"},
		{[]string{"192.0.2.9", "192.0.2.1, 10.0.0.2"}, "192.0.2.1"},
		{[]string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{[]string{"10.0.0.4", "10.0.0.3, 10.0.0.2"}, "10.0.0.4"},
		// Empty elements are ignored.
		{[]string{"192.0.2.1,, 10.0.0.2"}, "192.0.2.1"},
		{[]string{"192.0.2.1, \t, 10.0.0.2"}, "192.0.2.1"},
		{[]string{"192.0.2.1", "", "10.0.0.2"}, "192.0.2.1"},
		{[]string{"192.0.2.1", " ,", "10.0.0.2"}, "192.0.2.1"},
		{[]string{"192.0.2.1,"}, "192.0.2.1"},
		{[]string{",192.0.2.1"}, "192.0.2.1"},
		{[]string{", 10.0.0.2"}, "10.0.0.2"},
		{[]string{",", ",,"}, itself},
		// Malformed elements end the walk.
		{[]string{"192.0.2.1, unknown"}, itself},
		{[]string{`192.0.2.1", 10.0.0.2`}, "10.0.0.2"},
		{[]string{`"192.0.2.1, 192.0.2.2"`}, itself},
		{[]string{"192.0.2.1, nonsense, 10.0.0.2"}, "10.0.0.2"},
		{[]string{"nonsense, 192.0.2.1"}, "192.0.2.1"},
		{[]string{"192.0.2.1 10.0.0.2"}, itself},
		{[]string{`"192.0.2.1"`}, itself},
		{[]string{"for=192.0.2.1"}, itself},
		// Addresses.
		{[]string{"192.0.2.1:80"}, "192.0.2.1"},
		{[]string{"192.0.2.1:65535"}, "192.0.2.1"},
		{[]string{"192.0.2.1:_port-1.a"}, "192.0.2.1"},
		{[]string{"192.0.2.1:"}, itself},
		{[]string{"192.0.2.1:123456"}, itself},
		{[]string{"192.0.2.1:1a"}, itself},
		{[]string{"192.0.2.1:_"}, itself},
		{[]string{"192.0.2.1:_a\xff"}, itself},
		{[]string{"192.0.2.1_a"}, itself},
		{[]string{"192.0.2.01"}, itself},
		{[]string{"192.0.2"}, itself},
		{[]string{"[192.0.2.1]"}, itself},
		{[]string{"192.0.2.1%eth0"}, itself},
		{[]string{"2001:db8::1"}, "2001:db8::1"},
		{[]string{"2001:DB8::0:1"}, "2001:db8::1"},
		{[]string{"[2001:db8::1]"}, "2001:db8::1"},
		{[]string{"[2001:db8::1]:80"}, "2001:db8::1"},
		{[]string{"[2001:db8::1]80"}, itself},
		{[]string{"[2001:db8::1]_a"}, itself},
		{[]string{"[2001:db8::1]:"}, itself},
		{[]string{"[2001:db8::1"}, itself},
		{[]string{"2001:db8::1]"}, itself},
		{[]string{"[]"}, itself},
		{[]string{"::ffff:192.0.2.1"}, "192.0.2.1"},
		{[]string{"[::ffff:192.0.2.1]:80"}, "192.0.2.1"},
		{[]string{"192.0.2.1, ::ffff:10.0.0.9"}, "192.0.2.1"},
		{[]string{"::ffff:10.0.0.9"}, "10.0.0.9"},
		{[]string{"192.0.2.1, [fd00::1]:80, fe80::1%eth0"}, "192.0.2.1"},
		{[]string{"2001:db8::1%eth0"}, "2001:db8::1"},
		{[]string{"[2001:db8::1%eth0]:80"}, "2001:db8::1"},
		{[]string{"2001:db8::1%\" \n"}, "2001:db8::1"},
		{[]string{"2001:db8::1%"}, itself},
	} {
		r := from(peer, "X-Forwarded-For", tt.lines...)
		assert.Equal(t, tt.want, clientOf(t, r, accesslog.TrustXForwardedFor(trusted...)), "%q", tt.lines)
	}
}

func TestForwarded(t *testing.T) {
	const peer, itself = "[fe80::1%eth0]:80", "fe80::1"
	for _, tt := range []struct {
		lines []string
		want  string
	}{
		{nil, itself},
		{[]string{"for=192.0.2.1"}, "192.0.2.1"},
		{[]string{"FOR=192.0.2.1"}, "192.0.2.1"},
		{[]string{`for="192.0.2.1:80"`}, "192.0.2.1"},
		{[]string{`for="[2001:db8::1]:80"`}, "2001:db8::1"},
		{[]string{`for="[2001:db8::1]"`}, "2001:db8::1"},
		{[]string{`for="\[2001:db8\:\:1]"`}, "2001:db8::1"},
		{[]string{`for="192.0.2.1:_port"`}, "192.0.2.1"},
		{[]string{"for=192.0.2.9, for=192.0.2.1"}, "192.0.2.1"},
		{[]string{"for=192.0.2.9, for=192.0.2.1, for=10.0.0.2", "for=10.0.0.3"}, "192.0.2.1"},
		{[]string{"for=10.0.0.2"}, "10.0.0.2"},
		{[]string{"proto=https;for=192.0.2.1;by=10.0.0.2"}, "192.0.2.1"},
		{[]string{`by="a, for=192.0.2.9" ; for=192.0.2.1 ;; proto=https;`}, "192.0.2.1"},
		{[]string{`;for=192.0.2.1;x="a;b\",\\"`}, "192.0.2.1"},
		{[]string{`for=192.0.2.1, for="10.0.0.2";x="\"", for=10.0.0.3;x="\\"`}, "192.0.2.1"},
		// Addresses that should be quoted or in brackets are accepted without.
		{[]string{"for=192.0.2.1:80"}, "192.0.2.1"},
		{[]string{"for=[2001:db8::1]:80"}, "2001:db8::1"},
		{[]string{"for=2001:db8::1"}, "2001:db8::1"},
		{[]string{`for="2001:db8::1"`}, "2001:db8::1"},
		// A client cannot hide the elements that a proxy adds.
		{[]string{`for=", for=192.0.2.1`}, "192.0.2.1"},
		{[]string{`for=192.0.2.9, x=", for="192.0.2.1"`}, "192.0.2.1"},
		{[]string{`for=192.0.2.9, x="\, for="192.0.2.1";by="a\"b"`}, "192.0.2.1"},
		{[]string{`for=192.0.2.9;x="`, "for=192.0.2.1"}, "192.0.2.1"},
		{[]string{`for="192.0.2.9, for=10.0.0.2`}, "10.0.0.2"},
		// Empty elements are ignored.
		{[]string{"for=192.0.2.1,"}, "192.0.2.1"},
		{[]string{"for=192.0.2.1, , for=10.0.0.2", "", "\t,"}, "192.0.2.1"},
		{[]string{`,for="192.0.2.1";x=",,",,`}, "192.0.2.1"},
		// Obfuscated, unknown and malformed elements end the walk.
		{[]string{"for=192.0.2.1, for=unknown"}, itself},
		{[]string{"for=192.0.2.1, for=_hidden, for=10.0.0.2"}, "10.0.0.2"},
		{[]string{`for=192.0.2.1, for="_hidden:80"`}, itself},
		{[]string{"for=192.0.2.1, by=10.0.0.2"}, itself},
		{[]string{"for=192.0.2.1, ;"}, itself},
		{[]string{""}, itself},
		{[]string{"192.0.2.1"}, itself},
		{[]string{"for"}, itself},
		{[]string{"for="}, itself},
		{[]string{"for=;by=10.0.0.2"}, itself},
		{[]string{`for=""`}, itself},
		{[]string{"=192.0.2.1"}, itself},
		{[]string{"for =192.0.2.1"}, itself},
		{[]string{"for= 192.0.2.1"}, itself},
		{[]string{"for=192.0.2.1;for=192.0.2.1"}, itself},
		{[]string{`for=192.0.2.1;For=""`}, itself},
		{[]string{"for=192.0.2.1 proto=https"}, itself},
		{[]string{"for=192.0.2.1;by=/"}, itself},
		{[]string{"for=192.0.2.1;bé=a"}, itself},
		{[]string{`for=192.0.2.1"`}, itself},
		{[]string{`for="192.0.2.1`}, itself},
		{[]string{`for="192.0.2.1"80`}, itself},
		{[]string{`for="192.0.2.1\"`}, itself},
		{[]string{`for="192.0.2.1\`}, itself},
		{[]string{`for=192.0.2.1\`}, itself},
		{[]string{`for="\192.0.2.1";x=a\`}, itself},
		{[]string{`for=" 192.0.2.1"`}, itself},
	} {
		r := from(peer, "Forwarded", tt.lines...)
		assert.Equal(t, tt.want, clientOf(t, r, accesslog.TrustForwarded(trusted...)), "%q", tt.lines)
	}
}

func TestOneHeaderIsBelieved(t *testing.T) {
	r := from("10.0.0.1:80", "X-Forwarded-For", "192.0.2.1")
	r.Header.Set("Forwarded", "for=192.0.2.2")
	xForwardedFor, forwarded := accesslog.TrustXForwardedFor(trusted...), accesslog.TrustForwarded(trusted...)
	assert.Equal(t, "192.0.2.1", clientOf(t, r, xForwardedFor))
	assert.Equal(t, "192.0.2.2", clientOf(t, r, forwarded))
	assert.Equal(t, "192.0.2.2", clientOf(t, r, xForwardedFor, forwarded), "the last option counts")
	assert.Equal(t, "192.0.2.1", clientOf(t, r, forwarded, xForwardedFor))
	r.Header.Del("Forwarded")
	assert.Equal(t, "10.0.0.1", clientOf(t, r, forwarded), "the other one is none")
}

func TestProxiesAreCopied(t *testing.T) {
	proxies := []netip.Prefix{trusted[0]}
	option := accesslog.TrustXForwardedFor(proxies...)
	proxies[0] = netip.Prefix{}
	assert.Equal(t, "192.0.2.1", clientOf(t, from("10.0.0.1:80", "X-Forwarded-For", "192.0.2.1"), option))
}

func TestLongHeaders(t *testing.T) {
	const n = 1 << 18
	for name, lines := range map[string][]string{
		"proxies":     {strings.Repeat("for=10.0.0.2, ", n) + "for=10.0.0.2"},
		"quotes":      {strings.Repeat(`"`, n)},
		"escapes":     {`x="` + strings.Repeat(`\"`, n)},
		"backslashes": {strings.Repeat(`\`, n) + `"`},
		"pairs":       {strings.Repeat("a=b;", n)},
		"mixed":       {strings.Repeat(`\\\\\\\\\",`, n)},
		"commas":      {strings.Repeat(",", n)},
		"many lines":  make([]string, n),
	} {
		remote := clientOf(t, from("10.0.0.1:80", "Forwarded", lines...), accesslog.TrustForwarded(trusted...))
		assert.Contains(t, []any{"10.0.0.1", "10.0.0.2"}, remote, name)
	}
}
