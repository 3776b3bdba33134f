package mutil_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	goji "github.com/zenazn/goji/web/mutil"

	"github.com/guregu/kami/mutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fake is a plain http.ResponseWriter that records what reaches it. With err
// set, a Write accepts n bytes and returns err.
type fake struct {
	header http.Header
	codes  []int
	body   bytes.Buffer
	n      int
	err    error
}

func (f *fake) Header() http.Header { return f.header }

func (f *fake) WriteHeader(code int) {
	if code < 100 || code > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", code))
	}
	f.codes = append(f.codes, code)
}

func (f *fake) Write(b []byte) (int, error) {
	if f.err != nil {
		b = b[:f.n]
	}
	f.body.Write(b)
	return len(b), f.err
}

// fake1 is a fake with the interfaces of net/http's writer for HTTP/1.
type fake1 struct {
	fake
	flushes   int
	sources   []io.Reader
	hijackErr error
}

func (f *fake1) Flush() { f.flushes++ }

func (f *fake1) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, f.hijackErr }

func (f *fake1) ReadFrom(src io.Reader) (int64, error) {
	f.sources = append(f.sources, src)
	return f.body.ReadFrom(src)
}

// errFlusher has FlushError but no Flush.
type errFlusher struct {
	err     error
	flushes int
}

func (f *errFlusher) FlushError() error {
	f.flushes++
	return f.err
}

// wrapper is a writer of middleware that has Unwrap.
type wrapper struct{ http.ResponseWriter }

func (w wrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// noWriter fails every Write. Tests use it as a tee.
type noWriter struct{}

func (noWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// onlyReader hides a source's WriterTo, so that io.Copy uses ReadFrom.
type onlyReader struct{ io.Reader }

func TestC03WriterProxyIsGojis(t *testing.T) {
	// Function types are assignable only if their results are the same type.
	for _, wrap := range []func(http.ResponseWriter) mutil.WriterProxy{mutil.WrapWriter, goji.WrapWriter} {
		assert.Equal(t, 0, wrap(&fake{}).Status())
	}
}

func TestC43Unwrap(t *testing.T) {
	f := &fake{header: http.Header{}}
	p := mutil.WrapWriter(f)
	p.Header().Set("A", "b")
	assert.Same(t, f, p.Unwrap())
	assert.Equal(t, "b", f.header.Get("A"))
}

func TestC43StatusIsFinalOne(t *testing.T) {
	for _, tt := range []struct {
		codes, passed []int
		status        int
	}{
		{nil, nil, 0},
		{[]int{100, 103, 103}, []int{100, 103, 103}, 0},
		{[]int{103, 404, 500}, []int{103, 404}, 404},
		{[]int{204, 103}, []int{204}, 204},
		{[]int{101, 200}, []int{101}, 101},
		{[]int{199, 999}, []int{199, 999}, 999},
	} {
		f := &fake{}
		p := mutil.WrapWriter(f)
		for _, code := range tt.codes {
			p.WriteHeader(code)
		}
		assert.Equal(t, tt.passed, f.codes)
		assert.Equal(t, tt.status, p.Status())
	}
}

func TestC43InvalidStatusIsNotRecorded(t *testing.T) {
	p := mutil.WrapWriter(&fake{})
	for _, code := range []int{0, 99, 1000} {
		assert.Panics(t, func() { p.WriteHeader(code) })
		assert.Zero(t, p.Status())
	}
	p.WriteHeader(500)
	assert.Equal(t, 500, p.Status())
}

func TestC43StatusIsImplied(t *testing.T) {
	for name, send := range map[string]func(w http.ResponseWriter){
		"Write":       func(w http.ResponseWriter) { w.Write([]byte("hi")) },
		"empty Write": func(w http.ResponseWriter) { w.Write(nil) },
		"WriteString": func(w http.ResponseWriter) { io.WriteString(w, "hi") },
		"ReadFrom":    func(w http.ResponseWriter) { w.(io.ReaderFrom).ReadFrom(strings.NewReader("hi")) },
		"Flush":       func(w http.ResponseWriter) { w.(http.Flusher).Flush() },
		"FlushError":  func(w http.ResponseWriter) { http.NewResponseController(w).Flush() },
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake1{}
			p := mutil.WrapWriter(f)
			p.WriteHeader(103)
			send(p)
			assert.Equal(t, 200, p.Status())
			p.WriteHeader(500)
			assert.Equal(t, 200, p.Status())
			assert.Equal(t, []int{103}, f.codes, "the writer below implies its 200 itself")

			p = mutil.WrapWriter(&fake1{})
			p.WriteHeader(201)
			send(p)
			assert.Equal(t, 201, p.Status())
		})
	}
}

