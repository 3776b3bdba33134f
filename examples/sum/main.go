// Sum is a server of package sum, and the command that calls it:
//
//	go run ./examples/sum
//	go run ./examples/sum -call http://localhost:8000 sum 1 2
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/guregu/kami"
	"golang.org/x/time/rate"

	"github.com/guregu/kami/examples/sum/sum"
)

// The server takes this many calls per second, and at once.
const perSecond, atOnce = 100, 50

// patience is how long the command waits for the server.
const patience = 10 * time.Second

var server = flag.String("call", "", "call the server at the `URL` instead of being one: "+usage)

const usage = "sum A B, concat A B or uppercase TEXT"

func main() {
	flag.Parse()
	if *server == "" {
		routes(sum.New(), slog.Default(), rate.NewLimiter(perSecond, atOnce))
		kami.Serve()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answer, err := call(ctx, *server, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(answer)
}

// call calls the method that the arguments say.
func call(ctx context.Context, server string, args []string) (answer any, err error) {
	svc, err := sum.NewClient(server)
	if err != nil {
		return nil, err
	}
	switch {
	case len(args) == 3 && args[0] == "sum":
		return callSum(ctx, svc, args[1], args[2])
	case len(args) == 3 && args[0] == "concat":
		response, err := svc.Concat(ctx, sum.ConcatRequest{A: args[1], B: args[2]})
		return response.Text, err
	case len(args) == 2 && args[0] == "uppercase":
		response, err := svc.Uppercase(ctx, sum.UppercaseRequest{Text: args[1]})
		return response.Text, err
	}
	return nil, errors.New("usage: -call URL " + usage)
}

func callSum(ctx context.Context, svc sum.Service, a, b string) (answer any, err error) {
	var request sum.SumRequest
	if request.A, err = strconv.ParseInt(a, 10, 64); err != nil {
		return nil, err
	}
	if request.B, err = strconv.ParseInt(b, 10, 64); err != nil {
		return nil, err
	}
	response, err := svc.Sum(ctx, request)
	return response.Sum, err
}
