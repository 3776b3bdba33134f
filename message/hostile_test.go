package message_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/message"
)

// TestM01AMessageWithinAMessage has a handler that serves another message with its context. It checks that the inner handler sees the
// context's values and params, that FromContext returns the inner message, and that the inner route's params hide outer ones.
func TestM01AMessageWithinAMessage(t *testing.T) {
	var inner, outer *message.Message
	var params []string
	mux := kami.New()
	mux.Post("/outer/:id/:name", func(ctx context.Context, w http.ResponseWriter, _ *http.Request) {
		ctx = context.WithValue(ctx, key{}, "value")
		reply := message.Serve(ctx, mux, &message.Message{Route: "inner"})
		_, _ = w.Write(reply.Body)
		assert.Equal(t, "/inner", reply.Pattern)
		message.Serve(ctx, mux, &message.Message{Route: "inner.8"})
		outer = message.FromContext(ctx)
		params = append(params, kami.Param(ctx, "id"))
	})
	show := func(ctx context.Context, w http.ResponseWriter, _ *http.Request) {
		inner = message.FromContext(ctx)
		params = append(params, kami.Param(ctx, "id")+kami.Param(ctx, "name"))
		_, _ = io.WriteString(w, ctx.Value(key{}).(string))
	}
	mux.Post("/inner", show)
	mux.Post("/inner/:id", show)
	reply := message.Serve(t.Context(), mux, &message.Message{Route: "outer.7.ann"})
	assert.Equal(t, "value", string(reply.Body))
	assert.Equal(t, "/outer/:id/:name", reply.Pattern)
	assert.Equal(t, "inner.8", inner.Route)
	assert.Equal(t, "outer.7.ann", outer.Route)
	assert.Equal(t, []string{"7ann", "8ann", "7"}, params)
}

// TestM01TheBodyEnds checks that a handler that outlives its message, because of http.TimeoutHandler, cannot read the body any more, as
// over HTTP. A read would race with the sender, who may reuse the bytes.
func TestM01TheBodyEnds(t *testing.T) {
	over, read := make(chan struct{}), make(chan error)
	late := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-over
		_, err := io.ReadAll(r.Body)
		read <- err
	})
	m := &message.Message{Route: "a", Body: []byte("body")}
	reply := message.Serve(t.Context(), http.TimeoutHandler(late, time.Millisecond, "slow"), m)
	assert.Equal(t, 503, reply.Status)
	close(over)
	m.Body[0] = 'B'
	assert.ErrorIs(t, <-read, http.ErrBodyReadAfterClose)
}

func TestM02NothingToServe(t *testing.T) {
	const want = "message: Serve: the context and the message must not be nil\n"
	var none context.Context
	for _, reply := range []*message.Reply{
		message.Serve(t.Context(), http.NotFoundHandler(), nil),
		message.Serve(none, http.NotFoundHandler(), &message.Message{Route: "a", Stream: func([]byte) error { return nil }}),
	} {
		assert.Equal(t, 500, reply.Status)
		assert.Equal(t, want, string(reply.Body))
	}
	log := logs(t)
	assert.Equal(t, 500, message.Serve(t.Context(), nil, &message.Message{Route: "a"}).Status)
	assert.Contains(t, log.String(), "nil pointer")
}

// TestM02AStreamThatPanics checks that a panic of the message's Stream makes the handler's Flush panic, and that Serve answers with 500.
func TestM02AStreamThatPanics(t *testing.T) {
	log := logs(t)
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "item")
		w.(http.Flusher).Flush()
	})
	m := &message.Message{Route: "a", Stream: func([]byte) error { panic("boom") }}
	reply := message.Serve(t.Context(), h, m)
	assert.Equal(t, 500, reply.Status)
	assert.Equal(t, "Internal Server Error\n", string(reply.Body))
	assert.Contains(t, log.String(), "boom")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reply, err := message.Local(h).Call(ctx, m)
	require.NoError(t, err)
	assert.Equal(t, 500, reply.Status)
}