func TestC43BytesWritten(t *testing.T) {
	f := &fake1{}
	p := mutil.WrapWriter(f)
	fmt.Fprint(p, "12345")
	io.WriteString(p, "678")
	p.(io.ReaderFrom).ReadFrom(strings.NewReader("90"))
	assert.Equal(t, 10, p.BytesWritten())
	assert.Equal(t, "1234567890", f.body.String())

	f.n, f.err = 2, io.ErrShortWrite
	n, err := fmt.Fprint(p, "abc")
	assert.Equal(t, 2, n)
	assert.Equal(t, io.ErrShortWrite, err)
	n, err = io.WriteString(p, "abc")
	assert.Equal(t, 2, n)
	assert.Equal(t, io.ErrShortWrite, err)
	assert.Equal(t, 14, p.BytesWritten())
}

// stringFake is a fake that has WriteString.
type stringFake struct {
	fake
	strings []string
}

func (f *stringFake) WriteString(s string) (int, error) {
	f.strings = append(f.strings, s)
	return len(s), nil
}

func TestC43WriteStringIsForwarded(t *testing.T) {
	f := &stringFake{}
	p := mutil.WrapWriter(f)
	n, err := p.(io.StringWriter).WriteString("hi")
	assert.NoError(t, err)
	assert.Equal(t, 2, n)
	assert.Equal(t, []string{"hi"}, f.strings)
	assert.Zero(t, f.body.Len())
}

func TestC43ReadFromWithoutFirstByte(t *testing.T) {
	failed := errors.New("source failed")
	for _, want := range []error{nil, failed} {
		src := io.Reader(strings.NewReader(""))
		if want != nil {
			src = iotest.ErrReader(want)
		}
		f := &fake1{}
		p := mutil.WrapWriter(f)
		n, err := io.Copy(p, onlyReader{src})
		assert.Zero(t, n)
		assert.Equal(t, want, err)
		assert.Zero(t, p.Status(), "nothing was sent")
		p.WriteHeader(502)
		assert.Equal(t, 502, p.Status())
		assert.Equal(t, []int{502}, f.codes)
	}
}

func TestC43ReadFromThatFailsLater(t *testing.T) {
	failed := errors.New("source failed")
	p := mutil.WrapWriter(&fake1{})
	src := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(failed))
	n, err := io.Copy(p, onlyReader{src})
	assert.EqualValues(t, 4, n)
	assert.Equal(t, failed, err)
	assert.Equal(t, 200, p.Status())
	assert.Equal(t, 4, p.BytesWritten())
}

// panics is a source whose Read panics, and a writer whose methods panic after they have sent a part.
type panics struct{ *fake1 }

func (panics) Read([]byte) (int, error) { panic("source") }

func (w panics) WriteHeader(code int) {
	w.fake1.WriteHeader(code)
	panic("header")
}

func (w panics) Write(b []byte) (int, error) {
	w.fake.Write(b[:len(b)/2])
	panic("body")
}

func (w panics) ReadFrom(src io.Reader) (int64, error) {
	io.CopyN(&w.body, src, 2)
	panic("source")
}

func (panics) FlushError() error { panic("flush") }

