package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// maxFailures is how many failures a Result describes.
const maxFailures = 20

// Result counts the requests. Each of them was answered or has failed.
type Result struct {
	Answered, Failed int

	// Connections is how many connections were opened.
	Connections int

	// Moved is how often HTTP/2 has moved a request to another connection, see there. No other mode does so.
	Moved int

	// Failures describes the first 20 failures: mode, client, how long into the run the request began, how many requests
	// its connection had served before, how long it took and what went wrong.
	Failures []string

	// Slowest is how long the slowest of the answered requests took.
	Slowest time.Duration
}

// String is the result in one line, with the first failure if there is one.
func (r Result) String() string {
	s := fmt.Sprintf("%d failed, %d answered on %d connections, the slowest in %v",
		r.Failed, r.Answered, r.Connections, r.Slowest.Round(time.Microsecond))
	if r.Moved > 0 {
		s += fmt.Sprintf(", %d moved", r.Moved)
	}
	if len(r.Failures) > 0 {
		s += "; first failure: " + r.Failures[0]
	}
	return s
}

// record adds the outcome of a request.
func (r *run) record(client, served int, began time.Time, err error) {
	took := time.Since(began)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.result.Answered++
		r.result.Slowest = max(r.result.Slowest, took)
		return
	}
	r.result.Failed++
	if len(r.result.Failures) == maxFailures {
		return
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("the limit of %v is exceeded: %w", r.Limit, err)
	}
	r.result.Failures = append(r.result.Failures, fmt.Sprintf("%v: client %d, %v into the run, %d served before, after %v: %v",
		r.Mode, client, began.Sub(r.began).Round(time.Microsecond), served, took.Round(time.Microsecond), err))
}

// count adds one to a number of the result.
func (r *run) count(n *int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*n++
}
