package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The checks in the handlers pass for every contestant of every row.
func TestRowsDoTheirWork(t *testing.T) {
	for _, r := range rows() {
		for _, c := range r.field() {
			t.Run(r.group+"/"+r.name+"/"+c.name, func(t *testing.T) {
				c.run(max(1, len(r.routes)))
				if c.check != nil {
					require.NoError(t, c.check())
				}
			})
		}
	}
}

// The checks fail if a framework does not do its work.
func TestChecksFail(t *testing.T) {
	r := &row{job: job{routes: params1, base: true, values: 2, observed: true}}
	for name, lame := range map[string]job{
		"no context":  {routes: params1, observed: true},
		"one value":   {routes: params1, observed: true, base: true, values: 1},
		"no logger":   {routes: params1, base: true, values: 2},
		"other param": {routes: get("/:users/7id", "/users/:is/:id"), base: true, values: 2, observed: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := newDrive(r, newKami(&lame), requests(r.routes))
			c.run(1)
			require.Error(t, c.check())
		})
	}
}

// The base value must be in both contexts. Values of middleware must be if the exam is strict.
func TestBothContextsAreRead(t *testing.T) {
	none := context.Background()
	base := adding(none, 0)
	both := adding(base, 1)
	for name, test := range map[string]struct {
		ctx, ofRequest context.Context
		timed, strict  string // what is wrong
	}{
		"both":                        {both, both, "", ""},
		"none in the handler's":       {none, both, "a context lacks value 1", "a context lacks value 1"},
		"none in the request's":       {both, none, "a context lacks value 0", "a context lacks value 1"},
		"the base's in the handler's": {base, both, "a context lacks value 1", "a context lacks value 1"},
		"the base's in the request's": {both, base, "", "a context lacks value 1"},
	} {
		t.Run(name, func(t *testing.T) {
			for strict, want := range map[bool]string{false: test.timed, true: test.strict} {
				e := exam{contexts: 2, strict: strict}
				e.finish(nil, test.ctx, test.ofRequest)
				assert.Equal(t, want, e.failed)
			}
			answered := httptest.NewRecorder()
			(*exam)(nil).finish(answered, test.ctx, test.ofRequest)
			lacks := valueIn(test.ctx, 0) == nil || valueIn(test.ofRequest, 0) == nil
			assert.Equal(t, lacks, answered.Code != http.StatusOK)
		})
	}
}

// Every contestant compares all params each time.
func TestAllParamsAreRead(t *testing.T) {
	for _, base := range []bool{false, true} {
		r := &row{job: job{routes: params5, base: base}}
		for _, p := range append([]peer{kamiPeer, byHandPeer}, peers...) {
			for i := range params5[0].names {
				t.Run(fmt.Sprint(p.name, "/", base, "/", i), func(t *testing.T) {
					asked := requests(r.routes)
					asked[0].params[i] = "another"
					d := newDrive(r, p.build(&r.job), asked)
					d.run(1)
					require.ErrorContains(t, d.check(), fmt.Sprint("param ", i, " is "))
					d.run(1)
					require.ErrorContains(t, d.check(), fmt.Sprint("param ", i, " is "))
				})
			}
		}
	}
}

// BenchmarkRows has the rows of the page as plain benchmarks.
func BenchmarkRows(b *testing.B) {
	for _, r := range rows() {
		for _, c := range r.field() {
			b.Run(r.group+"/"+r.name+"/"+c.name, func(b *testing.B) {
				b.ReportAllocs()
				c.run(b.N)
				if c.check != nil {
					require.NoError(b, c.check())
				}
			})
		}
	}
}

// BenchmarkParallel does the same work with one param, in as many goroutines as -cpu says. Every goroutine has its own
// requests, and all call one handler.
func BenchmarkParallel(b *testing.B) {
	r := &row{job: job{routes: params1, base: true}}
	for _, p := range append([]peer{kamiPeer}, peers...) {
		handler := p.build(&r.job)
		b.Run(p.name, func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				d := newDrive(r, handler, requests(r.routes))
				for pb.Next() {
					d.run(1)
				}
				assert.NoError(b, d.check())
			})
		})
	}
}

// BenchmarkRetained counts the bytes in use after a million requests that were not in use before. Each request has a path of
// its own and goes through three middlewares. Some hundred bytes are the runtime's own.
func BenchmarkRetained(b *testing.B) {
	for _, p := range append([]peer{kamiPeer}, peers...) {
		b.Run(p.name, func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(retained(b, p, 1_000_000), "B-retained")
			}
		})
	}
}

