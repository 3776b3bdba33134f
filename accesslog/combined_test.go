package accesslog_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/accesslog"
	"github.com/guregu/kami/mutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const apacheTime = "02/Jan/2006:15:04:05 -0700"

// withoutTime returns a line without its time, and checks that the time is close to now.
func withoutTime(t *testing.T, line string) string {
	t.Helper()
	begin, end := strings.IndexByte(line, '['), strings.IndexByte(line, ']')
	require.True(t, 0 < begin && begin < end, line)
	at, err := time.Parse(apacheTime, line[begin+1:end])
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now(), at, patience)
	return line[:begin] + line[end+2:]
}

func basic(userAndPassword string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(userAndPassword))
}

func TestCombined(t *testing.T) {
	h, got := newCombined()
	mux := newMux(h)
	mux.Get("/panic", func(http.ResponseWriter, *http.Request) { panic("boom") })
	mux.Get("/hijack", func(w http.ResponseWriter, _ *http.Request) { takeOver(w, "hello") })
	addr := serve(t, mux)
	for _, tt := range []struct {
		request string
		headers []string
		want    string
	}{
		{"GET /users/7?token=1", nil, `"GET /users/7 HTTP/1.1" 200 5 "-" "-"`},
		{"HEAD /users/7", nil, `"HEAD /users/7 HTTP/1.1" 200 - "-" "-"`},
		{"GET /empty", nil, `"GET /empty HTTP/1.1" 200 - "-" "-"`},
		{"GET /none", nil, `"GET /none HTTP/1.1" 404 19 "-" "-"`},
		{"GET /status/503", nil, `"GET /status/503 HTTP/1.1" 503 - "-" "-"`},
		{"GET /panic", nil, `"GET /panic HTTP/1.1" - - "-" "-"`},
		{"GET /hijack", nil, `"GET /hijack HTTP/1.1" - - "-" "-"`},
		{"GET /empty", []string{"User-Agent: Mozilla/5.0 (X11)", "Referer: http://x.test/a?b#c"},
			`"GET /empty HTTP/1.1" 200 - "http://x.test/a" "Mozilla/5.0 (X11)"`},
		{"GET /empty", []string{`User-Agent: a" "b\` + "\t" + "\x80é"},
			`"GET /empty HTTP/1.1" 200 - "-" "a\" \"b\\\t\x80\xc3\xa9"`},
		{"GET /empty", []string{"User-Agent:"}, `"GET /empty HTTP/1.1" 200 - "-" "-"`},
		{`GET /users/"\%0a%22|<é>`, nil, `"GET /users/%22%5C%0A%22%7C%3C%C3%A9%3E HTTP/1.1" 200 5 "-" "-"`},
		{"GET http://greg:secret@x.test/empty?a", nil, `"GET http://x.test/empty HTTP/1.1" 200 - "-" "-"`},
		{"GET http://x.test", nil, `"GET http://x.test HTTP/1.1" 405 19 "-" "-"`},
		{"GET http:/empty", nil, `"GET /empty HTTP/1.1" 200 - "-" "-"`},
		{"GET mailto:greg:secret@x.test?a", nil, `"GET mailto:x.test HTTP/1.1" 400 33 "-" "-"`},
		{"GET //greg:secret@x.test/a", nil, `"GET //greg:secret@x.test/a HTTP/1.1" 404 19 "-" "-"`},
		{"CONNECT greg:secret@x.test:443", nil, `"CONNECT x.test:443 HTTP/1.1" 200 - "-" "-"`},
		{"CONNECT [::1]:443", nil, `"CONNECT [::1]:443 HTTP/1.1" 200 - "-" "-"`},
	} {
		t.Run(tt.request, func(t *testing.T) {
			talk(t, addr, tt.request, tt.headers...)
			assert.Equal(t, "127.0.0.1 - - "+tt.want, withoutTime(t, got.next(t)))
			got.done(t)
		})
	}
}

func TestCombinedAsterisk(t *testing.T) {
	h, got := newCombined()
	logged(h, request("OPTIONS", "*"))
	assert.Contains(t, got.next(t), `"OPTIONS * HTTP/1.1"`)
}

func TestCombinedUser(t *testing.T) {
	h, got := newCombined()
	for header, want := range map[string]string{
		"":                          "-",
		"Authorization: Bearer abc": "-",
		"Authorization: Basic ?":    "-",
		basic(":secret"):            "-",
		basic("greg:secret"):        "greg",
		basic("a b:secret"):         `a\x20b`,
		basic("a\n\"é:secret"):      `a\n\"\xc3\xa9`,
	} {
		logged(h, request("GET", "/", header))
		assert.Equal(t, "192.0.2.1 - "+want+` "GET / HTTP/1.1" 200 - "-" "-"`, withoutTime(t, got.next(t)))
	}
}

func TestCombinedRemote(t *testing.T) {
	h, got := newCombined()
	for remote, want := range map[string]string{
		"": "-", "@": "@", "pipe [1]\n": `pipe\x20[1]\n`, "[::1%a b]:80": "::1",
	} {
		r := request("GET", "/")
		r.RemoteAddr = remote
		logged(h, r)
		line := got.next(t)
		assert.True(t, strings.HasPrefix(line, want+" - - ["), line)
	}
}

func TestCombinedWithNothing(t *testing.T) {
	h, got := newCombined()
	r := request("GET", "/")
	r.Method, r.Proto, r.URL.Path, r.RemoteAddr = "", "", "", ""
	logged(h, r)
	assert.Equal(t, `- - - "- - -" 200 - "-" "-"`, withoutTime(t, got.next(t)))
}

func TestCombinedTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		mux := kami.New()
		mux.LogHandler = accesslog.Combined(&out)
		mux.Get("/", func(http.ResponseWriter, *http.Request) { time.Sleep(time.Hour) })
		came := time.Now()
		mux.ServeHTTP(httptest.NewRecorder(), request("GET", "/"))
		assert.Contains(t, out.String(), " - - ["+came.Format(apacheTime)+`] "GET`, "it is when the request came")
	})
}