func TestC43ReadFromThatPanicsBeforeTheFirstByte(t *testing.T) {
	for name, tee := range map[string]io.Writer{"as it is": nil, "with a tee": io.Discard} {
		t.Run(name, func(t *testing.T) {
			f := &fake1{}
			p := mutil.WrapWriter(f)
			p.Tee(tee)
			assert.Panics(t, func() { io.Copy(p, panics{}) })
			assert.Zero(t, p.Status(), "nothing was sent")
			p.WriteHeader(500)
			assert.Equal(t, 500, p.Status())
			assert.Equal(t, []int{500}, f.codes)
		})
	}
}

func TestC43ReadFromThatPanicsLater(t *testing.T) {
	p := mutil.WrapWriter(&fake1{})
	src := io.MultiReader(strings.NewReader("half"), panics{})
	assert.Panics(t, func() { io.Copy(p, onlyReader{src}) })
	assert.Equal(t, 200, p.Status(), "half of it may have been sent")
}

func TestC43StatusStaysIfTheWriterBelowPanics(t *testing.T) {
	for name, send := range map[string]func(w mutil.WriterProxy){
		"WriteHeader": func(w mutil.WriterProxy) { w.WriteHeader(200) },
		"Write":       func(w mutil.WriterProxy) { w.Write([]byte("body")) },
		"WriteString": func(w mutil.WriterProxy) { io.WriteString(w, "body") },
		"ReadFrom":    func(w mutil.WriterProxy) { io.Copy(w, onlyReader{strings.NewReader("body")}) },
		"Flush":       func(w mutil.WriterProxy) { w.(http.Flusher).Flush() },
		"FlushError":  func(w mutil.WriterProxy) { http.NewResponseController(w).Flush() },
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake1{}
			p := mutil.WrapWriter(panics{f})
			assert.Panics(t, func() { send(p) })
			assert.Equal(t, 200, p.Status())
			sent := f.codes
			p.WriteHeader(500)
			assert.Equal(t, sent, f.codes, "no second answer")
		})
	}
}

// answering is a source that calls WriteHeader in its Read.
type answering struct {
	p mutil.WriterProxy
	io.Reader
}

func (a answering) Read(b []byte) (int, error) {
	a.p.WriteHeader(404)
	return a.Reader.Read(b)
}

func TestC43SourceThatAnswersItself(t *testing.T) {
	for _, body := range []string{"", "not here"} {
		f := &fake1{}
		p := mutil.WrapWriter(f)
		_, err := io.Copy(p, answering{p, strings.NewReader(body)})
		assert.NoError(t, err)
		assert.Equal(t, 404, p.Status())
		assert.Equal(t, []int{404}, f.codes)
		assert.Equal(t, body, f.body.String())
	}
}

func TestC43Tee(t *testing.T) {
	f := &fake1{}
	p := mutil.WrapWriter(f)
	var first, second strings.Builder
	fmt.Fprint(p, "0")
	p.Tee(&first)
	fmt.Fprint(p, "1")
	io.WriteString(p, "2")
	n, err := io.Copy(p, onlyReader{strings.NewReader("34")})
	assert.NoError(t, err)
	assert.EqualValues(t, 2, n)
	assert.Empty(t, f.sources, "a source would go past the tee")
	p.Tee(&second)
	fmt.Fprint(p, "5")
	p.Tee(nil)
	fmt.Fprint(p, "6")

	assert.Equal(t, "1234", first.String())
	assert.Equal(t, "5", second.String())
	assert.Equal(t, "0123456", f.body.String())
	assert.Equal(t, 7, p.BytesWritten())
}

func TestC43TeeGetsWhatWasAccepted(t *testing.T) {
	var tee strings.Builder
	p := mutil.WrapWriter(&fake{n: 1, err: io.ErrShortWrite})
	p.Tee(&tee)
	fmt.Fprint(p, "abc")
	io.WriteString(p, "xyz")
	assert.Equal(t, "ax", tee.String())
}

