package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

// TestSmoke measures all calls a little: each contestant answers right, or it panics.
func TestSmoke(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes some thousand connections")
	}
	var text bytes.Buffer
	p := &page{out: &text, rows: regexp.MustCompile("calls|broadcasts|views"), turns: 1}
	p.measure()
	for _, name := range []string{"| by hand |", "| kami |", "creachadair", "sourcegraph", "net/rpc", "gorilla", "256 callers", "| Pitaya v3 |",
		" 0 failed", "Pitaya v3, by itself, failed", "2 fronts", "publisher has published", "a join or a leave", "Find of 600"} {
		if !strings.Contains(text.String(), name) {
			t.Errorf("the page lacks %q:\n%s", name, &text)
		}
	}
}