func TestCombinedQuery(t *testing.T) {
	h, got := newCombined(accesslog.WithQuery())
	for target, want := range map[string]string{
		"/":                      "/",
		"/?":                     "/?",
		"/a?b=c%20&d":            "/a?b=c%20&d",
		"/a?b%22?c":              "/a?b%22?c",
		"http://u:p@x.test/a?b":  "http://x.test/a?b",
		"http://x.test?b=u:p@x/": "http://x.test?b=u:p@x/",
	} {
		logged(h, request("GET", target))
		assert.Equal(t, `192.0.2.1 - - "GET `+want+` HTTP/1.1" 200 - "-" "-"`, withoutTime(t, got.next(t)))
	}
}

func TestReferer(t *testing.T) {
	bare, out := newCombined()
	full, outFull := newCombined(accesslog.WithQuery())
	for _, tt := range []struct{ referer, bare, full string }{
		{"", "-", "-"},
		{"?", "-", "?"},
		{"#a", "-", "-"},
		{"about:blank", "about:blank", "about:blank"},
		{"/a?b", "/a", "/a?b"},
		{"http://x.test", "http://x.test", "http://x.test"},
		{"http://x.test/a?b=c#d", "http://x.test/a", "http://x.test/a?b=c"},
		{"http://x.test/a#b?c", "http://x.test/a", "http://x.test/a"},
		{"http://x.test?a@b", "http://x.test", "http://x.test?a@b"},
		{"http://x.test/@greg?a", "http://x.test/@greg", "http://x.test/@greg?a"},
		{"http://greg@x.test/a?b", "http://x.test/a", "http://x.test/a?b"},
		{"http://greg:secret@x.test?b@c", "http://x.test", "http://x.test?b@c"},
		{"http://greg:se@cret@x.test", "http://x.test", "http://x.test"},
		{"//greg:secret@x.test/a", "//x.test/a", "//x.test/a"},
		{"/a//b@c/d", "/a//b@c/d", "/a//b@c/d"},
		{"?a=//b@c/d", "-", "?a=//b@c/d"},
	} {
		r := request("GET", "/", "Referer: "+tt.referer)
		logged(bare, r)
		assert.Contains(t, out.next(t), ` "GET / HTTP/1.1" 200 - "`+tt.bare+`" "-"`, tt.referer)
		logged(full, r)
		assert.Contains(t, outFull.next(t), ` "GET / HTTP/1.1" 200 - "`+tt.full+`" "-"`, tt.referer)
	}
}