// TestM03LateHeaders checks that a handler that has kept its header map cannot change the reply after the message has been answered.
func TestM03LateHeaders(t *testing.T) {
	for _, writes := range []bool{false, true} {
		var kept http.Header
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			kept = w.Header()
			kept.Set("A", "1")
			if writes {
				w.WriteHeader(201)
			}
		})
		reply := message.Serve(t.Context(), h, &message.Message{Route: "a"})
		kept["A"][0] = "2"
		kept.Set("B", "2")
		assert.Equal(t, http.Header{"A": {"1"}}, reply.Header)
		reply.Header.Add("A", "3")
		assert.Equal(t, []string{"2"}, kept["A"])
	}
}

// TestM01OneMessageServedTwice checks that two goroutines can serve one message at once, although its handler changes headers, URL and
// body.
func TestM01OneMessageServedTwice(t *testing.T) {
	mux := kami.New()
	mux.Post("/a", func(w http.ResponseWriter, r *http.Request) {
		r.Header["X"][0] = "changed"
		r.Header["Content-Type"][0] = "changed"
		r.Header.Set("Y", "changed")
		r.URL.Path = "/changed"
		body, _ := io.ReadAll(r.Body)
		clear(body)
		w.Header()["Z"] = r.Header["X"]
	})
	m := &message.Message{Route: "a", Header: http.Header{"X": {"1"}}, Body: []byte("body")}
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for range 100 {
				assert.Equal(t, []string{"changed"}, message.Serve(t.Context(), mux, m).Header["Z"])
			}
		})
	}
	all.Wait()
	assert.Equal(t, &message.Message{Route: "a", Header: http.Header{"X": {"1"}}, Body: []byte("body")}, m)
}

// TestM06AnswerFromAGoroutine checks that Answer works in another goroutine during the message, and fails after it.
func TestM06AnswerFromAGoroutine(t *testing.T) {
	over, late := make(chan struct{}), make(chan error)
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answered := make(chan error)
		go func() {
			answered <- message.Answer(w, "in time")
			<-over
			late <- message.Answer(w, errors.New("late"))
		}()
		assert.NoError(t, <-answered)
	})
	reply := message.Serve(t.Context(), h, &message.Message{Route: "a", Returns: message.First})
	close(over)
	assert.EqualError(t, <-late, "message: the message has been answered")
	assert.Equal(t, `"in time"`, string(reply.Body))
	assert.Equal(t, "application/json", reply.Header.Get("Content-Type"))
}

func TestM07BaseURLs(t *testing.T) {
	for base, want := range map[string]string{
		"http://host":               "http://host/a%2Fb/c",
		"http://host/":              "http://host/a%2Fb/c",
		"http://host/api/":          "http://host/api/a%2Fb/c",
		"http://host/api":           "http://host/api/a%2Fb/c",
		"http://host/%61pi%2F/":     "http://host/%61pi%2F/a%2Fb/c",
		"http://host/api%2F":        "http://host/api%2F/a%2Fb/c",
		"http://host/api?key=1#top": "http://host/api/a%2Fb/c?key=1#top",
		"http://ann:pw@host:80/é":   "http://ann:pw@host:80/%C3%A9/a%2Fb/c",
	} {
		u, err := url.Parse(base)
		require.NoError(t, err)
		before := *u
		var got string
		client := client(func(r *http.Request) (*http.Response, error) {
			got = r.URL.String()
			return &http.Response{StatusCode: 204, Body: http.NoBody}, nil
		})
		_, err = message.HTTP(client, u).Call(t.Context(), &message.Message{Route: "a%2Fb.c"})
		require.NoError(t, err)
		assert.Equal(t, want, got)
		assert.Equal(t, before, *u)
	}
}

// client is a function as an endpoint.HTTPClient.
type client func(*http.Request) (*http.Response, error)

func (f client) Do(r *http.Request) (*http.Response, error) { return f(r) }