// order is a tee that records the bytes that the client has at each Write.
type order struct {
	client *bytes.Buffer
	had    []string
}

func (o *order) Write(b []byte) (int, error) {
	o.had = append(o.had, o.client.String())
	return len(b), nil
}

func TestC43TeeComesAfterClient(t *testing.T) {
	f := &fake{}
	o := &order{client: &f.body}
	p := mutil.WrapWriter(f)
	p.Tee(o)
	fmt.Fprint(p, "a")
	io.WriteString(p, "b")
	assert.Equal(t, []string{"a", "ab"}, o.had)
}

func TestC43TeeErrorsAreIgnored(t *testing.T) {
	f := &fake{}
	p := mutil.WrapWriter(f)
	p.Tee(noWriter{})
	_, err := fmt.Fprint(p, "a")
	assert.NoError(t, err)
	_, err = io.WriteString(p, "b")
	assert.NoError(t, err)
	assert.Equal(t, "ab", f.body.String())
}

func TestC43SendfileIsNotLost(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, []byte("content"), 0o600))
	file, err := os.Open(name)
	require.NoError(t, err)
	defer file.Close()

	f := &fake1{}
	p := mutil.WrapWriter(f)
	_, err = p.(io.ReaderFrom).ReadFrom(file)
	require.NoError(t, err)
	_, err = file.Seek(0, io.SeekStart)
	require.NoError(t, err)
	_, err = io.CopyN(p, file, 4)
	require.NoError(t, err)

	require.Len(t, f.sources, 2)
	assert.Same(t, file, f.sources[0])
	limited, ok := f.sources[1].(*io.LimitedReader)
	require.True(t, ok, "%T", f.sources[1])
	assert.Same(t, file, limited.R)
	assert.Equal(t, "contentcont", f.body.String())
	assert.Equal(t, 11, p.BytesWritten())
}

func TestC43HijackEndsWriting(t *testing.T) {
	f := &fake1{}
	p := mutil.WrapWriter(f)
	var tee strings.Builder
	p.Tee(&tee)
	assert.False(t, mutil.Hijacked(p))
	_, _, err := http.NewResponseController(p).Hijack()
	require.NoError(t, err)
	assert.True(t, mutil.Hijacked(p))

	p.WriteHeader(500)
	p.(http.Flusher).Flush()
	assert.Equal(t, http.ErrHijacked, http.NewResponseController(p).Flush())
	n, err := p.Write([]byte("a"))
	assert.Zero(t, n)
	assert.Equal(t, http.ErrHijacked, err)
	n, err = io.WriteString(p, "a")
	assert.Zero(t, n)
	assert.Equal(t, http.ErrHijacked, err)
	src := strings.NewReader("a")
	n64, err := p.(io.ReaderFrom).ReadFrom(src)
	assert.Zero(t, n64)
	assert.Equal(t, http.ErrHijacked, err)
	assert.Equal(t, 1, src.Len(), "the source is left alone")

	assert.Zero(t, p.Status())
	assert.Zero(t, p.BytesWritten())
	assert.Empty(t, tee.String())
	assert.Equal(t, &fake1{}, f)
}

func TestC43FailedHijackChangesNothing(t *testing.T) {
	f := &fake1{hijackErr: errors.New("no")}
	p := mutil.WrapWriter(f)
	_, _, err := p.(http.Hijacker).Hijack()
	assert.Equal(t, f.hijackErr, err)
	assert.False(t, mutil.Hijacked(p))
	p.WriteHeader(500)
	fmt.Fprint(p, "sorry")
	p.(http.Flusher).Flush()
	assert.Equal(t, 500, p.Status())
	assert.Equal(t, []int{500}, f.codes)
	assert.Equal(t, "sorry", f.body.String())
	assert.Equal(t, 1, f.flushes)
}