// kami keeps nothing of a request that is over.
func TestNothingIsRetained(t *testing.T) {
	assert.Less(t, retained(t, kamiPeer, 20_000), 20_000.0, "less than a byte of each request")
}

func retained(t testing.TB, p peer, n int) float64 {
	r := &row{job: job{routes: params1, base: true, values: 3}}
	d := newDrive(r, p.build(&r.job), requests(r.routes))
	d.run(1000) // what grows once has grown
	before := inUse()
	for i := range n {
		id := fmt.Sprint(i)
		d.requests[0].path, d.requests[0].params[0] = "/users/"+id, id
		d.run(1)
	}
	held := inUse() - before
	require.NoError(t, d.check())
	return held
}

// The program writes the page and its chart. A few rows are enough, because all of them are tested above.
func TestQuick(t *testing.T) {
	page := filepath.Join(t.TempDir(), "performance.md")
	some := `^Bare: (1 param|404)|^Same work: (5 params|3 context)|^Raw tree: GitHub|^(End|Growth)`
	var out bytes.Buffer
	require.NoError(t, run([]string{"-quick", "-rows", some, "-out", page}, &out, io.Discard))
	written, err := os.ReadFile(page)
	require.NoError(t, err)
	assert.Equal(t, out.String(), string(written))
	for _, want := range []string{
		"## Targets", "### Same work: 5 params", "### Raw tree: GitHub", "## End to end", "Static routes: bytes for each",
		"| **kami** |", "| *the floor* |", "\n| *by hand* |", "| httprouter |",
		"\n| End to end | kami : net/http", "\n| Growth: Static routes | bytes a route |",
	} {
		assert.Contains(t, out.String(), want)
	}
	assert.Contains(t, out.String(), "](performance-work.svg)")
	svg, err := os.ReadFile(filepath.Join(filepath.Dir(page), "performance-work.svg"))
	require.NoError(t, err)
	for _, want := range []string{">5 params</text>", ">kami</text>", "fill='#c01f2e'", "</svg>"} {
		assert.Contains(t, string(svg), want)
	}
}

// A run writes its figures as JSON, for the program that has started it.
func TestRunsAreWritten(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run([]string{"-quick", "-rows", "^Raw tree: static", "-json"}, &out, io.Discard))
	var rows []outcome
	require.NoError(t, json.Unmarshal(out.Bytes(), &rows))
	require.Len(t, rows, 1)
	assert.Equal(t, "static", rows[0].Row)
	assert.Equal(t, ours, rows[0].Lines[0].Name)
	assert.Positive(t, rows[0].Lines[0].least(0))
}

func TestRowsAreChosen(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run([]string{"-quick", "-rows", "Bare: (static|404)"}, &out, io.Discard))
	assert.Contains(t, out.String(), "### Bare: static")
	assert.Contains(t, out.String(), "### Bare: 404")
	assert.NotContains(t, out.String(), "### Bare: 1 param")
	assert.NotContains(t, out.String(), "## Growth")
	for _, wrong := range [][]string{
		{"-rows", "("}, {"-rows", "nothing"}, {"-runs", "0"}, {"Bare"}, {"-slice", "-1s"},
		{"-quick", "-out", "no/such/page.md"},
	} {
		assert.Error(t, run(wrong, &out, io.Discard), wrong)
	}
}

// made is a run with the given times of kami, a fast peer, chi and the floor at the default GOGC, and half of them at 400. In two
// of the three turns the machine is slower. By hand has the times of the fast peer.
func made(row string, times ...float64) outcome {
	o := outcome{Group: bare, Row: row}
	for i, name := range []string{ours, "fast", "chi", theFloor} {
		l := line{Name: name}
		l.Slices = [2][]float64{{times[i] * 3, times[i], times[i] * 2}, {times[i], times[i] / 2, times[i]}}
		o.Lines = append(o.Lines, l)
	}
	hand := o.Lines[1]
	hand.Name = byHand
	o.Lines = append(o.Lines, hand)
	return o
}