// TestM07RedirectsOverHTTP checks that a redirect that repeats the message is followed, and that a redirect to a GET is an error.
func TestM07RedirectsOverHTTP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	h, served := http.NewServeMux(), 0
	h.HandleFunc("/same", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/api/there", http.StatusTemporaryRedirect)
	})
	h.HandleFunc("/get", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/api/there", http.StatusFound) })
	h.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		served++
		http.Redirect(w, r, "http://"+l.Addr().String(), http.StatusSeeOther)
	})
	h.HandleFunc("/there", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.Copy(w, r.Body)
	})
	to := overHTTP(t, h)
	got, err := message.Remote[int, int](to, "same")(t.Context(), 7)
	require.NoError(t, err)
	assert.Equal(t, 7, got)
	_, err = message.Remote[int, struct{}](to, "get")(t.Context(), 7)
	assert.EqualError(t, err, `message: "get" was redirected to a GET of /api/there, which is no message`)
	_, err = message.Remote[int, int](to, "away")(t.Context(), 7)
	assert.ErrorContains(t, err, "refused")
	assert.NotErrorIs(t, err, message.ErrUndelivered)
	assert.Equal(t, 1, served, "the message was repeated, though it had been delivered")
}

// TestM07Garbage checks that a call to a server that does not answer in HTTP is an error, and not ErrUndelivered.
func TestM07Garbage(t *testing.T) {
	for _, answer := range []string{"", "\x00\xff\r\n\r\n", "HTTP/1.1 999999 x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if assert.NoError(t, err) {
				_, _ = io.WriteString(c, answer)
				_ = c.Close()
			}
		}))
		base, err := url.Parse(server.URL)
		require.NoError(t, err)
		_, err = message.Remote[int, int](message.HTTP(server.Client(), base), "a")(t.Context(), 1)
		assert.Error(t, err, "%q", answer)
		assert.NotErrorIs(t, err, message.ErrUndelivered)
		server.Close()
	}
}

func TestM07KindsOfResponses(t *testing.T) {
	to := answering(200, "application/json", `{"a": [1]}`)
	gotAny, err := message.Remote[any, any](to, "a")(t.Context(), nil)
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"a": []any{1.0}}, gotAny)
	raw, err := message.Remote[*int, []byte](to, "a")(t.Context(), nil)
	assert.EqualError(t, err, "message: decoding the answer as []uint8: json: cannot unmarshal object into Go value of type []uint8")
	assert.Nil(t, raw)
	_, err = message.Remote[int, io.Reader](to, "a")(t.Context(), 1)
	assert.ErrorContains(t, err, "message: decoding the answer as io.Reader: json: ")
	for _, err := range message.Stream[int, io.Reader](to, "a")(t.Context(), 1) {
		assert.ErrorContains(t, err, "message: decoding an item as io.Reader: json: ")
	}
	text, err := message.Remote[int, []byte](answering(200, "", `"aGk="`), "a")(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, "hi", string(text))
}

