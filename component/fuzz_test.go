package component_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/guregu/kami"
	"github.com/guregu/kami/component"
	"github.com/guregu/kami/endpoint"
)

// Echo answers with its request.
type Echo struct{}

type everything struct {
	N    int8              `json:"n"`
	Text string            `json:"text"`
	Any  any               `json:"any"`
	List []*everything     `json:"list"`
	Map  map[string]string `json:"map"`
}

func (*Echo) Say(_ context.Context, v *everything) (*everything, error) { return v, nil }

// FuzzLikeEndpoint checks that a method answers each body in the same way as endpoint.JSON, except for empty bodies.
func FuzzLikeEndpoint(f *testing.F) {
	for _, body := range []string{`{}`, `null`, `[`, `{"n":1e3}`, `{"n":128}`, `{"N":1,"n":2}`, `{"list":[{"n":"x"}]}`, ` {} `, "\xff", `{"any":[[]]}`, `{}x`} {
		f.Add(body, "application/json")
	}
	f.Add("{}", "text/plain")
	f.Add("{}", "a/b+json; x")
	mux, set := kami.New(), new(component.Set)
	set.Register(mux.Handle, new(Echo))
	if err := set.Start(context.Background()); err != nil {
		f.Fatal(err)
	}
	mux.Post("/same", endpoint.JSON(new(Echo).Say))
	f.Fuzz(func(t *testing.T, body, contentType string) {
		if body == "" || contentType == "" {
			return
		}
		got, want := post(mux, "/Echo/Say", contentType, body), post(mux, "/same", contentType, body)
		if got.Code == http.StatusUnsupportedMediaType && want.Code == got.Code {
			return // only the texts differ
		}
		if got.Code != want.Code || got.Body.String() != want.Body.String() {
			t.Errorf("%q of type %q: got %d %q, want %d %q", body, contentType, got.Code, got.Body, want.Code, want.Body)
		}
	})
}
