package sum

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/guregu/kami/endpoint"
	"github.com/sony/gobreaker/v2"
)

const (
	// MaxFailures is how many calls in a row fail before the client lets the server rest.
	MaxFailures = 5
	// Rest is for how long it does. Then one call finds out whether the server is well again.
	Rest = 10 * time.Second
)

// client has a remote method for each method of the service.
type client struct {
	sum       endpoint.Endpoint[SumRequest, SumResponse]
	concat    endpoint.Endpoint[ConcatRequest, TextResponse]
	uppercase endpoint.Endpoint[UppercaseRequest, TextResponse]
}

// NewClient returns the service of the server at the URL. Calls that fail by the network or an overloaded server are
// tried again. A call waits as long as its context lets it.
func NewClient(server string, opts ...endpoint.ClientOption) (Service, error) {
	base, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	if base.Scheme == "" || base.Host == "" {
		return nil, fmt.Errorf("%q is no URL of a server, such as http://localhost:8000", server)
	}

	opts = append(slices.Clip(opts), endpoint.ClientAround(guard()...)) // the methods share it, as they share the server
	target := func(path string) string { return base.JoinPath(path).String() }
	return &client{
		sum:       endpoint.JSONClient[SumRequest, SumResponse](http.MethodPost, target("sum"), opts...).Endpoint(),
		concat:    endpoint.JSONClient[ConcatRequest, TextResponse](http.MethodPost, target("concat"), opts...).Endpoint(),
		uppercase: endpoint.JSONClient[UppercaseRequest, TextResponse](http.MethodGet, target("uppercase"), opts...).Endpoint(),
	}, nil
}

// guard is put around each call. The breaker comes first: a call that it refuses is not repeated.
func guard() []endpoint.Around {
	breaker := gobreaker.NewCircuitBreaker[any](gobreaker.Settings{
		Timeout:      Rest,
		ReadyToTrip:  func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= MaxFailures },
		IsSuccessful: answered,
		IsExcluded:   func(err error) bool { return errors.Is(err, context.Canceled) }, // the caller has given up
	})
	return []endpoint.Around{endpoint.Breaker(breaker), endpoint.Retry(endpoint.RetryPolicy{})}
}

// answered reports whether the server is well. An error that is the caller's own fault says that it is.
func answered(err error) bool {
	var coder endpoint.StatusCoder
	return err == nil || errors.As(err, &coder) && coder.StatusCode() < http.StatusInternalServerError
}

func (c *client) Sum(ctx context.Context, r SumRequest) (SumResponse, error) { return c.sum(ctx, r) }

func (c *client) Concat(ctx context.Context, r ConcatRequest) (TextResponse, error) {
	return c.concat(ctx, r)
}

func (c *client) Uppercase(ctx context.Context, r UppercaseRequest) (TextResponse, error) {
	return c.uppercase(ctx, r)
}