func TestC43HijackPastTheProxy(t *testing.T) {
	for name, send := range map[string]func(p mutil.WriterProxy) error{
		"Write":       func(p mutil.WriterProxy) error { _, err := p.Write([]byte("a")); return err },
		"WriteString": func(p mutil.WriterProxy) error { _, err := io.WriteString(p, "a"); return err },
		"FlushError":  func(p mutil.WriterProxy) error { return http.NewResponseController(p).Flush() },
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{err: fmt.Errorf("below: %w", http.ErrHijacked)}
			p := mutil.WrapWriter(struct {
				*fake
				*errFlusher
			}{f, &errFlusher{err: f.err}})
			assert.ErrorIs(t, send(p), http.ErrHijacked)
			assert.True(t, mutil.Hijacked(p))
			assert.Zero(t, p.Status())
			p.WriteHeader(500)
			assert.Zero(t, p.Status())
			assert.Empty(t, f.codes)
		})
	}
}

// refusing is a fake1 that was hijacked without the proxy's knowledge.
type refusing struct{ *fake1 }

func (refusing) ReadFrom(src io.Reader) (int64, error) {
	_, _ = io.ReadAll(src)
	return 0, http.ErrHijacked
}

func TestC43HijackPastReadFrom(t *testing.T) {
	f := &fake1{}
	p := mutil.WrapWriter(refusing{f})
	_, err := p.(io.ReaderFrom).ReadFrom(strings.NewReader("a"))
	assert.ErrorIs(t, err, http.ErrHijacked)
	assert.True(t, mutil.Hijacked(p))
	p.WriteHeader(500)
	assert.Zero(t, p.Status())
	assert.Empty(t, f.codes)
}

func TestC43HijackPastHijack(t *testing.T) {
	p := mutil.WrapWriter(&fake1{hijackErr: http.ErrHijacked})
	_, _, err := p.(http.Hijacker).Hijack()
	assert.Equal(t, http.ErrHijacked, err)
	assert.True(t, mutil.Hijacked(p))
}

func TestC43HijackOfAnUpgradeIsA101(t *testing.T) {
	upgrade := http.Header{"Upgrade": {"websocket"}}
	for _, tt := range []struct {
		asked http.Header
		sent  int
		err   error
		want  int
	}{
		{upgrade, 0, nil, 101},
		{upgrade, 404, nil, 404},
		{upgrade, 0, http.ErrNotSupported, 0},
		{nil, 0, nil, 0},
	} {
		f := &fake1{hijackErr: tt.err}
		p := new(mutil.Place).WrapFor(f, &http.Request{Header: tt.asked})
		if tt.sent != 0 {
			p.WriteHeader(tt.sent)
		}
		codes := len(f.codes)
		_, _, err := p.(http.Hijacker).Hijack()
		assert.Equal(t, tt.err, err)
		assert.Equal(t, tt.want, p.Status(), "%+v", tt)
		assert.Len(t, f.codes, codes, "it is sent on the connection")
	}
}

func TestC43StatusStaysIfAnythingWasSent(t *testing.T) {
	p := mutil.WrapWriter(&fake{n: 1, err: http.ErrNotSupported})
	fmt.Fprint(p, "ab")
	assert.Equal(t, 200, p.Status())
	assert.Equal(t, 1, p.BytesWritten())
}

func TestC43FlushErrorIsForwarded(t *testing.T) {
	failed := errors.New("flush failed")
	for name, below := range map[string]func(e *errFlusher) http.ResponseWriter{
		"FlushError": func(e *errFlusher) http.ResponseWriter {
			return struct {
				*fake
				*errFlusher
			}{&fake{}, e}
		},
		"both": func(e *errFlusher) http.ResponseWriter {
			return struct {
				*fake1
				*errFlusher
			}{&fake1{}, e}
		},
		"unwrapped": func(e *errFlusher) http.ResponseWriter {
			return wrapper{struct {
				*fake
				*errFlusher
			}{&fake{}, e}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := &errFlusher{err: failed}
			p := mutil.WrapWriter(below(e))
			assert.Equal(t, failed, http.NewResponseController(p).Flush())
			assert.Equal(t, 1, e.flushes)
			assert.Equal(t, 200, p.Status())
		})
	}
}

