package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
)

// redialer makes the links of a Conn.
type redialer struct {
	conn    *Conn
	url     string
	base    context.Context // of messages
	options dialOptions

	mu        sync.Mutex
	failed    int    // attempts since a link has lived
	token     string // token of the session at the other side
	seq       uint64 // number of the last push
	live      *link  // the link that has resumed last
	recovered bool   // live has taken over the session of the link before
	shown     string // the last credential
	begun     bool   // a link has worked
}

// first makes the first link: in one attempt, or with Reconnect in as many as it needs.
func (r *redialer) first(ctx context.Context) (*link, error) {
	if r.options.backoff == nil {
		return r.connect(ctx, r.url)
	}
	return r.again(ctx, "")
}

// serve serves a link and the links after it.
func (r *redialer) serve(l *link) {
	for l != nil {
		n := r.conn.node
		if !n.join(l) {
			l.abandon()
			r.conn.finish(fmt.Errorf("%w: the Node is closed", ErrClosed))
			return
		}
		l.run()
		n.leave(l)
		if r.conn.redial == nil || l.isMoving() {
			return // another goroutine goes on
		}
		if time.Since(l.began) >= lived {
			r.failures(func(int) int { return 1 }) // all clients of a failed server come back, but not at the same moment
		}
		l = r.next("")
	}
}

// next makes the next link, or returns nil if there will be no other.
func (r *redialer) next(url string) *link {
	ctx, cancel := context.WithCancel(r.base)
	defer cancel()
	n := r.conn.node
	n.mu.Lock()
	stopped := n.stop()
	n.mu.Unlock()
	go func() {
		select {
		case <-r.conn.done:
		case <-stopped:
		case <-ctx.Done():
		}
		cancel()
	}()
	l, err := r.again(ctx, url)
	if err == nil && r.conn.Err() != nil {
		l.abandon()
		return nil
	}
	if err != nil {
		r.conn.finish(fmt.Errorf("%w: %w", ErrClosed, err))
		return nil
	}
	return l
}

// again tries until it works, until ctx ends, or until the server has refused for good. The url is for the first attempt; "" is the
// URL of Dial.
func (r *redialer) again(ctx context.Context, url string) (*link, error) {
	for {
		if failed := r.failures(func(n int) int { return n + 1 }); failed > 1 {
			if err := pause(ctx, r.options.backoff.wait(failed-1)); err != nil {
				return nil, err
			}
		}
		to := r.url
		if url != "" {
			to, url = url, ""
		}
		attempt, cancel := context.WithTimeout(ctx, handshake)
		l, err := r.connect(attempt, to)
		final := err != nil && r.isFinal(attempt, err)
		cancel()
		switch {
		case err == nil:
			return l, nil
		case ctx.Err() != nil:
			return nil, withCause(ctx, err)
		case final:
			return nil, err
		}
		r.conn.node.log().Info("peer: connecting failed, and is tried again", "err", err)
	}
}

// handshake is how long an attempt may take. Without it, a server that accepts connections and never answers would block the Dial
// for ever.
const handshake = 30 * time.Second

func (r *redialer) failures(change func(int) int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = change(r.failed)
	return r.failed
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// isFinal reports whether an attempt need not be repeated: the credential was refused, and there is no other one.
func (r *redialer) isFinal(ctx context.Context, err error) bool {
	var coder endpoint.StatusCoder
	if !errors.As(err, &coder) || coder.StatusCode() != 401 && coder.StatusCode() != 403 {
		return false
	}
	r.mu.Lock()
	shown := r.shown
	r.mu.Unlock()
	if r.options.token == nil {
		return true
	}
	scheme, credential, _, err := r.options.token(ctx)
	return err == nil && shown == scheme+" "+credential
}

// comeBack prepares a link of a Dial with Reconnect: it resumes the session of the link before, and then calls go over the link.
func (l *link) comeBack() {
	r := l.conn.redial
	recovered, again, err := r.resume(l)
	if err != nil {
		l.closeWith(closePolicy, "the session could not be resumed")
		return
	}
	before := l.conn.opened(l)
	if before != nil && before != l {
		before.spawn(before.retire)
	}
	l.refreshToken(r)
	if again && l.node.OnResume != nil {
		l.hook("OnResume", func(c *Conn) { l.node.OnResume(c, recovered) })
	}
}

// resume asks the other side for the earlier session. again says that there was a link before.
func (r *redialer) resume(l *link) (recovered, again bool, err error) {
	r.mu.Lock()
	params := resumeParams{r.token, r.seq}
	again, r.begun = r.begun, true
	before := r.live
	if params.Token != "" {
		r.live, r.recovered = l, true // pushes that the link before is given from now on come again by this one
	}
	r.mu.Unlock()
	before.awaitPushes()
	l.calls.mu.Lock()
	was := false // only the reader sets it, before the answer
	l.calls.first = func(reply *message.Reply) { was = r.resumed(l, reply) }
	l.calls.mu.Unlock()
	body, _ := json.Marshal(params)
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	if _, err = l.call(ctx, &message.Message{Route: methodResume, Body: body}); err != nil {
		return false, again, err
	}
	return was, again, nil
}

// resumed notes the answer to kami.resume. A server that keeps no sessions answers with an error.
func (r *redialer) resumed(l *link, reply *message.Reply) (recovered bool) {
	var result resumeResult
	known := reply.Status < 400 && json.Unmarshal(reply.Body, &result) == nil
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live, r.recovered = l, known && result.Recovered
	if known {
		r.token = result.Token
	}
	if known && !result.Recovered {
		r.seq = result.Seq
	}
	return r.recovered
}

// isNext takes note of the number of a push, and reports whether it is a new one, which counts as running then. A link that has been left
// may go on to push, for calls that it has not answered: these pushes come again by the live one, unless that has a new session.
func (r *redialer) isNext(in *incoming) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := in.link
	if l != r.live {
		return !r.recovered
	}
	if uint64(in.seq) <= r.seq {
		return false
	}
	r.seq = uint64(in.seq)
	l.pushes.Add(1)
	in.counted = true
	return true
}

