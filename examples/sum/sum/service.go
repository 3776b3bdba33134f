// Package sum is a service of numbers and strings, and its client. The client is the service too: who calls it need not
// know on which machine it is.
package sum

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strings"

	"github.com/guregu/kami/endpoint"
)

// Service is what the server serves and the client calls.
type Service interface {
	// Sum adds two numbers, or fails with ErrOverflow.
	Sum(context.Context, SumRequest) (SumResponse, error)
	// Concat joins two texts, or fails with ErrTooLong.
	Concat(context.Context, ConcatRequest) (TextResponse, error)
	// Uppercase says a text loudly.
	Uppercase(context.Context, UppercaseRequest) (TextResponse, error)
}

// MaxLength is how many bytes Concat may make.
const MaxLength = 32

// The errors of the business. Each has its status and is the same error on both sides: a client's caller compares with
// errors.Is(err, sum.ErrOverflow) as the server's code does.
var (
	ErrOverflow = endpoint.Error(http.StatusUnprocessableEntity, "the sum does not fit into 64 bits")
	ErrTooLong  = endpoint.Error(http.StatusRequestEntityTooLarge, fmt.Sprintf("the text would be longer than %d bytes", MaxLength))
)

// SumRequest is what Sum adds.
type SumRequest struct {
	A int64 `json:"a"`
	B int64 `json:"b"`
}

// SumResponse is the answer of Sum.
type SumResponse struct {
	Sum int64 `json:"sum"`
}

// ConcatRequest is what Concat joins.
type ConcatRequest struct {
	A string `json:"a"`
	B string `json:"b"`
}

// UppercaseRequest is the text for Uppercase. It comes from the query.
type UppercaseRequest struct {
	Text string `query:"text"`
}

// TextResponse is the answer of Concat and Uppercase.
type TextResponse struct {
	Text string `json:"text"`
}

// New returns the service itself. It knows nothing of HTTP.
func New() Service { return service{} }

type service struct{}

func (service) Sum(_ context.Context, r SumRequest) (SumResponse, error) {
	if r.B > 0 && r.A > math.MaxInt64-r.B || r.B < 0 && r.A < math.MinInt64-r.B {
		return SumResponse{}, ErrOverflow
	}
	return SumResponse{r.A + r.B}, nil
}

func (service) Concat(_ context.Context, r ConcatRequest) (TextResponse, error) {
	if len(r.A)+len(r.B) > MaxLength {
		return TextResponse{}, ErrTooLong
	}
	return TextResponse{r.A + r.B}, nil
}

func (service) Uppercase(_ context.Context, r UppercaseRequest) (TextResponse, error) {
	return TextResponse{strings.ToUpper(r.Text)}, nil
}