func TestC43FlushNotSupported(t *testing.T) {
	f := &fake{}
	p := mutil.WrapWriter(f)
	assert.ErrorIs(t, http.NewResponseController(p).Flush(), http.ErrNotSupported)
	assert.Zero(t, p.Status(), "nothing was sent")
	p.WriteHeader(500)
	assert.Equal(t, []int{500}, f.codes)
}

// discard is a writer whose methods do nothing.
type discard struct{}

func (discard) Header() http.Header               { return nil }
func (discard) WriteHeader(int)                   {}
func (discard) Write(b []byte) (int, error)       { return len(b), nil }
func (discard) WriteString(s string) (int, error) { return len(s), nil }

// discard1 is discard with the interfaces of net/http's writer for HTTP/1.
type discard1 struct{ discard }

func (discard1) Flush()                                       {}
func (discard1) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, nil }
func (discard1) ReadFrom(io.Reader) (int64, error)            { return 1, nil }

var sink mutil.WriterProxy

func TestC43Allocations(t *testing.T) {
	w0 := &called{fake: &fake{header: http.Header{}}}
	for _, newWriter := range writers {
		w := newWriter(w0)
		assert.EqualValues(t, 1, testing.AllocsPerRun(100, func() { sink = mutil.WrapWriter(w) }), "%T", w)
		place := new(mutil.Place)
		assert.Zero(t, testing.AllocsPerRun(100, func() {
			*place = mutil.Place{}
			sink = place.Wrap(w)
		}), "in a place: %T", w)
	}
	for _, w := range []http.ResponseWriter{discard{}, discard1{}} {
		p, body := mutil.WrapWriter(w), []byte("body")
		assert.Zero(t, testing.AllocsPerRun(100, func() {
			p.Write(body)
			io.WriteString(p, "body")
			if f, ok := p.(http.Flusher); ok {
				f.Flush()
			}
			if rf, ok := p.(io.ReaderFrom); ok {
				rf.ReadFrom(nil)
			}
		}), "%T", w)
	}
}

func BenchmarkWrapWriter(b *testing.B) {
	body := []byte("body")
	for name, wrap := range map[string]func(http.ResponseWriter) mutil.WriterProxy{
		"kami": mutil.WrapWriter,
		"goji": goji.WrapWriter,
	} {
		b.Run(name, func(b *testing.B) {
			w := &discard1{}
			b.ReportAllocs()
			for b.Loop() {
				sink = wrap(w)
				sink.WriteHeader(200)
				sink.Write(body)
			}
		})
	}
}

func TestSentAreTheHeaders(t *testing.T) {
	for name, send := range map[string]func(p mutil.WriterProxy){
		"nothing":     func(mutil.WriterProxy) {},
		"1xx":         func(p mutil.WriterProxy) { p.WriteHeader(103) },
		"WriteHeader": func(p mutil.WriterProxy) { p.WriteHeader(404) },
		"Write":       func(p mutil.WriterProxy) { fmt.Fprint(p, "a") },
	} {
		f := &counting{fake: &fake{header: http.Header{}}}
		p := mutil.WrapWriter(f)
		p.Header().Set("X", "y")
		send(p)
		asked := f.asked
		assert.Equal(t, http.Header{"X": {"y"}}, mutil.Sent(p), name)
		assert.Equal(t, p.Status() == 0, f.asked > asked, "%s: the writer below is asked but before it has sent", name)
	}
}