func TestVerdicts(t *testing.T) {
	r := &row{group: bare, name: hit, targets: []target{
		{of: ratio, most: 0.8, most400: 0.75},
		{of: ratio, beside: "chi", most: 0.5},
		{of: above, beside: theFloor, most: 60},
		{of: ratio, beside: "nobody", most: 1},
	}}
	s := series{{made(hit, 100, 125, 250, 70)}, {made(hit, 90, 125, 250, 20)}, {made(hit, 60, 100, 100, 10)}}
	got := s.verdicts(0, r)
	require.Len(t, got, 3, "one target is beside what is not there")
	assert.Equal(t, [2]float64{0.72, 0.72}, got[0].value, "the median of 0.8, 0.72 and 0.6")
	assert.Equal(t, [2]float64{1, 1}, got[0].hand)
	assert.Equal(t, [2]int{3, 2}, got[0].held, "0.8 is too much at 400")
	assert.Equal(t, [2]float64{0.4, 0.4}, got[1].value)
	assert.Equal(t, [2]int{2, 2}, got[1].held)
	assert.Equal(t, [2]float64{50, 25}, got[2].value)
	assert.Equal(t, [2]float64{90, 45}, got[2].hand, "the median of 55, 105 and 90")
	assert.Equal(t, [2]int{2, 3}, got[2].held)

	lines := s.merge(0)
	assert.Equal(t, theFloor, lines[0].name, "the fastest line is first")
	assert.Equal(t, ours, lines[1].name)
	assert.Equal(t, 90.0, lines[1].least[0])
	assert.Equal(t, 180.0, lines[1].median[0])
	assert.Equal(t, 0.72, lines[1].ratio[0])
	assert.Equal(t, 0.72, lines[1].ofLeast[0])
}

// A miss is compared with a hit by their ratios to the floor, because the machine may have been slower for one of them.
func TestMissesAreComparedWithHits(t *testing.T) {
	miss := made("404", 700, 125, 250, 100)
	answer := miss.Lines[0]
	answer.Name = theAnswer
	answer.Slices = miss.Lines[3].Slices // 1 floor
	miss.Lines[4] = answer
	got := series{{made(hit, 150, 125, 250, 50), miss}}.verdicts(1, &row{targets: missTargets})
	require.Len(t, got, 1)
	assert.True(t, math.IsNaN(got[0].hand[0]), "nobody does it by hand")
	assert.Equal(t, [2]float64{2, 2}, got[0].value, "7 floors without 1, of 3")
	assert.Equal(t, [2]int{1, 1}, got[0].held)
	assert.Empty(t, series{{miss}}.verdicts(0, &row{targets: missTargets}), "without a hit")
}

// The parts without rows have targets for kami too.
func TestTargetsWithoutRows(t *testing.T) {
	at := func(ns, ms float64) sized { return sized{slices: []float64{ns, ns}, ms: ms, bytes: 290} }
	r := &report{
		Trips: []trip{{Name: bareHTTP, Ratio: 1}, {Name: ours, Ratio: 0.971}, {Name: "chi", Ratio: 2}},
		Growths: []growth{
			{name: "Routes", routes: true, sizes: []int{10, 100, 1000}, kami: [][]sized{
				{at(1, 0), at(50, 0), at(100, 310)}, {at(1, 0), at(50, 0), at(110, 280)}, {at(1, 0), at(50, 0), at(90, 290)},
			}},
			{name: "Scopes", sizes: []int{1, 10}, kami: [][]sized{
				{at(50, 0), at(110, 900)}, {at(50, 0), at(90, 900)}, {at(50, 0), at(120, 900)},
			}},
		},
	}
	var got []string
	for _, line := range r.Targets() {
		got = append(got, strings.Join(line[:6], "|"))
	}
	assert.Equal(t, []string{
		"End to end|kami : net/http in requests a second, at least|0.98|0.97||0 of 1",
		"Growth: Routes|time at 1,000 : at 100|2|2||2 of 3",
		"Growth: Routes|bytes a route|300|290||3 of 3",
		"Growth: Routes|ms to register 1,000|300|290||2 of 3",
		"Growth: Scopes|time at 10 : at 1|2|2.2||1 of 3",
	}, got)
}

func TestRatioInTurn(t *testing.T) {
	slow := []float64{10, 40, 12, 44, 11}
	half := []float64{5, 20, 6, 22, 100} // disturbed in the last turn
	assert.Equal(t, 2.0, ratioInTurn(slow, half))
	assert.Equal(t, 0.5, ratioInTurn(half, slow))
}

var compares = flag.Bool("compares", false, "run TestCompare, which links three copies of kami")

