package recipes

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/mutil"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

const (
	traceID     = "4bf92f3577b34da6a3ce929d0e0e4736"
	traceparent = "00-" + traceID + "-00f067aa0ba902b7-01"
)

// printSpans prints the names and routes of the spans that have ended.
func printSpans(exporter *tracetest.InMemoryExporter) {
	for _, span := range exporter.GetSpans() {
		fmt.Printf("span %q", span.Name)
		for _, a := range span.Attributes {
			if a.Key == "http.route" || a.Key == "http.response.status_code" {
				fmt.Printf(", %s %s", a.Key, a.Value.String())
			}
		}
		fmt.Println()
	}
	exporter.Reset()
}

func Example_openTelemetry() {
	exporter := tracetest.NewInMemoryExporter()
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))

	mux := kami.New()
	mux.Get("/users/:id", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "trace", trace.SpanContextFromContext(ctx).TraceID())
	})
	mux.LogHandler = func(ctx context.Context, w mutil.WriterProxy, r *http.Request) {
		if r.Pattern != "" { // otelhttp began the span before there was a route
			trace.SpanFromContext(ctx).SetAttributes(attribute.String("http.route", r.Pattern))
		}
	}
	handler := otelhttp.NewHandler(mux, "server",
		otelhttp.WithTracerProvider(tracers), otelhttp.WithPropagators(propagation.TraceContext{}))

	show(get(handler, "/users/7", "Traceparent", traceparent))
	printSpans(exporter)
	show(get(handler, "/nothing"))
	printSpans(exporter)
	// Output:
	// 200 | trace 4bf92f3577b34da6a3ce929d0e0e4736
	// span "GET /users/:id", http.route /users/:id, http.response.status_code 200
	// 404 | 404 page not found
	// span "GET", http.response.status_code 404
}

// As middleware otelhttp knows the route from the start, and its span has ended when LogHandler runs.
func TestOpenTelemetryInside(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	mux := kami.New()
	mux.Use("/", otelhttp.NewMiddleware("server",
		otelhttp.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter)))))
	mux.Get("/users/:id", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
		assert.True(t, trace.SpanFromContext(ctx).IsRecording())
	})
	logged := false
	mux.LogHandler = func(ctx context.Context, _ mutil.WriterProxy, _ *http.Request) {
		logged = true
		assert.False(t, trace.SpanFromContext(ctx).IsRecording())
	}
	get(mux, "/users/7", "Traceparent", traceparent)
	assert.True(t, logged)
	spans := exporter.GetSpans()
	require.Len(t, spans, 1)
	assert.Equal(t, "GET /users/:id", spans[0].Name)
	assert.Contains(t, spans[0].Attributes, attribute.String("http.route", "/users/:id"))
	assert.NotEqual(t, traceID, spans[0].SpanContext.TraceID().String(), "without a propagator")
}

func Example_prometheus() {
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "http_request_duration_seconds",
		Help: "How long requests took, by route and status.",
	}, []string{"pattern", "status"})
	registry := prometheus.NewRegistry()
	registry.MustRegister(durations)

	type began struct{}
	mux := kami.New()
	mux.Use("/", func(ctx context.Context) context.Context { // the first one: what runs before it is not measured
		return context.WithValue(ctx, began{}, time.Now())
	})
	mux.LogHandler = func(ctx context.Context, w mutil.WriterProxy, r *http.Request) {
		status := w.Status()
		switch {
		case status == 0 && kami.Exception(ctx) != nil: // net/http cuts the connection
			status = http.StatusInternalServerError
		case status == 0: // net/http sends it
			status = http.StatusOK
		}
		took := time.Since(ctx.Value(began{}).(time.Time))
		durations.WithLabelValues(r.Pattern, strconv.Itoa(status)).Observe(took.Seconds())
	}
	mux.Get("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))

	mux.Get("/users/:id", func(http.ResponseWriter, *http.Request) {})
	mux.Get("/panic", func(http.ResponseWriter, *http.Request) { panic("out of users") })
	func() {
		defer func() { _ = recover() }() // as net/http does
		get(mux, "/panic")
	}()
	for _, request := range []string{"GET /users/7", "GET /users/8", "HEAD /users/8", "PUT /users/8", "GET /nothing"} {
		method, path, _ := strings.Cut(request, " ")
		ask(mux, method, path, "")
	}
	for line := range strings.Lines(get(mux, "/metrics").Body.String()) {
		if strings.HasPrefix(line, "http_request_duration_seconds_count") {
			fmt.Print(line)
		}
	}
	// Output:
	// http_request_duration_seconds_count{pattern="",status="404"} 1
	// http_request_duration_seconds_count{pattern="",status="405"} 1
	// http_request_duration_seconds_count{pattern="/panic",status="500"} 1
	// http_request_duration_seconds_count{pattern="/users/:id",status="200"} 3
}