func TestContentLengthIsThatOfTheResponse(t *testing.T) {
	set := func(p mutil.WriterProxy, length string) { p.Header().Set("Content-Length", length) }
	begin := func(p mutil.WriterProxy, length string) { set(p, length); p.WriteHeader(200) }
	for _, tt := range []struct {
		name    string
		send    func(p mutil.WriterProxy)
		want    int64
		foreign int64 // of a proxy of another package
	}{
		{"nothing sent", func(p mutil.WriterProxy) { set(p, "5") }, -1, -1},
		{"1xx", func(p mutil.WriterProxy) { set(p, "5"); p.WriteHeader(103) }, -1, -1},
		{"none", func(p mutil.WriterProxy) { fmt.Fprint(p, "a") }, -1, -1},
		{"write", func(p mutil.WriterProxy) { set(p, "5"); fmt.Fprint(p, "a") }, 5, 5},
		{"zero", func(p mutil.WriterProxy) { begin(p, "0") }, 0, 0},
		{"large", func(p mutil.WriterProxy) { begin(p, "9223372036854775807") }, math.MaxInt64, math.MaxInt64},
		{"too large", func(p mutil.WriterProxy) { begin(p, "9223372036854775808") }, -1, -1},
		{"negative", func(p mutil.WriterProxy) { begin(p, "-5") }, -1, -1},
		{"no number", func(p mutil.WriterProxy) { begin(p, "5x") }, -1, -1},
		{"set later", func(p mutil.WriterProxy) { p.WriteHeader(200); set(p, "5") }, -1, 5},
		{"changed later", func(p mutil.WriterProxy) { begin(p, "5"); set(p, "7") }, 5, 7},
	} {
		p := mutil.WrapWriter(&fake{header: http.Header{}})
		tt.send(p)
		assert.Equal(t, tt.want, mutil.ContentLength(p), tt.name)
		assert.Equal(t, tt.foreign, mutil.ContentLength(foreign{p}), tt.name)
	}
}

// After a whole response, each way to write fails, as with net/http over HTTP/1.
func TestC43NothingIsWrittenToAWholeResponse(t *testing.T) {
	for name, write := range map[string]func(w http.ResponseWriter, text string) (int64, error){
		"Write": func(w http.ResponseWriter, text string) (int64, error) {
			n, err := w.Write([]byte(text))
			return int64(n), err
		},
		"WriteString": func(w http.ResponseWriter, text string) (int64, error) {
			n, err := io.WriteString(w, text)
			return int64(n), err
		},
		"ReadFrom": func(w http.ResponseWriter, text string) (int64, error) {
			return io.Copy(w, iotest.OneByteReader(strings.NewReader(text)))
		},
	} {
		for _, major := range []int{1, 2} {
			_, body := do(t, major, func(w http.ResponseWriter, _ *http.Request) {
				p := mutil.WrapWriter(w)
				p.Header().Set("Content-Length", "5")
				p.WriteHeader(200)
				for _, tt := range []struct {
					text string
					n    int64
					err  error
				}{{"", 0, nil}, {"hel", 3, nil}, {"lo", 2, nil}, {"", 0, nil}, {"!", 0, http.ErrContentLength}, {"", 0, nil}} {
					n, err := write(p, tt.text)
					assert.Equal(t, tt.n, n, "%s %q, HTTP/%d", name, tt.text, major)
					assert.Equal(t, tt.err, err, "%s %q, HTTP/%d", name, tt.text, major)
				}
				assert.Equal(t, 5, p.BytesWritten())
			})
			assert.Equal(t, "hello", body, "%s, HTTP/%d", name, major)
		}
	}
}

// counting counts the calls of Header.
type counting struct {
	*fake
	asked int
}

func (c *counting) Header() http.Header { c.asked++; return c.fake.Header() }

// foreign is a proxy that is not one of package mutil.
type foreign struct{ mutil.WriterProxy }

func TestOfOtherProxiesNothingIsKnown(t *testing.T) {
	p := foreign{mutil.WrapWriter(&fake1{fake: fake{header: http.Header{}}})}
	p.Header().Set("X", "y")
	_, _, err := http.NewResponseController(p).Hijack()
	require.NoError(t, err)
	assert.False(t, mutil.Hijacked(p))
	assert.Equal(t, http.Header{"X": {"y"}}, mutil.Sent(p))
}