// TestM10EnormousWindows checks that a window outside its limits panics or is ignored, so that it cannot allocate memory.
func TestM10EnormousWindows(t *testing.T) {
	const most = 65536
	for _, items := range []int{math.MinInt, -1, 0, most + 1, math.MaxInt} {
		assert.Panics(t, func() { message.Window(items) }, items)
	}
	to := message.Local(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	for _, window := range []int{1, most} {
		for item, err := range message.Stream[int, int](to, "a", message.Window(window))(t.Context(), 1) {
			require.NoError(t, err)
			assert.Equal(t, 1, item)
		}
	}
	for _, window := range []int{math.MinInt, math.MaxInt} {
		reply := message.Serve(t.Context(), http.NotFoundHandler(), &message.Message{Route: "a", Window: window, Stream: func([]byte) error { return nil }})
		assert.Equal(t, 404, reply.Status)
	}
}

// TestM03LeftBehindByAMux has http.TimeoutHandler as middleware of a Mux, and a handler that goes on after the message has been answered.
// It checks, with -race, that the handler does not race with the receiver of the reply.
func TestM03LeftBehindByAMux(t *testing.T) {
	over, done := make(chan struct{}), make(chan struct{})
	inner := kami.New()
	inner.Post("/in/:id", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		defer close(done)
		<-over
		<-ctx.Done()
		assert.Equal(t, "7", kami.Param(ctx, "id"))
		assert.Equal(t, "in.7", message.FromContext(ctx).Route)
		assert.Error(t, r.ParseMultipartForm(1<<20))
		w.Header().Set("A", "1")
		_, err := io.WriteString(w, "late")
		assert.ErrorIs(t, err, http.ErrHandlerTimeout)
		assert.ErrorContains(t, message.Answer(w, 1), "is no message", "the writer is http.TimeoutHandler's")
		panic(http.ErrAbortHandler)
	})
	mux := kami.New()
	mux.Cancel = true
	mux.Use("/", func(next http.Handler) http.Handler { return http.TimeoutHandler(next, time.Millisecond, "slow") })
	mux.Mount("/in/", inner)
	m := &message.Message{Route: "in.7", Header: http.Header{"Content-Type": {"multipart/form-data; boundary=b"}}, Body: []byte("--b\r\n")}
	reply := message.Serve(t.Context(), mux, m)
	close(over)
	assert.Equal(t, 503, reply.Status)
	assert.Equal(t, "/in/:id", reply.Pattern)
	reply.Pattern, m.Body[0] = "changed", 'x'
	<-done
	assert.Equal(t, "slow", string(reply.Body))
}

// TestM02WhatHandlersCanDoWrong checks that each mistake of a handler is answered with 500.
func TestM02WhatHandlersCanDoWrong(t *testing.T) {
	_ = logs(t)
	for name, h := range map[string]http.HandlerFunc{
		"no status":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(0) },
		"an odd panic":     func(http.ResponseWriter, *http.Request) { panic([]func(){nil}) },
		"a panic with nil": func(http.ResponseWriter, *http.Request) { panic(error(nil)) },
		"a text that panics": func(http.ResponseWriter, *http.Request) {
			panic(stringer(func() string { panic("again") }))
		},
		"a source that lies": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.(io.ReaderFrom).ReadFrom(reader(func(p []byte) (int, error) { return len(p) + 1, nil }))
		},
		"a source that panics": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.(io.ReaderFrom).ReadFrom(reader(func([]byte) (int, error) { panic("source") }))
		},
		"no request": func(_ http.ResponseWriter, r *http.Request) { *r = http.Request{}; _ = r.Header["A"][0] },
	} {
		reply := message.Serve(t.Context(), h, &message.Message{Route: "a"})
		assert.Equal(t, 500, reply.Status, name)
		assert.Equal(t, "Internal Server Error\n", string(reply.Body), name)
	}
}

type stringer func() string

func (f stringer) String() string { return f() }

type reader func([]byte) (int, error)

func (f reader) Read(p []byte) (int, error) { return f(p) }

// TestM03TheReplyIsItsReceivers checks that a reply can be changed while a goroutine of its handler still copies into the answer.
func TestM03TheReplyIsItsReceivers(t *testing.T) {
	for _, first := range []string{"", "body"} {
		reading, over, done := make(chan struct{}), make(chan struct{}), make(chan error)
		src := reader(func(p []byte) (int, error) {
			close(reading)
			<-over
			return copy(p, "late"), nil
		})
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, first)
			go func() {
				_, err := w.(io.ReaderFrom).ReadFrom(src)
				done <- err
				_, err = w.(io.ReaderFrom).ReadFrom(bytes.NewReader(nil))
				done <- err
			}()
			<-reading
		})
		reply := message.Serve(t.Context(), h, &message.Message{Route: "a"})
		assert.Equal(t, first, string(reply.Body))
		close(over)
		*reply = message.Reply{Body: []byte("changed")}
		for range 2 {
			assert.EqualError(t, <-done, "message: the message has been answered")
		}
		assert.Equal(t, "changed", string(reply.Body))
	}
}