func TestCombinedEscapes(t *testing.T) {
	h, got := newCombined()
	for b := range 256 {
		agent := "a" + string([]byte{byte(b)}) + "z"
		r := request("GET", "/")
		r.Header.Set("User-Agent", agent)
		logged(h, r)
		line := got.next(t)
		assert.Regexp(t, `^[ -~]*$`, line)
		_, text, _ := strings.Cut(line, ` "-" "`)
		assert.Equal(t, agent, unescape(t, strings.TrimSuffix(text, `"`)))
	}
}

var escape = regexp.MustCompile(`\\(x[0-9a-f]{2}|.)`)

// unescape undoes the escapes of Apache's logs.
func unescape(t *testing.T, text string) string {
	return escape.ReplaceAllStringFunc(text, func(e string) string {
		if e[1] == 'x' {
			const hex = "0123456789abcdef"
			return string([]byte{byte(strings.IndexByte(hex, e[2])<<4 | strings.IndexByte(hex, e[3]))})
		}
		text, ok := map[string]string{`\n`: "\n", `\t`: "\t", `\"`: `"`, `\\`: `\`}[e]
		assert.True(t, ok, e)
		return text
	})
}

func TestCombinedRefusesNil(t *testing.T) {
	assert.PanicsWithValue(t, "accesslog: the writer must not be nil", func() { accesslog.Combined(nil) })
}

// writer is a function as an io.Writer.
type writer func(p []byte) (int, error)

func (f writer) Write(p []byte) (int, error) { return f(p) }

func TestCombinedReportsOnceThatLinesAreLost(t *testing.T) {
	old := slog.Default()
	defer slog.SetDefault(old)
	reports := make(lines, 10)
	slog.SetDefault(slog.New(slog.NewTextHandler(reports, nil)))

	failed := errors.New("no room")
	var err error
	h := accesslog.Combined(writer(func(p []byte) (int, error) { return len(p), err }))
	for _, err = range []error{nil, failed, failed, io.ErrShortWrite, nil, nil} {
		logged(h, request("GET", "/"))
	}
	assert.Contains(t, reports.next(t), `level=ERROR msg="accesslog: lines are being lost" err="no room"`)
	reports.done(t)
	for _, err = range []error{failed, failed} {
		logged(h, request("GET", "/"))
	}
	assert.Contains(t, reports.next(t), "no room", "after a success it is said again")
	reports.done(t)
}

func TestCombinedGoesOnAfterAPanicOfTheWriter(t *testing.T) {
	var got bytes.Buffer
	panics := true
	h := accesslog.Combined(writer(func(p []byte) (int, error) {
		if panics {
			panic("boom")
		}
		return got.Write(p)
	}))
	assert.Panics(t, func() { logged(h, request("GET", "/first")) })
	panics = false
	logged(h, request("GET", "/second"))
	assert.Equal(t, 1, strings.Count(got.String(), "GET"))
}

func TestCombinedLongLineCostsLittleMemory(t *testing.T) {
	h := accesslog.Combined(io.Discard)
	for _, name := range []string{"User-Agent", "Referer", "Authorization"} {
		value := strings.Repeat("\xff", 1<<20)
		if name == "Authorization" {
			value = "Basic " + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\xff", 3<<18)))
		}
		r := request("GET", "/")
		r.Header.Set(name, value)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		logged(h, r)
		runtime.ReadMemStats(&after)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(10<<20), name)
	}
}

func TestCombinedLongLine(t *testing.T) {
	h, got := newCombined()
	agent := strings.Repeat("x", 1<<20)
	for _, agent := range []string{agent, "short", agent} {
		logged(h, request("GET", "/", "User-Agent: "+agent))
		assert.True(t, strings.HasSuffix(got.next(t), ` "-" "`+agent+`"`))
	}
}

func TestCombinedIsForLogHandler(*testing.T) {
	var _ func(context.Context, mutil.WriterProxy, *http.Request) = accesslog.Combined(io.Discard)
	mux := kami.New()
	mux.LogHandler = accesslog.Combined(io.Discard)
	mux.LogHandler = accesslog.New(slog.Default())
}