// -compare compares the working tree with its revision in all rows.
func TestCompare(t *testing.T) {
	if !*compares {
		t.Skip("it takes half a minute: -compares runs it")
	}
	if _, err := output(nil, "git", "rev-parse", "--verify", "HEAD^{tree}"); err != nil {
		t.Skip("no revision to compare with: ", err)
	}
	var out, log bytes.Buffer
	require.NoError(t, run([]string{"-quick", "-compare", "HEAD"}, &out, &log), &log)
	for _, r := range comparedRows() {
		assert.Regexp(t, `(?m)^`+regexp.QuoteMeta(r.title())+` +\d`, out.String(), "it has figures")
	}
}

// A row that another revision cannot run is left out of a comparison.
func TestCompareLeavesOut(t *testing.T) {
	p := pace{slice: time.Microsecond, slices: 1}
	fails := func(err error) func() []*contestant {
		c := rawContestant(then, static, rawKami)
		c.check = func() error { return err }
		return func() []*contestant { return []*contestant{c} }
	}
	panics := func() []*contestant { panic("no such handler") }
	s := series{{
		p.compared(&row{group: bare, name: "panics", contestants: panics}),
		p.compared(&row{group: bare, name: "fails", contestants: fails(io.EOF)}),
		p.compared(&row{group: bare, name: "does", contestants: fails(nil)}),
	}}
	assert.Equal(t, "no such handler", s[0][0].Failed)
	assert.Equal(t, "Bare: fails, then: EOF", s[0][1].Failed)
	assert.Empty(t, s[0][2].Failed)
}

func TestComparisons(t *testing.T) {
	slices := func(name string, ns float64) line {
		return line{Name: name, Slices: [2][]float64{{ns, 2 * ns, 4 * ns}}}
	}
	for name, test := range map[string]struct {
		now, again []float64 // the ratios to then, run by run
		want       string
	}{
		"slower":                    {[]float64{1.05, 1.06, 0.9, 1.04, 1.07}, []float64{1, 0.98, 1.02, 0.99, 1.2}, "SLOWER"},
		"faster":                    {[]float64{0.9, 0.95, 0.96, 1.1, 0.95}, []float64{1, 1, 1, 1, 1}, "faster"},
		"too few runs":              {[]float64{1.05, 1.05, 1.05}, []float64{1, 1, 1}, ""},
		"within 3 %":                {[]float64{1.02, 1.02, 1.02, 1.02, 1.02}, []float64{1, 1, 1, 1, 1}, ""},
		"no more than the control":  {[]float64{1.05, 1.05, 1.05, 1.05, 1.05}, []float64{0.94, 0.94, 0.94, 0.94, 0.94}, ""},
		"the runs do not agree":     {[]float64{1.05, 1.05, 1.05, 0.9, 0.9}, []float64{1, 1, 1, 1, 1}, ""},
		"a run that was disturbed":  {[]float64{1, 1.01, 0.99, 9, 1}, []float64{1, 1, 1, 1, 1}, ""},
		"a control that was so too": {[]float64{1.05, 1.05, 1.05, 1.05, 1.05}, []float64{1, 1, 1, 1, 9}, "SLOWER"},
	} {
		t.Run(name, func(t *testing.T) {
			var s series
			for i := range test.now {
				lines := []line{slices(again, 100*test.again[i]), slices(now, 100*test.now[i]), slices(then, 100)}
				s = append(s, []outcome{{Group: bare, Row: hit, Lines: lines}, {Group: bare, Row: "404", Failed: "no such handler"}})
			}
			var out bytes.Buffer
			require.NoError(t, s.writeComparison(&out))
			rows := strings.Split(out.String(), "\n")[2:]
			assert.Regexp(t, `  `+test.want+`$`, rows[0])
			assert.Regexp(t, "^Bare: 404 +left out: no such handler$", rows[1])
			assert.InDelta(t, median(test.now), s.spread(0, now).middle, 1e-9)
		})
	}
}

func TestRoutes(t *testing.T) {
	assert.Len(t, github, 203)
	assert.Len(t, gplus, 13)
	rt := newRoute("GET", "/users/:id/books/:book")
	assert.Equal(t, request{"GET", "/users/id7/books/book7", []string{"id7", "book7"}}, rt.request())
	assert.Equal(t, "/users/{id}/books/{book}", rt.braced())
}
