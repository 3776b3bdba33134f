package endpoint_test

import (
	"context"
	"errors"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/guregu/kami/endpoint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestChainRunsInTheOrderOfItsArguments(t *testing.T) {
	for want, names := range map[string][]string{
		"a endpoint /a":                {"a"},
		"a b endpoint /b /a":           {"a", "b"},
		"a b c endpoint /c /b /a":      {"a", "b", "c"},
		"c a a b endpoint /b /a /a /c": {"c", "a", "a", "b"},
	} {
		var got trace
		var all []endpoint.Middleware[int, int]
		for _, name := range names {
			all = append(all, func(next endpoint.Endpoint[int, int]) endpoint.Endpoint[int, int] {
				return func(ctx context.Context, n int) (int, error) {
					got.add("%s", name)
					defer got.add("/%s", name)
					return next(ctx, n+1)
				}
			})
		}
		e := endpoint.Chain(all[0], all[1:]...)(func(_ context.Context, n int) (int, error) {
			got.add("endpoint")
			return n, nil
		})
		n, err := e(context.Background(), 0)
		assert.NoError(t, err)
		assert.Equal(t, len(names), n, "each has changed the request")
		assert.Equal(t, want, got.String())
	}
}

func TestChainMayBeUsedForSeveralEndpoints(t *testing.T) {
	double := func(next endpoint.Endpoint[int, int]) endpoint.Endpoint[int, int] {
		return func(ctx context.Context, n int) (int, error) { return next(ctx, 2*n) }
	}
	chain := endpoint.Chain(double, double)
	for _, add := range []int{1, 2} {
		got, _ := chain(func(_ context.Context, n int) (int, error) { return n + add, nil })(context.Background(), 1)
		assert.Equal(t, 4+add, got)
	}
}

func TestNopReturnsTheZeroResponseAndNoError(t *testing.T) {
	got, err := endpoint.Nop[string, *sumResponse](context.Background(), "x")
	assert.Nil(t, got)
	assert.NoError(t, err)
	var e endpoint.Endpoint[int, sumResponse] = endpoint.Nop[int, sumResponse]
	response, err := e(context.Background(), 1)
	assert.Zero(t, response)
	assert.NoError(t, err)
}

// business is a response that is a Failer.
type business struct {
	Text string
	Err  error `json:"-"`
}

func (b business) Failed() error { return b.Err }

func TestFailerIsAnsweredByTheErrorEncoderAfterTheAfterFunctions(t *testing.T) {
	failure := errors.New("sold out")
	for _, tt := range []struct {
		err   error
		steps string
		code  int
		text  string
	}{
		{nil, "after finalizer", 200, `{"Text":"x"}`},
		{failure, "after handler:sold out finalizer", 500, "Internal Server Error"},
		{endpoint.Error(409, "taken"), "after handler:taken finalizer", 409, "taken"},
	} {
		var got trace
		s := endpoint.JSON(func(context.Context, struct{}) (business, error) { return business{"x", tt.err}, nil },
			got.after("after"), got.errorHandler(), got.finalizer("finalizer"))
		code, text := answer(s, request("GET", "/", ""))
		assert.Equal(t, tt.code, code)
		assert.Equal(t, tt.text, text)
		assert.Equal(t, tt.steps, got.String())
	}
}

// The package imports only the standard library and kami.
func TestImports(t *testing.T) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	read := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		require.NoError(t, err)
		read++
		for _, i := range file.Imports {
			path, _ := strconv.Unquote(i.Path.Value)
			first, _, _ := strings.Cut(path, "/")
			if strings.Contains(first, ".") && path != "github.com/guregu/kami" && !strings.HasPrefix(path, "github.com/guregu/kami/") {
				t.Errorf("%s imports %s", name, path)
			}
		}
	}
	assert.NotZero(t, read)
}
