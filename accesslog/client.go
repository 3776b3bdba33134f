package accesslog

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/guregu/kami/internal/list"
)

// TrustXForwardedFor finds the client's address in the lines of X-Forwarded-For, if the request comes from one of the proxies.
//
// Each proxy adds the address of its caller at the end. So the lines are read as one list, from its end: the client is the first address
// that does not belong to one of the proxies, or the address at the beginning. An element that is no IP address, with or without a port,
// ends the search, because nothing before it can be trusted: then the client is the last address that was read. Empty elements are
// ignored.
//
// Trust a header only if all these proxies set it: a header that they do not set they pass on as the client has sent it. Therefore only one
// header is trusted, the header of the last such option. Without an option the client is RemoteAddr.
//
// An IPv4 address is the same in IPv6's form (::ffff:192.0.2.1), and zones are ignored. A peer at a Unix socket, whose RemoteAddr is empty
// or begins with @ or a slash, is on this host: it is one of the proxies if 127.0.0.1 or ::1 is. Its RemoteAddr is logged as it is, and
// so is every other RemoteAddr that is no address, which belongs to no proxy.
func TrustXForwardedFor(proxies ...netip.Prefix) Option { return trust(xForwardedFor, proxies) }

// TrustForwarded is like [TrustXForwardedFor], for the parameter "for" in the lines of Forwarded (RFC 7239). An element without that
// parameter, or with "unknown" or a hidden name in it, ends the search. An address need neither be quoted nor in brackets.
func TrustForwarded(proxies ...netip.Prefix) Option { return trust(forwarded, proxies) }

func trust(header header, trusted []netip.Prefix) Option {
	p := proxies{header: header}
	for _, prefix := range trusted {
		if prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
			prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
		}
		p.trusted = append(p.trusted, prefix)
	}
	return func(o *options) { o.proxies = p }
}

// proxies are the trusted proxies and their header.
type proxies struct {
	trusted []netip.Prefix
	header
}

// header is a header in which proxies name their callers, in lines of elements.
type header struct {
	name string
	node func(element string) string // returns the text in an element that must be an address, or ""
}

var (
	xForwardedFor = header{"X-Forwarded-For", func(element string) string { return element }}
	forwarded     = header{"Forwarded", forwardedFor}
)

// client returns the client's address.
func (p *proxies) client(r *http.Request) string {
	peer, client := parseNode(r.RemoteAddr)
	trusted := p.trusts(peer)
	if client == "" {
		client = r.RemoteAddr
		trusted = isLocal(client) && (p.trusts(netip.AddrFrom4([4]byte{127, 0, 0, 1})) || p.trusts(netip.IPv6Loopback()))
	}
	if !trusted {
		return client
	}
	for _, line := range slices.Backward(r.Header[p.name]) {
		for element := range list.Backward(line, ',') {
			addr, text := parseNode(p.node(element))
			if text == "" {
				return client
			}
			if client = text; !p.trusts(addr) {
				return client
			}
		}
	}
	return client
}

// trusts reports whether the address is one of the proxies'.
func (p *proxies) trusts(addr netip.Addr) bool {
	for _, prefix := range p.trusted {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// isLocal reports whether a RemoteAddr that is no IP address belongs to a Unix socket.
func isLocal(remote string) bool { return remote == "" || remote[0] == '@' || remote[0] == '/' }

// parseNode parses an IP address, with or without port, brackets around IPv6, and zone. It returns the address and its
// canonical text, or "" if it is none.
func parseNode(node string) (netip.Addr, string) {
	host, port := node, ""
	bracketed := strings.HasPrefix(node, "[")
	if bracketed {
		end := strings.IndexByte(node, ']')
		if end < 0 {
			return netip.Addr{}, ""
		}
		host, port = node[1:end], node[end+1:]
	} else if colon := strings.IndexByte(node, ':'); colon >= 0 && colon == strings.LastIndexByte(node, ':') {
		host, port = node[:colon], node[colon:] // IPv6 has more colons
	}
	host, zone, zoned := strings.Cut(host, "%") // first, because a zone may be any text
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Is4() && (bracketed || zoned) || zoned && zone == "" || !isPort(port) {
		return netip.Addr{}, ""
	}
	addr = addr.Unmap()
	// optimization: text is made only if it is not canonical already (TestAllocations).
	var room [len("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")]byte
	if usual := addr.AppendTo(room[:0]); string(usual) != host {
		host = string(usual)
	}
	return addr, host
}

// isPort reports whether the text is empty, or a colon and a port: up to five digits or, in Forwarded, a name that begins with an
// underscore.
func isPort(text string) bool {
	if text == "" {
		return true
	}
	port, ok := strings.CutPrefix(text, ":")
	if name, hidden := strings.CutPrefix(port, "_"); hidden {
		return ok && name != "" && strings.IndexFunc(name, notHidden) < 0
	}
	return ok && port != "" && len(port) <= 5 && strings.Trim(port, "0123456789") == ""
}

// notHidden reports whether a hidden name may not have the character.
func notHidden(c rune) bool { return !isAlphanumeric(c) && !strings.ContainsRune("._-", c) }

func isAlphanumeric(c rune) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// forwardedFor returns the parameter "for" of an element of Forwarded, or "" if it has none or is malformed.
func forwardedFor(element string) (node string) {
	for pair := range list.Backward(element, ';') { // some may be empty
		name, value, ok := cutPair(pair)
		if !ok {
			return ""
		}
		if strings.EqualFold(name, "for") {
			if node != "" || value == "" {
				return ""
			}
			node = value
		}
	}
	return node
}

// cutPair returns the name and the value of a parameter.
func cutPair(pair string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(pair, "=")
	if !ok || name == "" || strings.IndexFunc(name, notToken) >= 0 {
		return "", "", false
	}
	if text, quoted := strings.CutPrefix(value, `"`); quoted {
		value, ok = unquote(text)
		return name, value, ok
	}
	return name, value, value != "" && strings.IndexFunc(value, notValue) < 0
}

// unquote returns the text of a quoted string without its first quote. The other quote must be at the end.
func unquote(text string) (value string, ok bool) {
	var unescaped []byte
	begin := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			unescaped = append(unescaped, text[begin:i]...)
			i++
			begin = i
		case '"':
			if begin == 0 {
				return text[:i], i == len(text)-1
			}
			return string(append(unescaped, text[begin:i]...)), i == len(text)-1
		}
	}
	return "", false
}

// notToken reports whether a token may not have the character.
func notToken(c rune) bool { return !isAlphanumeric(c) && !strings.ContainsRune("!#$%&'*+-.^_`|~", c) }

// notValue reports whether a value without quotes may not have the character. The characters of addresses, which should be quoted, are
// allowed.
func notValue(c rune) bool { return notToken(c) && c != ':' && c != '[' && c != ']' }
