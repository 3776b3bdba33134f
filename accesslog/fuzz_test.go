package accesslog_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/guregu/kami/accesslog"
	"github.com/guregu/kami/mutil"
)

// combinedLine has a submatch for each field of a line of Apache's combined format.
var combinedLine = regexp.MustCompile(`^(\S+) - (\S+) \[([^]]+)\] "(\S+) (\S+) (\S+)" (\d+|-) (\d+|-) ` +
	`"((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)"\n$`)

// textAttribute has submatches for the key, and the quoted or plain value, of an attribute of slog's TextHandler.
var textAttribute = regexp.MustCompile(`^([a-z_]+)=(?:("(?:[^"\\]|\\.)*")|([^ "=\n]*))(?: |\n$)`)

// FuzzInjection checks that any request is one line in each format, and that parsing the line returns exactly the values that
// were sent.
func FuzzInjection(f *testing.F) {
	for _, hostile := range []string{
		"", "a", "-", "a b", "a\nb", "a\r\nb", `a" 200 1 "b`, `a\`, `a\"`, "\x00\x1b[31m\x7f", "\x80\xff",
		"é\u2028\u0085", "a=b", `{"a":1}`, "time=x level=ERROR msg=forged", "%0a%22", "?a", "#a", "//a@b",
		`127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "-"`,
	} {
		f.Add(hostile, hostile, hostile, hostile, hostile, hostile, hostile, hostile, hostile)
	}
	f.Add("GET", "/users/a b", "q=\"\n", "HTTP/1.1", "192.0.2.1:80", "greg", "http://u:p@x.test/a?b#c", "Mozilla/5.0", "b1")
	f.Fuzz(func(t *testing.T, method, path, query, proto, remote, user, referer, agent, id string) {
		u := &url.URL{Path: path, RawQuery: query}
		r := &http.Request{Method: method, URL: u, Proto: proto, Header: http.Header{}, RemoteAddr: remote}
		r.Pattern = path
		r.Header.Set("Referer", referer)
		r.Header.Set("User-Agent", agent)
		r.SetBasicAuth(user, "secret")
		want := map[string]string{"level": "INFO", "msg": "request", "method": method, "path": u.EscapedPath(),
			"query": query, "pattern": path, "status": "200", "bytes": "0", "remote": remote, "protocol": proto,
			"request_id": id}
		if addr, ok := oracleNode(remote); ok {
			want["remote"] = addr.String()
		}
		if method == http.MethodConnect {
			delete(want, "path")
		}
		if len(id) > 128 {
			delete(want, "request_id")
		}
		for _, optional := range []string{"query", "request_id"} {
			if want[optional] == "" {
				delete(want, optional)
			}
		}

		line := func(log func(*bytes.Buffer) logHandler) string {
			var out bytes.Buffer
			w := httptest.NewRecorder()
			w.Header()["X-Request-Id"] = []string{id}
			log(&out)(t.Context(), mutil.WrapWriter(w), r)
			if text := out.String(); strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "\n") {
				t.Errorf("no single line: %q", text)
			}
			return out.String()
		}
		parsesBack(t, want, jsonRecord(t, line(func(out *bytes.Buffer) logHandler {
			return accesslog.New(slog.New(slog.NewJSONHandler(out, nil)), accesslog.WithQuery())
		})), func(s string) string { return string([]rune(s)) }) // JSON replaces invalid UTF-8
		parsesBack(t, want, textRecord(t, line(func(out *bytes.Buffer) logHandler {
			return accesslog.New(slog.New(slog.NewTextHandler(out, nil)), accesslog.WithQuery())
		})), func(s string) string { return s })

		got := line(func(out *bytes.Buffer) logHandler { return accesslog.Combined(out, accesslog.WithQuery()) })
		fields := combinedLine.FindStringSubmatch(got)
		if fields == nil {
			t.Fatalf("no combined line: %q", got)
		}
		if _, err := time.Parse(apacheTime, fields[3]); err != nil {
			t.Error(err)
		}
		for i := range fields {
			fields[i] = unescape(t, fields[i])
		}
		target := u.EscapedPath()
		if query != "" {
			target += "?" + query
		}
		user, _, _ = strings.Cut(user, ":")
		for i, want := range map[int]string{
			1: want["remote"], 2: user, 4: method, 5: target, 6: proto, 7: "200", 8: "-", 10: agent,
		} {
			if want == "" {
				want = "-"
			}
			if fields[i] != want && (i != 5 || method != http.MethodConnect) {
				t.Errorf("field %d is %q, want %q", i, fields[i], want)
			}
		}
		if !strings.Contains(referer, "@") && !strings.Contains(referer, "#") && fields[9] != referer && referer != "" {
			t.Errorf("Referer %q, want %q", fields[9], referer)
		}

		bare := combinedLine.FindStringSubmatch(line(func(out *bytes.Buffer) logHandler { return accesslog.Combined(out) }))
		if strings.ContainsAny(bare[5], "?") || strings.ContainsAny(bare[9], "?#") {
			t.Errorf("there is a query in %q", bare)
		}
		if u, err := url.Parse(unescape(t, bare[9])); err == nil && u.User != nil {
			t.Errorf("there is a user in %q", bare)
		}
	})
}

