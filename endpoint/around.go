package endpoint

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// Around is middleware that sees neither request nor response, and so fits every Endpoint. It runs call with ctx, or with a context
// derived from it: once, several times one after another, or not at all. It returns the call's error, or its own. It must not return
// before its calls have.
type Around func(ctx context.Context, call func(context.Context) error) error

// With returns the Endpoint with these around it, the first as the outermost. If they return no error without having run the call, the
// response is zero.
func (e Endpoint[Req, Resp]) With(around ...Around) Endpoint[Req, Resp] {
	refuseNil("With", around)
	for i := len(around) - 1; i >= 0; i-- {
		e = e.with(around[i])
	}
	return e
}

func (e Endpoint[Req, Resp]) with(a Around) Endpoint[Req, Resp] {
	return func(ctx context.Context, request Req) (response Resp, err error) {
		err = a(ctx, func(ctx context.Context) (err error) {
			response, err = e(ctx, request)
			return err
		})
		if err != nil {
			var none Resp
			return none, err
		}
		return response, nil
	}
}

// Limit refuses calls that the limiter, such as a *rate.Limiter of golang.org/x/time, does not allow: with an [Error] 429.
func Limit(limiter interface{ Allow() bool }) Around {
	refuseNilValue("Limit", limiter)
	return func(ctx context.Context, call func(context.Context) error) error {
		if !limiter.Allow() {
			return Error(http.StatusTooManyRequests, "too many requests")
		}
		return call(ctx)
	}
}

// Wait delays calls until the limiter, such as a *rate.Limiter of golang.org/x/time, allows them. If the limiter returns an error,
// for example because ctx has ended, the call fails with it, and the status 503.
func Wait(limiter interface {
	Wait(ctx context.Context) error
}) Around {
	refuseNilValue("Wait", limiter)
	return func(ctx context.Context, call func(context.Context) error) error {
		if err := limiter.Wait(ctx); err != nil {
			return coded{err, http.StatusServiceUnavailable}
		}
		return call(ctx)
	}
}

// Breaker runs calls in a circuit breaker, such as one of sony/gobreaker. A call that the breaker refuses fails with the breaker's error
// and the status 503, and [Retry] does not repeat it. Tell the breaker which errors are no failures of the other side, such as errors
// with a status below 500: by default gobreaker counts all errors.
func Breaker[T any](breaker interface {
	Execute(req func() (T, error)) (T, error)
}) Around {
	refuseNilValue("Breaker", breaker)
	return func(ctx context.Context, call func(context.Context) error) error {
		called := false
		_, err := breaker.Execute(func() (none T, err error) {
			called = true
			return none, call(ctx)
		})
		if err != nil && !called {
			return refusal{coded{err, http.StatusServiceUnavailable}}
		}
		return err
	}
}

// refusal is the error of a call that was not made.
type refusal struct{ coded }

// RetryPolicy says how to try again. Its zero value is a careful one.
type RetryPolicy struct {
	// Attempts is how often a call is tried in all, 3 by default.
	Attempts int
	// Backoff is the longest pause before the second attempt, 50 ms by default; it doubles from one attempt to the next,
	// up to MaxBackoff, 2 s by default. Each pause is a random part of it, so that clients do not come back together.
	Backoff, MaxBackoff time.Duration
	// Budget is how many retries there may be for each call, on average over all calls. Zero or less means the default, 0.2. So
	// retries do not multiply the load during an outage. Up to ten retries may come at once.
	Budget float64
	// Retryable says which errors are worth another attempt. By default: errors with the status 429, 502, 503 or 504, and errors of
	// connections that cannot be made, break or time out, but never the end of the call's context. A call that is not idempotent
	// may then be made twice.
	Retryable func(error) bool
}

// burst is how many retries may come at once.
const burst = 10

// Retry repeats calls as the policy says. All Endpoints that it is put around share its budget.
func Retry(policy RetryPolicy) Around {
	p := policy.withDefaults()
	b := &budget{tokens: burst, ratio: p.Budget}
	return func(ctx context.Context, call func(context.Context) error) error {
		b.earn()
		longest := p.Backoff
		for attempt := 1; ; attempt++ {
			err := call(ctx)
			switch {
			case err == nil || attempt >= p.Attempts || !p.Retryable(err):
				return err
			case ctx.Err() != nil:
				return withCause(ctx, err)
			case !b.spend():
				return err
			case !pause(ctx, longest):
				return withCause(ctx, err)
			}
			longest = min(2*longest, p.MaxBackoff)
		}
	}
}

func (p RetryPolicy) withDefaults() RetryPolicy {
	if p.Attempts <= 0 {
		p.Attempts = 3
	}
	if p.Backoff <= 0 {
		p.Backoff = 50 * time.Millisecond
	}
	if p.MaxBackoff <= 0 {
		p.MaxBackoff = 2 * time.Second
	}
	p.Backoff = min(p.Backoff, p.MaxBackoff)
	if p.Budget <= 0 {
		p.Budget = 0.2
	}
	if p.Retryable == nil {
		p.Retryable = retryable
	}
	return p
}

func retryable(err error) bool {
	var refused refusal
	if errors.As(err, &refused) {
		return false
	}
	var failed upstream
	if errors.As(err, &failed) {
		err = failed.error
	}
	var coder StatusCoder
	if errors.As(err, &coder) {
		switch coder.StatusCode() {
		case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	var operation *net.OpError // not net.Error: every error of http.Client is one
	var timeout interface{ Timeout() bool }
	return errors.As(err, &operation) || errors.As(err, &timeout) && timeout.Timeout()
}

// pause waits for a random time. It returns false if the context has ended before.
func pause(ctx context.Context, longest time.Duration) bool {
	timer := time.NewTimer(rand.N(longest))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// budget is a bucket of retries, which calls fill.
type budget struct {
	mu            sync.Mutex
	tokens, ratio float64
}

func (b *budget) earn() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(b.tokens+b.ratio, burst)
}

func (b *budget) spend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
