package endpoint_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guregu/kami/endpoint"
	"github.com/stretchr/testify/assert"
)

func TestWithRunsTheFirstAsTheOutermost(t *testing.T) {
	var got trace
	around := func(name string) endpoint.Around {
		return func(ctx context.Context, call func(context.Context) error) error {
			got.add("%s", name)
			err := call(context.WithValue(ctx, key("by"), name))
			got.add("/%s:%v", name, err)
			return err
		}
	}
	e := endpoint.Endpoint[int, int](func(ctx context.Context, n int) (int, error) {
		got.add("endpoint:%v", ctx.Value(key("by")))
		return n + 1, errBroken
	})
	response, err := e.With(around("a"), around("b"))(context.Background(), 1)
	assert.Equal(t, "a b endpoint:b /b:broken /a:broken", got.String())
	assert.Equal(t, errBroken, err)
	assert.Zero(t, response, "of a call that has failed")
	got = trace{}
	_, _ = e.With(around("a")).With(around("b"))(context.Background(), 1)
	assert.Equal(t, "b a endpoint:a /a:broken /b:broken", got.String())
	got = trace{}
	_, _ = e.With()(context.Background(), 1)
	assert.Equal(t, "endpoint:<nil>", got.String())
}

func TestAroundDecidesWhatBecomesOfACall(t *testing.T) {
	for _, tt := range []struct {
		name   string
		around endpoint.Around
		want   int
		err    error
	}{
		{"goes on", func(ctx context.Context, call func(context.Context) error) error { return call(ctx) }, 1, nil},
		{"twice", func(ctx context.Context, call func(context.Context) error) error { _ = call(ctx); return call(ctx) }, 2, nil},
		{"refuses", func(context.Context, func(context.Context) error) error { return errBroken }, 0, errBroken},
		{"does nothing", func(context.Context, func(context.Context) error) error { return nil }, 0, nil},
		{"fails afterwards", func(ctx context.Context, call func(context.Context) error) error { _ = call(ctx); return errBroken }, 0, errBroken},
	} {
		calls := 0
		got, err := endpoint.Endpoint[string, int](func(context.Context, string) (int, error) { calls++; return calls, nil }).
			With(tt.around)(context.Background(), "")
		assert.Equal(t, tt.want, got, tt.name)
		assert.Equal(t, tt.err, err, tt.name)
	}
}

// limiter has the methods Allow and Wait of golang.org/x/time/rate's Limiter.
type limiter struct {
	left int
	err  error
}

func (l *limiter) Allow() bool {
	l.left--
	return l.left >= 0
}

func (l *limiter) Wait(context.Context) error { return l.err }

func TestLimitRefusesWhatIsTooMuch(t *testing.T) {
	e := endpoint.Endpoint[sumRequest, sumResponse](sum).With(endpoint.Limit(&limiter{left: 2}))
	for range 2 {
		got, err := e(context.Background(), sumRequest{1, 2})
		assert.NoError(t, err)
		assert.Equal(t, sumResponse{3}, got)
	}
	_, err := e(context.Background(), sumRequest{1, 2})
	assert.Equal(t, endpoint.Error(http.StatusTooManyRequests, "too many requests"), err)
	code, text := answer(endpoint.JSON(e), request("POST", "/", "{}"))
	assert.Equal(t, 429, code)
	assert.Equal(t, "too many requests", text)
}

func TestWaitFailsWithItsLimiter(t *testing.T) {
	for _, tt := range []struct {
		err  error
		code int
	}{{nil, 0}, {context.DeadlineExceeded, 503}, {errors.New("would exceed context deadline"), 503}} {
		got, err := endpoint.Endpoint[sumRequest, sumResponse](sum).With(endpoint.Wait(&limiter{err: tt.err}))(context.Background(), sumRequest{1, 2})
		assert.ErrorIs(t, err, tt.err)
		assert.Equal(t, tt.code, status(err))
		if tt.err == nil {
			assert.Equal(t, sumResponse{3}, got)
		} else {
			assert.EqualError(t, err, tt.err.Error())
		}
	}
}

var errOpen = errors.New("circuit breaker is open")

// breaker has the Execute method of gobreaker v2.
type breaker[T any] struct{ open bool }

func (b *breaker[T]) Execute(req func() (T, error)) (none T, err error) {
	if b.open {
		return none, errOpen
	}
	v, err := req()
	b.open = err != nil
	return v, err
}

// breakerV1 has the Execute method of gobreaker v1.
type breakerV1 struct{ breaker[any] }

func (b *breakerV1) Execute(req func() (interface{}, error)) (interface{}, error) {
	return b.breaker.Execute(req)
}

