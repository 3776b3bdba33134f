package accept_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/guregu/kami/internal/accept"
)

func TestWeight(t *testing.T) {
	for _, test := range []struct {
		lines  []string
		weight float64
		named  int
	}{
		{nil, 0, accept.Not},
		{[]string{""}, 0, accept.Not},
		{[]string{"text/html, application/xml;q=0.9"}, 0, accept.Not},
		{[]string{"application/json"}, 1, accept.Exact},
		{[]string{"APPLICATION/Json; charset=utf-8"}, 1, accept.Exact},
		{[]string{"application/json;q=0.3"}, 0.3, accept.Exact},
		{[]string{"application/json;q=0"}, 0, accept.Exact},
		{[]string{"application/json;q=0.3", "application/json;q=0.5, application/json;q=0.1"}, 0.5, accept.Exact},
		{[]string{"application/*;q=0.8"}, 0.8, accept.Range},
		{[]string{"*/*;q=0.1"}, 0.1, accept.Any},
		{[]string{"*/*, application/*;q=0.8, application/json;q=0.2"}, 0.2, accept.Exact},
		{[]string{"application/json;q=0.2, application/*;q=0.8, */*"}, 0.2, accept.Exact},
		{[]string{"*/*;q=0.9", "application/*;q=0.1"}, 0.1, accept.Range},
		{[]string{"application/json;q=x"}, 0, accept.Exact},
		{[]string{"application/json;q=2"}, 0, accept.Exact},
		{[]string{"application/json;q=-1"}, 0, accept.Exact},
		{[]string{"application/json;q=NaN"}, 0, accept.Exact},
		{[]string{";, /, application/json"}, 1, accept.Exact},
		{[]string{"application/jsonp, application/jso"}, 0, accept.Not},
	} {
		weight, named := accept.Weight(http.Header{"Accept": test.lines}, "application/json")
		assert.Equal(t, test.weight, weight, "%q", test.lines)
		assert.Equal(t, test.named, named, "%q", test.lines)
	}
}
