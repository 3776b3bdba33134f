package endpoint_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/stretchr/testify/assert"
)

// notes is a service with three methods.
type notes struct{}

type (
	note struct {
		ID   int64  `json:"id"`
		Text string `json:"text"`
	}
	addNote struct {
		User string `path:"user"`
		Sync bool   `query:"sync"`
		Text string `json:"text"`
	}
	listNotes struct {
		User  string   `path:"user"`
		Tags  []string `query:"tag"`
		Trace string   `header:"X-Trace"`
	}
)

func (notes) Add(context.Context, addNote) (*note, error)     { return &note{}, nil }
func (notes) List(context.Context, listNotes) ([]note, error) { return nil, nil }
func (notes) Watch(context.Context, *listNotes) (iter.Seq2[note, error], error) {
	return seq[note](nil), nil
}

// typed has the methods of a Server that a document generator needs.
type typed interface {
	kami.ContextHandler
	Types() (request, response reflect.Type)
}

// describe returns the fields of a type, each with its source by its tags, as a document generator would.
func describe(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return t.String()
	}
	var fields []string
	for f := range fieldsOf(t) {
		source := "body " + f.Tag.Get("json")
		for _, s := range []string{"path", "query", "header"} {
			if name, ok := f.Tag.Lookup(s); ok {
				source = s + " " + name
			}
		}
		fields = append(fields, source+" "+f.Type.String())
	}
	return t.Name() + "{" + strings.Join(fields, ", ") + "}"
}

func fieldsOf(t reflect.Type) iter.Seq[reflect.StructField] {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

// A document generator can combine the routes of a Mux with the types of the Servers that were registered for them.
func TestTypesDescribeAServiceWithItsRoutes(t *testing.T) {
	var svc notes
	service := map[string]typed{
		"POST /:user/notes":      endpoint.JSON(svc.Add),
		"GET /:user/notes":       endpoint.JSON(svc.List),
		"GET /:user/notes/watch": endpoint.Stream(svc.Watch),
		"PUT /sum":               endpoint.NewServer(sum, endpoint.DecodeJSONRequest[sumRequest], endpoint.EncodeJSONResponse[sumResponse]),
		"POST /ping":             endpoint.JSON(endpoint.Nop[struct{}, any]),
	}
	mux := kami.New()
	for route, endpoint := range service {
		method, path, _ := strings.Cut(route, " ")
		mux.Handle(method, path, endpoint)
	}
	mux.Get("/health", func(http.ResponseWriter, *http.Request) {})
	var got strings.Builder
	for r := range mux.Routes() {
		if e, ok := service[r.Method+" "+r.Pattern]; ok {
			request, response := e.Types()
			fmt.Fprintf(&got, "%s %s: %s -> %s\n", r.Method, r.Pattern, describe(request), describe(response))
		}
		code, text := answer(mux, request(r.Method, strings.Replace(r.Pattern, ":user", "me", 1), `{}`))
		assert.Equal(t, 200, code, "%v: %s", r, text)
	}
	assert.Equal(t, `GET /:user/notes: listNotes{path user string, query tag []string, header X-Trace string} -> []endpoint_test.note
POST /:user/notes: addNote{path user string, query sync bool, body text string} -> note{body id int64, body text string}
GET /:user/notes/watch: listNotes{path user string, query tag []string, header X-Trace string} -> note{body id int64, body text string}
POST /ping: {} -> interface {}
PUT /sum: sumRequest{body  int, body  int} -> sumResponse{body  int}
`, got.String())
}