func TestBreakerRefusesAfterAFailure(t *testing.T) {
	for name, around := range map[string]endpoint.Around{
		"v2":      endpoint.Breaker(&breaker[int]{}),
		"v2, any": endpoint.Breaker(&breaker[any]{}),
		"v1":      endpoint.Breaker(&breakerV1{}),
	} {
		t.Run(name, func(t *testing.T) {
			var fails error
			calls := 0
			e := endpoint.Endpoint[int, int](func(_ context.Context, n int) (int, error) { calls++; return n, fails }).With(around)
			got, err := e(context.Background(), 7)
			assert.NoError(t, err)
			assert.Equal(t, 7, got)
			fails = errBroken
			_, err = e(context.Background(), 7)
			assert.Equal(t, errBroken, err, "the call's own error is left alone")
			assert.Zero(t, status(err))
			_, err = e(context.Background(), 7)
			assert.ErrorIs(t, err, errOpen)
			assert.Equal(t, 503, status(err))
			assert.Equal(t, 2, calls)
		})
	}
}

// failing returns an Endpoint and the times of its calls. Its first calls fail with errs, in their order, and later calls
// succeed.
func failing(errs ...error) (endpoint.Endpoint[int, int], *[]time.Time) {
	var calls []time.Time
	return func(_ context.Context, n int) (int, error) {
		calls = append(calls, time.Now())
		if len(calls) <= len(errs) {
			return 0, errs[len(calls)-1]
		}
		return n, nil
	}, &calls
}

var unavailable = endpoint.Error(503, "not now")

func repeat(err error, n int) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

func TestRetryTriesUpToItsAttempts(t *testing.T) {
	for _, tt := range []struct {
		attempts, fails int
		calls           int
		err             error
	}{
		{0, 0, 1, nil},
		{0, 1, 2, nil},
		{0, 2, 3, nil},
		{0, 3, 3, unavailable},
		{-1, 3, 3, unavailable},
		{1, 1, 1, unavailable},
		{5, 4, 5, nil},
		{5, 9, 5, unavailable},
	} {
		synctest.Test(t, func(t *testing.T) {
			e, calls := failing(repeat(unavailable, tt.fails)...)
			got, err := e.With(endpoint.Retry(endpoint.RetryPolicy{Attempts: tt.attempts}))(context.Background(), 7)
			assert.Equal(t, tt.err, err)
			assert.Len(t, *calls, tt.calls)
			if err == nil {
				assert.Equal(t, 7, got)
			}
		})
	}
}

func TestRetryPausesForUpToADoublingTime(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		policy endpoint.RetryPolicy
		bounds []time.Duration
	}{
		{endpoint.RetryPolicy{Attempts: 8}, []time.Duration{50 * ms, 100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 2000 * ms}},
		{endpoint.RetryPolicy{Attempts: 5, Backoff: 10 * ms, MaxBackoff: 35 * ms}, []time.Duration{10 * ms, 20 * ms, 35 * ms, 35 * ms}},
		{endpoint.RetryPolicy{Attempts: 3, MaxBackoff: 20 * ms}, []time.Duration{20 * ms, 20 * ms}},
		{endpoint.RetryPolicy{Attempts: 3, Backoff: time.Hour, MaxBackoff: time.Minute}, []time.Duration{time.Minute, time.Minute}},
	} {
		synctest.Test(t, func(t *testing.T) {
			longest := make([]time.Duration, len(tt.bounds))
			for range 200 {
				e, calls := failing(repeat(unavailable, 99)...)
				_, err := e.With(endpoint.Retry(tt.policy))(context.Background(), 7)
				assert.Equal(t, unavailable, err)
				if !assert.Len(t, *calls, len(tt.bounds)+1) {
					return
				}
				for i, bound := range tt.bounds {
					pause := (*calls)[i+1].Sub((*calls)[i])
					assert.Less(t, pause, bound)
					longest[i] = max(longest[i], pause)
				}
			}
			for i, bound := range tt.bounds { // it is practically impossible that 200 random pauses all are in the lower half
				assert.Greater(t, longest[i], bound/2)
			}
		})
	}
}

func TestRetryHasABudgetOfAllItsCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		around := endpoint.Retry(endpoint.RetryPolicy{Attempts: 3, Budget: 0.25})
		retries := func(calls int) (n int) {
			for range calls {
				e, times := failing(repeat(unavailable, 99)...)
				_, err := e.With(around)(context.Background(), 7)
				assert.Equal(t, unavailable, err)
				n += len(*times) - 1
			}
			return n
		}
		assert.Equal(t, 8, retries(4), "the burst")
		assert.Equal(t, 2, retries(1), "what is left of it")
		assert.LessOrEqual(t, retries(4), 2)
		assert.Equal(t, 25, retries(100), "one of four")
		e, _ := failing()
		for range 1000 {
			_, _ = e.With(around)(context.Background(), 7)
		}
		assert.LessOrEqual(t, retries(5), 10, "the burst again, and no more")
	})
}

func TestRetryEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
		defer cancel()
		e, calls := failing(repeat(unavailable, 99)...)
		_, err := e.With(endpoint.Retry(endpoint.RetryPolicy{Backoff: time.Hour, MaxBackoff: time.Hour}))(ctx, 7)
		assert.EqualError(t, err, "not now: context deadline exceeded", "the pause is given up")
		assert.ErrorIs(t, err, unavailable)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Len(t, *calls, 1)
		assert.Equal(t, time.Nanosecond, time.Since(begin))

		e, calls = failing(repeat(unavailable, 99)...)
		_, err = e.With(endpoint.Retry(endpoint.RetryPolicy{}))(ctx, 7)
		assert.ErrorIs(t, err, unavailable)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Len(t, *calls, 1, "of a context that had ended before")
	})
}

// timeout is a net.Error.
type timeout struct{}

func (timeout) Error() string   { return "timeout" }
func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }

func TestRetryableErrors(t *testing.T) {
	own := func(err error) bool { return err == errBroken }
	for _, tt := range []struct {
		err       error
		retryable func(error) bool
		want      bool
	}{
		{endpoint.Error(429, ""), nil, true},
		{endpoint.Error(502, ""), nil, true},
		{endpoint.Error(503, ""), nil, true},
		{endpoint.Error(504, ""), nil, true},
		{endpoint.Error(500, ""), nil, false},
		{endpoint.Error(501, ""), nil, false},
		{endpoint.Error(404, ""), nil, false},
		{fmt.Errorf("outer: %w", endpoint.Error(503, "")), nil, true},
		{timeout{}, nil, true},
		{fmt.Errorf("outer: %w", timeout{}), nil, true},
		{&net.OpError{Op: "dial", Err: errors.New("connection refused")}, nil, true},
		{io.EOF, nil, true},
		{fmt.Errorf("reading: %w", io.ErrUnexpectedEOF), nil, true},
		{&url.Error{Op: "Get", URL: "http://sum.test", Err: timeout{}}, nil, true},
		{&url.Error{Op: "Get", URL: "gopher://sum.test", Err: errors.New("unsupported protocol scheme")}, nil, false},
		{context.Canceled, nil, false},
		{errBroken, nil, false},
		{errBroken, own, true},
		{unavailable, own, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			e, calls := failing(tt.err)
			_, err := e.With(endpoint.Retry(endpoint.RetryPolicy{Retryable: tt.retryable}))(context.Background(), 7)
			assert.Equal(t, tt.want, err == nil, "%v", tt.err)
			assert.Equal(t, tt.want, len(*calls) == 2)
		})
	}
}

func TestRetryOverTheNetwork(t *testing.T) {
	calls := 0
	s := endpoint.JSON(func(ctx context.Context, r sumRequest) (sumResponse, error) {
		if calls++; calls < 3 {
			return sumResponse{}, unavailable
		}
		return sum(ctx, r)
	})
	leakless(t, httpServer(s), func(t *testing.T, n *network) {
		got, err := n.sumClient(t).With(endpoint.Retry(endpoint.RetryPolicy{}))(context.Background(), sumRequest{1, 2})
		assert.NoError(t, err)
		assert.Equal(t, sumResponse{3}, got, "the body was sent each time")
	})
}

func TestRetryLeavesAnOpenBreakerAlone(t *testing.T) {
	asked := 0
	b := &breaker[any]{open: true}
	_, err := endpoint.Endpoint[int, int](endpoint.Nop[int, int]).With(
		endpoint.Retry(endpoint.RetryPolicy{}),
		func(ctx context.Context, call func(context.Context) error) error { asked++; return call(ctx) },
		endpoint.Breaker(b))(context.Background(), 1)
	assert.ErrorIs(t, err, errOpen)
	assert.Equal(t, 503, status(err))
	assert.Equal(t, 1, asked)
}

func TestClientAroundIsAroundTheWholeCall(t *testing.T) {
	var got trace
	around := func(name string) endpoint.Around {
		return func(ctx context.Context, call func(context.Context) error) error {
			got.add("%s", name)
			defer got.add("/%s", name)
			return call(ctx)
		}
	}
	leakless(t, httpServer(endpoint.JSON(sum)), func(t *testing.T, n *network) {
		response, err := n.sumClient(t, endpoint.ClientAround(around("a"), around("b")), endpoint.ClientAround(around("c")),
			endpoint.ClientFinalizer(func(context.Context, error) { got.add("finalizer") }))(context.Background(), sumRequest{1, 2})
		assert.NoError(t, err)
		assert.Equal(t, sumResponse{3}, response)
	})
	assert.Equal(t, "a b c finalizer /c /b /a", got.String())
}
