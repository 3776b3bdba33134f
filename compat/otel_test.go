package compat

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/guregu/kami"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// telemetry records the spans and metrics of otelhttp.
type telemetry struct {
	spans   *tracetest.InMemoryExporter
	tracer  *sdktrace.TracerProvider
	reader  *metric.ManualReader
	metrics *metric.MeterProvider
}

func newTelemetry(t *testing.T) *telemetry {
	spans, reader := tracetest.NewInMemoryExporter(), metric.NewManualReader()
	o := &telemetry{
		spans:   spans,
		tracer:  sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)),
		reader:  reader,
		metrics: metric.NewMeterProvider(metric.WithReader(reader)),
	}
	t.Cleanup(func() {
		assert.NoError(t, o.tracer.Shutdown(context.Background()))
		assert.NoError(t, o.metrics.Shutdown(context.Background()))
	})
	return o
}

func (o *telemetry) options() []otelhttp.Option {
	return []otelhttp.Option{
		otelhttp.WithTracerProvider(o.tracer),
		otelhttp.WithMeterProvider(o.metrics),
		otelhttp.WithPropagators(propagation.TraceContext{}),
	}
}

// take returns the spans that ended since the last call, by name.
func (o *telemetry) take() map[string]tracetest.SpanStub {
	byName := map[string]tracetest.SpanStub{}
	for _, span := range o.spans.GetSpans() {
		byName[span.Name] = span
	}
	o.spans.Reset()
	return byName
}

// counts returns the number of requests so far, by http.route and status.
func (o *telemetry) counts(t *testing.T) map[string]uint64 {
	var all metricdata.ResourceMetrics
	require.NoError(t, o.reader.Collect(context.Background(), &all))
	counts := map[string]uint64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name != "http.server.request.duration" {
				continue
			}
			for _, point := range m.Data.(metricdata.Histogram[float64]).DataPoints {
				route, _ := point.Attributes.Value("http.route")
				status, _ := point.Attributes.Value("http.response.status_code")
				counts[fmt.Sprint(route.AsString(), " ", status.AsInt64())] += point.Count
			}
		}
	}
	return counts
}

// attributeOf returns an attribute of a span, in text.
func attributeOf(span tracetest.SpanStub, name string) string {
	for _, a := range span.Attributes {
		if a.Key == attribute.Key(name) {
			return a.Value.String()
		}
	}
	return ""
}

const (
	traceID     = "4bf92f3577b34da6a3ce929d0e0e4736"
	parentID    = "00f067aa0ba902b7"
	traceparent = "00-" + traceID + "-" + parentID + "-01"
)

// traced registers a handler that makes a span, and returns what afterware and LogHandler find.
func traced(t *testing.T, s *stack, o *telemetry) (after <-chan trace.SpanContext, ends <-chan end) {
	contexts := make(chan trace.SpanContext, 16)
	ends = s.ends(t)
	s.use("/users/:id", func(ctx context.Context) context.Context {
		trace.SpanFromContext(ctx).SetAttributes(attribute.String("user", kami.Param(ctx, "id")))
		return ctx
	})
	s.after("/", func(ctx context.Context) context.Context {
		contexts <- trace.SpanContextFromContext(ctx)
		return ctx
	})
	s.get("/users/:id", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		one(t, ctx, r)
		assert.True(t, trace.SpanFromContext(ctx).SpanContext().IsValid())
		assert.True(t, trace.SpanFromContext(ctx).IsRecording())
		_, child := o.tracer.Tracer("test").Start(ctx, "child")
		defer child.End()
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, "user ", kami.Param(ctx, "id"))
	})
	return contexts, ends
}

// ask asks for user 7 as part of a trace, and returns the spans of the server and of the handler.
func (o *telemetry) ask(t *testing.T, c *client) (server, child tracetest.SpanStub) {
	got := c.get(t, "/users/7", "Traceparent", traceparent)
	assert.Equal(t, http.StatusAccepted, got.StatusCode)
	assert.Equal(t, "user 7", got.body)
	spans := o.take()
	require.Len(t, spans, 2)
	return spans["GET /users/:id"], spans["child"]
}

