package compat

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/guregu/kami"
	"github.com/guregu/kami/accesslog"
	"github.com/guregu/kami/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// TestM08ChiAndTheAccessLog has a message pass chi's middleware and the access log, as a request does.
func TestM08ChiAndTheAccessLog(t *testing.T) {
	var records strings.Builder
	mux := kami.New()
	mux.LogHandler = accesslog.New(slog.New(slog.NewTextHandler(&records, nil)))
	mux.Use("/", middleware.RequestID)
	mux.Use("/", middleware.Recoverer)
	mux.Use("/slow", middleware.Timeout(time.Millisecond))
	mux.Post("/id", func(ctx context.Context, w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, middleware.GetReqID(ctx))
	})
	mux.Post("/boom", func(http.ResponseWriter, *http.Request) { panic("boom") })
	mux.Post("/slow", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) { <-ctx.Done() })
	for _, test := range []struct {
		route, body string
		status      int
	}{{"id", "id-7", 200}, {"boom", "", 500}, {"slow", "", 504}} {
		records.Reset()
		header := http.Header{"X-Request-Id": {"id-7"}}
		reply := message.Serve(t.Context(), mux, &message.Message{Route: test.route, Header: header, RemoteAddr: "10.0.0.7:1"})
		assert.Equal(t, test.status, reply.Status, test.route)
		assert.Equal(t, test.body, string(reply.Body), test.route)
		assert.Equal(t, "/"+test.route, reply.Pattern)
		assert.Equal(t, 1, strings.Count(records.String(), "\n"), records.String())
		assert.Contains(t, records.String(), "pattern=/"+test.route)
		assert.Contains(t, records.String(), "10.0.0.7")
	}
}

// TestM07TheTraceOfTheCaller checks that otelhttp around a mux makes its span a child of the caller's span in the header.
func TestM07TheTraceOfTheCaller(t *testing.T) {
	o := newTelemetry(t)
	mux := kami.New()
	var within trace.SpanContext
	mux.Post("/room/:id", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
		within = trace.SpanContextFromContext(ctx)
	})
	h := otelhttp.NewHandler(mux, "message", o.options()...)

	ctx, span := o.tracer.Tracer("caller").Start(t.Context(), "caller")
	header := http.Header{}
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(header))
	span.End()
	reply := message.Serve(t.Context(), h, &message.Message{Route: "room.7", Header: header})
	require.NoError(t, reply.Err())
	assert.Equal(t, "/room/:id", reply.Pattern)
	assert.Equal(t, span.SpanContext().TraceID(), within.TraceID())
	spans := o.take()
	caller := spans["caller"].SpanContext.SpanID()
	delete(spans, "caller")
	require.Len(t, spans, 1)
	for _, served := range spans {
		assert.Equal(t, caller, served.Parent.SpanID())
		assert.Equal(t, within.SpanID(), served.SpanContext.SpanID())
	}
}
