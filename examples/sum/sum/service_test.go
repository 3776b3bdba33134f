package sum_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/guregu/kami/examples/sum/sum"
)

func TestSum(t *testing.T) {
	for _, test := range []struct {
		a, b, want int64
		err        error
	}{
		{1, 2, 3, nil},
		{-1, 1, 0, nil},
		{math.MaxInt64, 0, math.MaxInt64, nil},
		{math.MaxInt64, math.MinInt64, -1, nil},
		{math.MinInt64, 0, math.MinInt64, nil},
		{math.MaxInt64, 1, 0, sum.ErrOverflow},
		{1, math.MaxInt64, 0, sum.ErrOverflow},
		{math.MinInt64, -1, 0, sum.ErrOverflow},
		{math.MinInt64, math.MinInt64, 0, sum.ErrOverflow},
	} {
		got, err := sum.New().Sum(t.Context(), sum.SumRequest{A: test.a, B: test.b})
		assert.Equal(t, test.want, got.Sum, "%d + %d", test.a, test.b)
		assert.Equal(t, test.err, err, "%d + %d", test.a, test.b)
	}
}

func TestConcat(t *testing.T) {
	full := strings.Repeat("x", sum.MaxLength)
	for _, test := range []struct {
		a, b, want string
		err        error
	}{
		{"ka", "mi", "kami", nil},
		{"", "", "", nil},
		{full, "", full, nil},
		{full[1:], "x", full, nil},
		{full, "x", "", sum.ErrTooLong},
		{full[2:], "神", "", sum.ErrTooLong}, // three bytes
	} {
		got, err := sum.New().Concat(t.Context(), sum.ConcatRequest{A: test.a, B: test.b})
		assert.Equal(t, test.want, got.Text, "%q + %q", test.a, test.b)
		assert.Equal(t, test.err, err, "%q + %q", test.a, test.b)
	}
}