// Around a Mux, otelhttp learns the route from the Pattern of the request that it has passed to the Mux.
func TestC15OtelAroundMux(t *testing.T) {
	overBoth(t, func(t *testing.T, s *stack) {
		o := newTelemetry(t)
		after, ends := traced(t, s, o)
		c := serve(t, otelhttp.NewHandler(s, "server", o.options()...))

		server, child := o.ask(t, c)
		assert.Equal(t, trace.SpanKindServer, server.SpanKind)
		assert.Equal(t, traceID, server.SpanContext.TraceID().String())
		assert.Equal(t, parentID, server.Parent.SpanID().String())
		assert.Equal(t, "202", attributeOf(server, "http.response.status_code"))
		assert.Equal(t, "7", attributeOf(server, "user"), "C11: middleware finds the span")
		assert.Equal(t, server.SpanContext.SpanID(), child.Parent.SpanID(), "C11: the handler finds it")
		assert.Equal(t, server.SpanContext, receive(t, after))
		assert.Equal(t, server.SpanContext, trace.SpanContextFromContext(receive(t, ends).ctx))

		// Without a route there is no pattern.
		for _, tt := range []struct {
			method, path, name string
			status             int
		}{
			{"GET", "/nothing", "GET", 404},
			{"PUT", "/users/7", "PUT", 405},
			{"OPTIONS", "/users/7", "OPTIONS", 204},
			{"GET", "/users/7/", "GET", 301},
		} {
			assert.Equal(t, tt.status, c.do(t, tt.method, tt.path).StatusCode)
			spans := o.take()
			require.Len(t, spans, 1)
			assert.Contains(t, spans, tt.name)
			assert.Equal(t, fmt.Sprint(tt.status), attributeOf(spans[tt.name], "http.response.status_code"))
			assert.True(t, receive(t, after).IsValid())
			assert.True(t, trace.SpanContextFromContext(receive(t, ends).ctx).IsValid())
		}
		assert.Equal(t, map[string]uint64{"/users/:id 202": 1, " 404": 1, " 405": 1, " 204": 1, " 301": 1}, o.counts(t))
	})
}

// As middleware, otelhttp finds the route in the request from the start.
func TestC36OtelMiddleware(t *testing.T) {
	for name, mw := range map[string]func(o *telemetry) kami.MiddlewareType{
		"NewMiddleware": func(o *telemetry) kami.MiddlewareType {
			return otelhttp.NewMiddleware("server", o.options()...)
		},
		"NewHandler": func(o *telemetry) kami.MiddlewareType {
			return func(next http.Handler) http.Handler { return otelhttp.NewHandler(next, "server", o.options()...) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			overBoth(t, func(t *testing.T, s *stack) {
				o := newTelemetry(t)
				s.use("/", mw(o))
				after, ends := traced(t, s, o)
				c := serve(t, s)

				server, child := o.ask(t, c)
				assert.Equal(t, "/users/:id", attributeOf(server, "http.route"))
				assert.Equal(t, parentID, server.Parent.SpanID().String())
				assert.Equal(t, "202", attributeOf(server, "http.response.status_code"))
				assert.Equal(t, fmt.Sprint(len("user 7")), attributeOf(server, "http.response.body.size"))
				assert.Equal(t, "7", attributeOf(server, "user"))
				assert.Equal(t, server.SpanContext.SpanID(), child.Parent.SpanID())
				assert.Equal(t, traceID, child.SpanContext.TraceID().String())
				assert.Equal(t, server.SpanContext, receive(t, after), "its values reach afterware")
				end := receive(t, ends)
				assert.Equal(t, server.SpanContext, trace.SpanContextFromContext(end.ctx))
				assert.False(t, trace.SpanFromContext(end.ctx).IsRecording(), "the span is over, LogHandler is outside")

				assert.Equal(t, http.StatusNotFound, c.get(t, "/nothing").StatusCode)
				spans := o.take()
				require.Len(t, spans, 1)
				assert.Empty(t, attributeOf(spans["GET"], "http.route"))
				assert.Equal(t, "404", attributeOf(spans["GET"], "http.response.status_code"))
				assert.Equal(t, map[string]uint64{"/users/:id 202": 1, " 404": 1}, o.counts(t))
			})
		})
	}
}
