package endpoint_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/guregu/kami/endpoint"
	"github.com/stretchr/testify/assert"
)

// rich is an error with all methods that the error encoder uses.
type rich struct {
	code    int
	headers http.Header
	text    string
}

func (e rich) Error() string        { return "rich" }
func (e rich) StatusCode() int      { return e.code }
func (e rich) Headers() http.Header { return e.headers }
func (e rich) MarshalJSON() ([]byte, error) {
	if e.text == "" {
		return nil, errors.New("no text")
	}
	return []byte(e.text), nil
}

// coder is an error that has only a status.
type coder int

func (c coder) Error() string   { return "coder" }
func (c coder) StatusCode() int { return int(c) }

func TestDefaultErrorEncoder(t *testing.T) {
	const plain, json = "text/plain; charset=utf-8", "application/json; charset=utf-8"
	full := rich{409, http.Header{"Retry-After": {"1"}, "X-Many": {"a", "b"}}, `{"e":1}`}
	for _, tt := range []struct {
		err               error
		code              int
		contentType, text string
	}{
		{errors.New("oops"), 500, plain, "oops"},
		{errors.New(""), 500, plain, ""},
		{endpoint.Error(404, "no such thing"), 404, plain, "no such thing"},
		{coder(400), 400, plain, "coder"},
		{coder(599), 599, plain, "coder"},
		{coder(399), 500, plain, "coder"},
		{coder(600), 500, plain, "coder"},
		{coder(200), 500, plain, "coder"},
		{coder(0), 500, plain, "coder"},
		{coder(-1), 500, plain, "coder"},
		{rich{code: 503}, 503, plain, "rich"},
		{full, 409, json, `{"e":1}`},
		{fmt.Errorf("outer: %w", endpoint.Error(404, "inner")), 404, plain, "outer: inner"},
		{fmt.Errorf("outer: %w", full), 409, json, `{"e":1}`},
		{errors.Join(errors.New("first"), full), 409, json, `{"e":1}`},
	} {
		w := httptest.NewRecorder()
		w.Header().Set("Content-Length", "1000")
		w.Header().Set("Content-Type", "image/png")
		endpoint.DefaultErrorEncoder(context.Background(), tt.err, w)
		assert.Equal(t, tt.code, w.Code, "%v", tt.err)
		assert.Equal(t, []string{tt.contentType}, w.Header()["Content-Type"])
		assert.Equal(t, tt.text, w.Body.String())
		assert.Empty(t, w.Header()["Content-Length"], "that was another answer's")
		if errors.As(tt.err, new(rich)) && tt.code == 409 {
			assert.Equal(t, []string{"1"}, w.Header()["Retry-After"])
			assert.Equal(t, []string{"a", "b"}, w.Header()["X-Many"])
		}
	}
}

func TestHeadersOfAnAnswerMayReplaceTheContentType(t *testing.T) {
	problem := rich{409, http.Header{"content-type": {"application/problem+json"}}, `{"title":"taken"}`}
	serve := func(fn func(context.Context, struct{}) (rich, error)) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		endpoint.JSON(fn, endpoint.ServerErrorEncoder(endpoint.DefaultErrorEncoder)).ServeHTTP(w, request("POST", "/", ""))
		return w
	}
	for _, w := range []*httptest.ResponseRecorder{
		serve(func(context.Context, struct{}) (rich, error) { return rich{}, problem }),
		serve(func(context.Context, struct{}) (rich, error) { return problem, nil }),
	} {
		assert.Equal(t, 409, w.Code)
		assert.Equal(t, []string{"application/problem+json"}, w.Header().Values("Content-Type"))
		assert.JSONEq(t, `{"title":"taken"}`, w.Body.String())
	}
}

func TestErrorIsComparableAndKnowsItsStatus(t *testing.T) {
	for _, tt := range []struct{ code, want int }{{400, 400}, {599, 599}, {399, 500}, {600, 500}, {200, 500}, {0, 500}} {
		err := endpoint.Error(tt.code, "x")
		assert.Equal(t, tt.want, status(err))
		assert.Equal(t, "x", err.Error())
		assert.True(t, err == endpoint.Error(tt.code, "x"))
		assert.True(t, errors.Is(fmt.Errorf("y: %w", err), endpoint.Error(tt.want, "x")))
		assert.False(t, err == endpoint.Error(tt.code, "y"))
	}
}

// An error of this package with a status wraps the error that is its reason.
func TestErrorsWithAStatusWrapTheirReason(t *testing.T) {
	_, err := endpoint.DecodeJSONRequest[int](context.Background(), request("POST", "/", "}"))
	assert.Equal(t, 400, status(err))
	var syntax *json.SyntaxError
	assert.ErrorAs(t, err, &syntax)
}
