package list_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/guregu/kami/internal/list"
)

func TestBackward(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{" \t", nil},
		{",", nil},
		{", ,\t,,", nil},
		{"a", []string{"a"}},
		{" a\t", []string{"a"}},
		{"a, b ,c", []string{"c", "b", "a"}},
		{",a,, b,", []string{"b", "a"}},
		{`a="b, c", d`, []string{"d", `a="b, c"`}},
		{`a="b\", c", d`, []string{"d", `a="b\", c"`}},
		{`a="b\\", c="d"`, []string{`c="d"`, `a="b\\"`}},
		{`"", ","`, []string{`","`, `""`}},
		// An open quote does not hide the elements after it.
		{`a=", b`, []string{"b", `a="`}},
		{`a="\, b="c"`, []string{`b="c"`, `a="\`}},
		{`a, b"`, []string{`a, b"`}},
		{`\, "a`, []string{`\, "a`}},
	} {
		assert.Equal(t, tt.want, slices.Collect(list.Backward(tt.text, ',')), "%q", tt.text)
		semicolons := strings.NewReplacer(",", ";").Replace(tt.text)
		assert.Equal(t, len(tt.want), len(slices.Collect(list.Backward(semicolons, ';'))), "%q", semicolons)
	}
}

func TestBackwardEndsWithItsLoop(t *testing.T) {
	for element := range list.Backward("a, b, c", ',') {
		assert.Equal(t, "c", element)
		break
	}
}
