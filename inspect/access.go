package inspect

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Option is an option of [Handler].
type Option func(*handler)

// Hosts adds names or IP addresses of this server for which the page is answered, in addition to the loopback ones: localhost,
// names that end in .localhost, 127.0.0.0/8 and ::1. They have no port, and any port counts. Behind a proxy that passes the Host
// header on, name the host that browsers ask for.
//
//	inspect.Handler(mux, inspect.Hosts("admin.example.com"))
//
// Another site can make its own name resolve to this server (DNS rebinding), and could then read this page as if it were its own. So
// name only hosts that are yours.
//
// Hosts panics if one is no such name, such as https://admin.example.com, *.example.com, localhost:8000 or bücher.example, which
// browsers send as xn--bcher-kva.example.
func Hosts(names ...string) Option {
	known := make([]string, len(names))
	for i, name := range names {
		known[i] = canonical(name)
		if !isHost(known[i]) {
			panic(fmt.Sprintf("inspect: Hosts: %q is no name of a host, such as admin.example.com or 192.0.2.1", name))
		}
	}
	return func(h *handler) { h.hosts = append(h.hosts, known...) }
}

// canonical returns a name or an IP address in the spelling in which they are compared.
func canonical(host string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")); err == nil {
		return ip.Unmap().String()
	}
	return host
}

func isHost(canonical string) bool {
	foreign := func(r rune) bool {
		return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || strings.ContainsRune("-_.", r))
	}
	_, err := netip.ParseAddr(canonical)
	return err == nil || canonical != "" && !strings.ContainsFunc(canonical, foreign)
}

// refuse returns the status and the text for a request that must not get the page, or 0. Both checks are needed: browsers send
// Sec-Fetch-Site only over https and to loopback hosts, and a request by a rebound name is one of the same origin.
//
// The status for another host is 421, by which an origin rejects a host that is not its own (RFC 9110, section 15.5.20).
// The status for another site is 403, as of [http.CrossOriginProtection].
func (h handler) refuse(r *http.Request) (status int, why string) {
	if !h.answersFor(r.Host) {
		return http.StatusMisdirectedRequest, fmt.Sprintf("inspect: the page is not answered for the host %.100q. "+
			"Ask for it at localhost or, if the host is this server's own, name it in inspect.Hosts.", r.Host)
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return http.StatusForbidden, fmt.Sprintf("inspect: the page is not answered for other sites (Sec-Fetch-Site: %.100q). "+
			"Type or paste its address into the browser.", site)
	}
	return 0, ""
}

// answersFor reports whether the value of a Host header, or of HTTP/2's :authority, is a loopback host or one of Hosts.
func (h handler) answersFor(host string) bool {
	name := canonical((&url.URL{Host: host}).Hostname())
	if ip, err := netip.ParseAddr(name); err == nil && ip.IsLoopback() {
		return true
	}
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || slices.Contains(h.hosts, name)
}
