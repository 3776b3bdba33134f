package main

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"golang.org/x/time/rate"

	"github.com/guregu/kami/examples/sum/sum"
)

// routes is apart from main so that the test can register them without serving.
func routes(svc sum.Service, logger *slog.Logger, limiter *rate.Limiter) {
	limit := endpoint.ServerAround(endpoint.Limit(limiter)) // one for all methods
	finalizer := endpoint.ServerFinalizer(logAnswer(logger))
	options := func(method string) []endpoint.ServerOption {
		return []endpoint.ServerOption{endpoint.ServerAround(logCall(logger, method)), limit, finalizer}
	}

	kami.Post("/sum", endpoint.JSON(svc.Sum, options("sum")...))
	kami.Get("/sum/:a/:b", endpoint.JSON(sumOfPath(svc), options("sum")...))
	kami.Post("/concat", endpoint.JSON(svc.Concat, options("concat")...))
	kami.Get("/uppercase", endpoint.JSON(svc.Uppercase, options("uppercase")...))
}

// sumPath is a sum.SumRequest that comes from the path.
type sumPath struct {
	A int64 `path:"a"`
	B int64 `path:"b"`
}

func sumOfPath(svc sum.Service) endpoint.Endpoint[sumPath, sum.SumResponse] {
	return func(ctx context.Context, r sumPath) (sum.SumResponse, error) {
		return svc.Sum(ctx, sum.SumRequest(r))
	}
}

// logCall logs the result of a call, and how long it took.
func logCall(logger *slog.Logger, method string) endpoint.Around {
	return func(ctx context.Context, call func(context.Context) error) error {
		begin := time.Now()
		err := call(ctx)
		logger.InfoContext(ctx, "called", "method", method, "took", time.Since(begin), "err", err)
		return err
	}
}

// logAnswer logs each answer, also for requests that do not fit and reach no Endpoint.
func logAnswer(logger *slog.Logger) endpoint.ServerFinalizerFunc {
	return func(ctx context.Context, code int, r *http.Request) {
		logger.InfoContext(ctx, "answered", "request", r.Method+" "+r.URL.Path,
			"status", code, "size", ctx.Value(endpoint.ContextKeyResponseSize))
	}
}
