package endpoint_test

import (
	"context"
	"iter"
	"testing"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/stretchr/testify/assert"
)

// adder is an interface with one method of notes.
type adder interface {
	Add(context.Context, addNote) (*note, error)
}

// pair is a generic response type.
type pair[A, B any] struct {
	First  A
	Second B
}

func echo[T any](_ context.Context, v T) (T, error) { return v, nil }

func firstItem(context.Context, struct{ Text string }) (iter.Seq2[note, error], error) {
	return nil, nil
}

// The name of a Server is the name of its function, with or without a function around it.
func TestHandlerName(t *testing.T) {
	type local struct{ Text string }
	var svc notes
	around := endpoint.ServerAround(func(ctx context.Context, call func(context.Context) error) error { return call(ctx) })
	for want, server := range map[string]kami.ContextHandler{
		"endpoint_test.notes.Add(addNote) *note":                       endpoint.JSON(svc.Add, around),
		"endpoint_test.adder.Add(addNote) *note":                       endpoint.JSON(adder(svc).Add),
		"endpoint_test.notes.List(listNotes) []note":                   endpoint.JSON(svc.List),
		"endpoint_test.notes.Watch(*listNotes) Seq2[note, error]":      endpoint.Stream(svc.Watch, around),
		"endpoint_test.firstItem(struct{…}) Seq2[note, error]":         endpoint.Stream(firstItem),
		"endpoint_test.sum(sumRequest) sumResponse":                    endpoint.NewServer(sum, endpoint.DecodeJSONRequest[sumRequest], endpoint.EncodeJSONResponse[sumResponse], around),
		"endpoint.Nop[...](struct{}) any":                              endpoint.JSON(endpoint.Nop[struct{}, any]),
		"endpoint_test.echo[...](local) local":                         endpoint.JSON(echo[local]),
		"endpoint_test.echo[...](map[string][2]int) map[string][2]int": endpoint.JSON(echo[map[string][2]int]),
		"endpoint.Nop[...](struct{}) pair[*note, map[string]local]":    endpoint.JSON(endpoint.Nop[struct{}, pair[*note, map[string]local]]),
		"endpoint.Nop[...](struct{}) interface{…}":                     endpoint.JSON(endpoint.Nop[struct{}, interface{ M() }]),
		"endpoint.Nop[...](struct{}) error":                            endpoint.JSON(endpoint.Nop[struct{}, error]),
	} {
		mux := kami.New()
		mux.Post("/:user", server) // some requests need the param
		for r := range mux.Routes() {
			assert.Equal(t, want, r.Handler)
		}
	}
}

// BenchmarkHandlerName measures repeated calls of HandlerName.
func BenchmarkHandlerName(b *testing.B) {
	server := endpoint.JSON(echo[map[string][2]int])
	b.ReportAllocs()
	for b.Loop() {
		_ = server.HandlerName()
	}
}
