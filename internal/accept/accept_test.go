package accept_test

import (
	"net/http"
	"strconv"
	"strings"
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
		{[]string{"appl/*, application/json/*, application/"}, 0, accept.Not},
		{[]string{"APPLICATION/*"}, 1, accept.Range},
		{[]string{"application/json ; Q=0.5"}, 0.5, accept.Exact},
		{[]string{"application/json;q=1.000"}, 1, accept.Exact},
		{[]string{"application/json;q=0.12345"}, 0.123, accept.Exact},
		{[]string{"application/json;q=0."}, 0, accept.Exact},
		{[]string{"application/json;q=1.001"}, 0, accept.Exact},
		{[]string{"application/json;q=0.1x"}, 0, accept.Exact},
		{[]string{"application/json;q=10"}, 0, accept.Exact},
		{[]string{"application/json;q="}, 0, accept.Exact},
		{[]string{"application/json;q"}, 0, accept.Exact},
		{[]string{"application/json;x=y;q=0.5;;z"}, 0.5, accept.Exact},
		// Text in quotes is neither split nor a parameter.
		{[]string{`application/json;profile="a,b";q=0.5`}, 0.5, accept.Exact},
		{[]string{`application/json;profile="a;q=0"`}, 1, accept.Exact},
		{[]string{`text/html;x=", application/json,"`}, 0, accept.Not},
		{[]string{`text/html;x="\", application/json;q=0.1,"`, "*/*;q=0.3"}, 0.3, accept.Any},
	} {
		weight, named := accept.Weight(http.Header{"Accept": test.lines}, "application/json")
		assert.Equal(t, test.weight, weight, "%q", test.lines)
		assert.Equal(t, test.named, named, "%q", test.lines)
	}
}

// hostile are headers of 1 MB, by the part that they repeat.
var hostile = map[string]string{
	"continuations":          "a/b;" + repeated("%d*0=1;"),
	"elements":               repeated("application/json;q=x,"),
	"ranges":                 repeated("application/*;q=0.%d,"),
	"commas":                 repeated(","),
	"semicolons":             "application/json" + repeated(";"),
	"digits":                 "application/json;q=0." + repeated("9"),
	"quotes":                 "application/json;x=" + repeated(`"`),
	"backslashes":            `application/json;x="` + repeated(`\`) + `"`,
	"escaped quotes":         `application/json;x="` + repeated(`\"`),
	"backslashes and quotes": "application/json;x=" + repeated(`"\\\\`),
}

// repeated returns 1 MB of the text, in which %d is a number that counts up.
func repeated(text string) string {
	if !strings.Contains(text, "%d") {
		return strings.Repeat(text, 1<<20/len(text))
	}
	var b strings.Builder
	for i := 0; b.Len() < 1<<20; i++ {
		b.WriteString(strings.ReplaceAll(text, "%d", strconv.Itoa(i)))
	}
	return b.String()
}

func TestHostileHeadersAllocateNothing(t *testing.T) {
	for name, line := range hostile {
		header := http.Header{"Accept": {line}}
		assert.Zero(t, testing.AllocsPerRun(1, func() { accept.Weight(header, "application/json") }), name)
	}
}

func BenchmarkWeight(b *testing.B) {
	for name, line := range hostile {
		header := http.Header{"Accept": {line}}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				accept.Weight(header, "application/json")
			}
		})
	}
}