// jsonRecord parses a record of a JSONHandler.
func jsonRecord(t *testing.T, line string) map[string]string {
	got := map[string]string{}
	decoder := json.NewDecoder(strings.NewReader(line))
	decoder.UseNumber()
	values := map[string]any{}
	if err := decoder.Decode(&values); err != nil || strings.TrimSpace(line[decoder.InputOffset():]) != "" {
		t.Fatalf("%q: %v", line, err)
	}
	for key, value := range values {
		switch value := value.(type) {
		case string:
			got[key] = value
		case json.Number:
			got[key] = value.String()
		default:
			t.Errorf("%s is %v", key, value)
		}
	}
	return got
}

// textRecord parses a record of a TextHandler.
func textRecord(t *testing.T, line string) map[string]string {
	got := map[string]string{}
	for line != "" {
		m := textAttribute.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("no attribute: %q", line)
		}
		value := m[3]
		if m[2] != "" {
			var err error
			if value, err = strconv.Unquote(m[2]); err != nil {
				t.Fatal(err)
			}
		}
		if _, again := got[m[1]]; again {
			t.Fatalf("%s is there twice", m[1])
		}
		got[m[1]] = value
		line = line[len(m[0]):]
	}
	return got
}

// parsesBack checks that a record has the values of want. In addition it may have a time, a path and a request_id.
func parsesBack(t *testing.T, want, got map[string]string, as func(string) string) {
	for key, value := range want {
		if got[key] != as(value) {
			t.Errorf("%s is %q, want %q", key, got[key], as(value))
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok && key != "time" && key != "path" && key != "request_id" {
			t.Errorf("there is a %s", key)
		}
	}
}

// These are regular expressions for the grammar of RFC 7239, with the documented leniency. FuzzClient compares accesslog with them.
const (
	token       = "[-!#$%&'*+.^_`|~0-9A-Za-z]"
	pair        = token + `+=(?:(?:` + token + `|[\[\]:])+|"(?:[^"\\]|\\.)*")`
	ipv6Pattern = `[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*`
	portPattern = `(?::(?:[0-9]{1,5}|_[-._0-9A-Za-z]+))?`
)

var (
	lastXFF       = regexp.MustCompile(`(?s)(?:^|,)((?:[^,"]|"(?:[^"\\]|\\.)*")*)$`)
	lastForwarded = regexp.MustCompile(`(?s)(?:^|,)([ \t]*(?:` + pair + `)?[ \t]*(?:;[ \t]*(?:` + pair + `)?[ \t]*)*)$`)
	onePair       = regexp.MustCompile(`(?s)(` + token + `+)=(?:((?:` + token + `|[\[\]:])+)|"((?:[^"\\]|\\.)*)")`)
	escaped       = regexp.MustCompile(`(?s)\\(.)`)
	nodeForm      = regexp.MustCompile(`(?s)^(?:([0-9.]+)|\[(` + ipv6Pattern + `)(?:%[^]]+)?\])` + portPattern +
		`$|^(` + ipv6Pattern + `)(?:%.+)?$`)
)

// oracleNode returns the address of a node.
func oracleNode(node string) (addr netip.Addr, ok bool) {
	m := nodeForm.FindStringSubmatch(node)
	if m == nil {
		return addr, false
	}
	addr, err := netip.ParseAddr(m[1] + m[2] + m[3])
	if err != nil || addr.Is4() != (m[1] != "") {
		return addr, false
	}
	return addr.Unmap(), true
}

// oracleWalk returns the nodes of the lines from the right, up to and with the first malformed one.
func oracleWalk(lines []string, isForwarded bool) (nodes []string) {
	for i := range lines {
		line := lines[len(lines)-1-i]
		for more := true; more; {
			last := lastXFF
			if isForwarded {
				last = lastForwarded
			}
			at := last.FindStringSubmatchIndex(line)
			if at == nil && isForwarded {
				return append(nodes, "malformed")
			}
			if at == nil { // a quote that is never closed
				at = []int{0, 0, 0, len(line)}
			}
			element := line[at[2]:at[3]]
			line, more = line[:at[0]], at[0] < at[2]
			if strings.Trim(element, " \t") == "" {
				continue
			}
			if !isForwarded {
				nodes = append(nodes, strings.Trim(element, " \t"))
				continue
			}
			fors := []string{}
			for _, m := range onePair.FindAllStringSubmatch(element, -1) {
				if strings.EqualFold(m[1], "for") {
					fors = append(fors, m[2]+escaped.ReplaceAllString(m[3], "$1"))
				}
			}
			if len(fors) != 1 {
				return append(nodes, "malformed")
			}
			nodes = append(nodes, fors[0])
		}
	}
	return nodes
}

// FuzzClient checks, for any peer and lines of a header, that the client is the one that oracleWalk and oracleNode find.
func FuzzClient(f *testing.F) {
	for _, lines := range []string{
		"", "192.0.2.1", "192.0.2.9, 192.0.2.1\n10.0.0.2", "[2001:db8::1]:80, fd00::1", "::ffff:192.0.2.1, 10.0.0.2:_a",
		"fe80::1%eth0,unknown,10.0.0.2", `for=192.0.2.1;by="a,b", for="[fd00::1]:80"`, `for=", for=192.0.2.1`,
		`for="\1\0.0.0.2";x="\\\"",;for=_a`, `for=192.0.2.1, x="\, for="10.0.0.2"`,
		"for=192.0.2.1;;FOR=10.0.0.2", `for="10.0.0.2, for=10.0.0.3`, `a="x\", for=10.0.0.2`, ",,", ", for=10.0.0.2 , for=10.0.0.3 ;x=y",
		"10.0.0.2:99999,1.2.3.4:5:6",
		`a="b, c="d, for="10.0.0.1"`, `for=10.0.0.1, "\"`, "1:2:3", "::%", "[::]%1", `for="` + "10.0.0.2\xff" + `"`,
	} {
		f.Add("10.0.0.1:80", lines, false)
		f.Add("[fe80::1%eth0]:80", lines, true)
	}
	f.Add("@", "192.0.2.1", false)
	f.Add("::ffff:10.0.0.1", "192.0.2.1", false)
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	xff := accesslog.New(logger, accesslog.TrustXForwardedFor(trusted...))
	forwarded := accesslog.New(logger, accesslog.TrustForwarded(trusted...))
	f.Fuzz(func(t *testing.T, peer, text string, isForwarded bool) {
		trusts := func(addr netip.Addr) bool {
			return addr.Is4() && addr.As4()[0] == 10 ||
				addr.Is6() && (addr.As16()[0] == 0xfd || addr.As16()[0] == 0xfe && addr.As16()[1]&0xc0 == 0x80)
		}
		lines := strings.Split(text, "\n")
		want := peer
		addr, ok := oracleNode(peer)
		if ok {
			want = addr.String()
		}
		if ok && trusts(addr) {
			for _, node := range oracleWalk(lines, isForwarded) {
				addr, ok := oracleNode(node)
				if !ok {
					break
				}
				if want = addr.String(); !trusts(addr) {
					break
				}
			}
		}
		h, name := xff, "X-Forwarded-For"
		if isForwarded {
			h, name = forwarded, "Forwarded"
		}
		log.Reset()
		logged(h, from(peer, name, lines...))
		if got := textRecord(t, log.String())["remote"]; got != want {
			t.Errorf("peer %q, %s %q: client %q, want %q", peer, name, lines, got, want)
		}
	})
}
