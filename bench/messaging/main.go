package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
)

func main() {
	chosen := flag.String("rows", "", "measure only the rows whose names match the `regexp`")
	turns := flag.Int("turns", 60, "how often each contestant works")
	write := flag.String("write", "", "file to write the page to, instead of to the standard output")
	flag.Parse()
	var text bytes.Buffer
	p := &page{out: io.MultiWriter(&text, os.Stdout), rows: regexp.MustCompile(*chosen), turns: *turns}
	if !p.wants("") {
		fmt.Fprintf(os.Stderr, "messaging: no row matches %q; rows are %q\n", *chosen, rows)
		os.Exit(2)
	}
	p.measure()
	if *write != "" {
		must(os.WriteFile(*write, text.Bytes(), 0o644))
	}
}

// measure measures all rows.
func (p *page) measure() {
	p.printf("# Performance of messaging\n\n" +
		"This page is written by `go run ./bench/messaging`. *By hand* is the same exchange with as little code as possible: coder/websocket " +
		"or nats.go, and encoding/json. Contestants take turns. A ratio is the median of the ratios of the turns; less than 1 is faster.\n\n")
	p.printf("%s, %d cores.\n", runtime.Version(), runtime.NumCPU())
	p.printf("\n## Peers\n\nEach connection runs its calls one by one, in jrpc2 too. A call that fails ends the measurement.\n")
	systems := peers()
	for _, shape := range [][2]int{{1, 1}, {1, 16}, {16, 16}} {
		p.measureCalls(systems, shape[0], shape[1])
	}
	for _, s := range systems {
		s.end()
	}
	p.measureSessions()
	p.printf("\n## Cluster\n\nOn one NATS server in the process, over loopback TCP.\n")
	p.measureCluster()
	fmt.Fprintln(os.Stderr, "done")
}