// awaitPushes waits until the handlers of pushes have returned, or the link has ended: those that come by the next link are later ones.
func (l *link) awaitPushes() {
	if l == nil {
		return
	}
	done := make(chan struct{})
	go func() {
		l.pushes.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-l.done:
	}
}

// retire closes a link when nothing waits for an answer by it.
func (l *link) retire() {
	l.goodbye.Do(func() {})
	l.closeWhenIdle(closeNormal, "")
}

// goaway handles the server's goodbye: another link is made at a random moment within the time that the server gives.
func (l *link) goaway(params []byte) {
	r := l.conn.redial
	if r == nil || !l.dialed {
		return
	}
	var said struct {
		Within int64  `json:"within"`
		URL    string `json:"url"`
	}
	if json.Unmarshal(params, &said) != nil {
		return
	}
	within := time.Duration(min(max(said.Within, 0), int64(time.Hour/time.Millisecond))) * time.Millisecond
	again := time.Since(l.began) < settled
	l.goodbye.Do(func() {
		l.spawn(func() { l.move(rand.N(within+1), r.allowed(said.URL), again) })
	})
}

// settled is how long a connection must have lived for a goaway not to count as a failure: a server that says it to each new connection
// would have its clients come back in a loop. They wait as after the first failure, and not longer with each, because a client may come
// several times to a process that is being replaced.
const settled = time.Second

// allowed returns the URL if the next link may be made there, and "" otherwise. The credential and the token of the session go
// there, so the rule is net/http's for redirects: the same host, or one below it, and encrypted if the connection is now.
func (r *redialer) allowed(to string) string {
	next, err := url.Parse(to)
	now, wrong := url.Parse(r.url)
	if err != nil || wrong != nil {
		return ""
	}
	host, own := strings.ToLower(next.Hostname()), strings.ToLower(now.Hostname())
	below := strings.HasSuffix(host, "."+own) && net.ParseIP(own) == nil
	switch {
	case host != own && !below:
	case isSecure(next), (next.Scheme == "ws" || next.Scheme == "http") && !isSecure(now):
		return to
	}
	return ""
}

func isSecure(u *url.URL) bool { return u.Scheme == "wss" || u.Scheme == "https" }

// move makes another link, unless this one ends before. again says that an attempt has failed before.
func (l *link) move(after time.Duration, url string, again bool) {
	r, n := l.conn.redial, l.node
	timer := time.NewTimer(after)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.done:
		return
	}
	if !l.startMoving() || !n.begin() {
		return
	}
	r.failures(func(int) int {
		if again {
			return 1
		}
		return 0
	})
	go func() {
		defer n.running.Done()
		r.serve(r.next(url))
	}()
}

// startMoving makes the next link in another goroutine, unless the link has ended.
func (l *link) startMoving() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return false
	}
	l.moving = true
	return true
}

func (l *link) isMoving() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.moving
}

// refreshToken shows a credential again before it expires.
func (l *link) refreshToken(r *redialer) {
	if r.options.token == nil || l.expires.IsZero() {
		return
	}
	left := time.Until(l.expires)
	l.after(max(left-max(left/10, time.Second), time.Second), func() { l.showToken(r) })
}

// showToken shows a new credential in band.
func (l *link) showToken(r *redialer) {
	ctx, cancel := context.WithTimeout(l.upgrade, writeTimeout)
	defer cancel()
	scheme, credential, expires, err := r.options.token(ctx)
	if err == nil {
		var reply *message.Reply
		body, _ := json.Marshal(authParams{scheme, credential})
		if reply, err = l.call(ctx, &message.Message{Route: methodAuth, Body: body}); err == nil {
			err = reply.Err()
		}
	}
	if err != nil {
		l.node.log().Warn("peer: showing a new credential failed", "err", err, "remote", l.remote)
		expires = time.Now().Add(writeTimeout)
	}
	l.expires = expires
	l.refreshToken(r)
}

// after runs f after a while, unless the link ends before.
func (l *link) after(d time.Duration, f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.refresh = time.AfterFunc(d, func() { l.spawn(f) })
	}
}
