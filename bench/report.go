package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// report is all that was measured. What was left out is empty.
type report struct {
	machine    []string // see machine; before anything was written
	rows       []*row
	series     series    // of the rows
	claims     [][]claim // of each run
	pace       pace
	growths    []growth
	scalings   []scaling
	retentions []retention
	trips      []trip
	charts     []chart
	profiles   []profiled // of rows that miss a target
}

// chart is a picture on the page.
type chart struct{ group, file, text string }

// asked is how many requests the memory is measured after.
const asked = 1_000_000

// page writes the page. A printer remembers the first error.
type page struct {
	io.Writer
	err error
}

func (p *page) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p, format, args...)
	}
}

// line writes a line of a table.
func (p *page) cells(cells ...string) { p.printf("| %s |\n", strings.Join(cells, " | ")) }

// head begins a table. Its first column is text, the others are numbers.
func (p *page) head(cells ...string) {
	p.printf("\n")
	p.cells(cells...)
	p.printf("|---|%s\n", strings.Repeat("--:|", len(cells)-1))
}

// write writes the report in Markdown.
func (r *report) write(w io.Writer) error {
	p := &page{Writer: w}
	p.printf("# Performance\n\n")
	r.writeResult(p)
	p.printf("Peers and clusters are measured on a [page of their own](performance-messaging.md).\n\n")
	p.printf("This page is written by `go run ./bench`. Times are in ns for each request unless they say otherwise; " +
		"less is better everywhere but in requests a second.\n\n")
	for _, line := range r.machine {
		p.printf("- %s\n", line)
	}
	if len(r.series) > 0 {
		p.printf("- Runs: %d, each of a program linked in another order. In each everyone has %d slices of %v, in turns.\n",
			len(r.series), r.pace.slices, r.pace.slice)
	}
	p.printf("\n")
	p.printf("%s\n", r.explanation())
	r.writeVerdicts(p)
	r.writeProfiles(p)
	r.writeRows(p)
	r.writeTrips(p)
	r.writeGrowths(p)
	r.writeScalings(p)
	r.writeRetentions(p)
	return p.err
}

// writeResult says in which rows kami is ahead of all peers, and who is faster in the others.
func (r *report) writeResult(p *page) {
	for _, group := range []string{sameWork, bare, rawTree} {
		var ahead, behind []string
		for i, row := range r.rows {
			switch faster := fasterPeers(r.series.merge(i)); {
			case row.group != group:
			case len(faster) == 0:
				ahead = append(ahead, row.name)
			default:
				behind = append(behind, fmt.Sprintf("%s (%s)", row.name, strings.Join(faster, ", ")))
			}
		}
		if len(ahead)+len(behind) == 0 {
			continue
		}
		p.printf("- **%s**: kami is ahead of every peer in %d of %d rows", group, len(ahead), len(ahead)+len(behind))
		if len(behind) > 0 {
			p.printf("; faster are peers in %s", strings.Join(behind, ", "))
		}
		p.printf(".\n")
	}
	p.printf("\n")
}

// explanation says how to read the tables.
func (r *report) explanation() string {
	return strings.Join([]string{
		"A slice is long enough for some collections of garbage at GOGC=100, so that everyone pays for what they leave. The " +
			"least of the slices is the time that nothing else on the machine disturbed, but how many collections fall into it is " +
			"luck. So *ratio*, in bold, is by the slices of the same turns, which met much the same machine: their median. It is " +
			"to the peer to which it is the largest. The ratio of the least times stands beside them. Figures of rows are the " +
			"medians of the runs.",
		"",
		"Targets are about the ratio in bold. Those in ns are about the least times; times without that of the answer are " +
			"compared with a hit by the floors of their rows. Those of what is end to end and of growth are measured in each run " +
			"too, of kami without its peers.",
		"",
		"*The floor* allocates a copy of the request and its context in one piece, and does nothing else: a handler with " +
			"a context of its own cannot be had for less. *By hand* is the same work as kami's contract asks for it, with " +
			"every context and copy of the request, but without anything to look for: no router (it is told which route comes), " +
			"scopes or hooks, and nothing that sees to panics, forms or cancellation. What kami takes longer is the framework's " +
			"own. It stands beside the targets: where by hand misses one too, kami can hardly hold it. Every handler checks what it got.",
		"",
		"In *bare* rows handlers read their params. kami makes its context for them all the same, if not for a 404, 405 or " +
			"redirect that nothing else sees; gin and echo hand out pooled ones, which must not be kept, httprouter and bunrouter " +
			"none. In *same work* params, the app's base value and " +
			"those of middleware are in the handler's context and in that of the request (before the clock runs, all are read " +
			"from both; then the base value is). kami and chi have means of their own for params there. For the others the app " +
			"has a type of context, the cheapest there can be: one allocation for params and base value, and the copy of the " +
			"request that middleware needs anyway; the handler looks for them once. (It holds gin's and echo's params as they " +
			"are, pooled.) The first kami is missing: the module proxy does not have it.",
	}, "\n")
}

func (r *report) writeVerdicts(p *page) {
	var all []verdict
	for i, row := range r.rows {
		all = append(all, r.series.verdicts(i, row)...)
	}
	more := sumUp(r.claims)
	if len(all) == 0 && len(more) == 0 {
		return
	}
	p.printf("\n## Targets\n")
	p.head("row", "of", "at most", "is", "*by hand*", "holds in", "by the least times",
		"at GOGC=400", "is", "*by hand*", "holds in")
	for _, v := range all {
		var at [2][]string
		for g := range gogcs {
			at[g] = []string{
				number(v.target.limit(g)), number(v.value[g]), absent(!v.handed, number(v.hand[g])),
				fmt.Sprintf("%d of %d", v.held[g], v.runs),
			}
		}
		if v.target.of == allocations { // which are the same
			at[1] = []string{"", "", "", ""}
		}
		p.cells(slices.Concat([]string{v.row, v.target.text()}, at[0], []string{ratioText(v.ofLeast)}, at[1])...)
	}
	for _, c := range more {
		p.cells(c.Row, c.Of, number(c.Limit), number(c.Value), "", fmt.Sprintf("%d of %d", c.held, c.runs), "", "", "", "", "")
	}
}

func (r *report) writeProfiles(p *page) {
	if len(r.profiles) == 0 {
		return
	}
	p.printf("\n### Where the time goes\n\nIn rows that miss a target, as a profile of kami alone says at GOGC=100. What is " +
		"inlined counts for the function that it is in.\n\n")
	for _, found := range r.profiles {
		var texts []string
		for _, s := range found.shares {
			texts = append(texts, fmt.Sprintf("%s %.0f %%", s.where, s.of*100))
		}
		p.printf("- %s: %s.\n", found.row, strings.Join(texts, ", "))
	}
}

// text says what the target is about.
func (t target) text() string {
	who := t.who
	if who == "" {
		who = ours
	}
	switch t.of {
	case allocations:
		return who + ": allocations"
	case above:
		return who + ": ns above " + t.beside
	case hits:
		return who + " without the answer : a hit"
	}
	if t.beside == "" {
		return who + " : the fastest peer"
	}
	return who + " : " + t.beside
}

func (r *report) writeRows(p *page) {
	group := ""
	for i, row := range r.rows {
		if row.group != group {
			group = row.group
			p.printf("\n## %s\n", group)
			r.writeCharts(p, group)
		}
		p.printf("\n### %s\n", row.title())
		if row.about != "" {
			p.printf("\n%s\n", row.about)
		}
		lines := r.series.merge(i)
		p.head("", "least ns", "ratio", "median ns", "**ratio**", "allocations", "bytes",
			"least ns, GOGC=400", "ratio", "median ns", "**ratio**")
		for _, l := range lines {
			var at [2][]string
			for g := range gogcs {
				at[g] = []string{number(l.least[g]), ratioText(l.ofLeast[g]), number(l.median[g]), ratioText(l.ratio[g])}
			}
			p.cells(slices.Concat(
				[]string{bold(l.name, l.kind)}, at[0], []string{number(l.allocs), number(l.bytes)}, at[1])...)
		}
		if faster := fasterPeers(lines); len(faster) > 0 {
			p.printf("\nFaster than kami here: %s.\n", strings.Join(faster, ", "))
		}
	}
}

// fasterPeers names the peers that are faster than kami at either GOGC, by either measure.
func fasterPeers(lines []merged) []string {
	var faster []string
	for _, l := range lines {
		for _, k := range lines {
			if l.kind == others && k.name == ours && l.faster(k) {
				faster = append(faster, l.name)
			}
		}
	}
	return faster
}

func (r *report) writeCharts(p *page, group string) {
	for _, c := range r.charts {
		if c.group == group {
			p.printf("\n![%s](%s)\n", c.text, c.file)
		}
	}
}

const (
	endToEnd = "End to end"
	growing  = "Growth"
	parallel = "Parallel"
	memories = "Memory"
)

func (r *report) writeTrips(p *page) {
	if len(r.trips) == 0 {
		return
	}
	p.printf("\n## %s\n\n", endToEnd)
	p.printf("The same work with one param over loopback, client and servers in one process: %d connections that are "+
		"kept alive, each with one request on its way. The ratio of the rates is to bare net/http in the same round; kami "+
		"is to hold at least 0.98.\n", connections)
	p.head("", "requests a second", "ratio", "p50 in µs", "p99 in µs")
	for _, t := range r.trips {
		p.cells(bold(t.name, kindOf(t.name)), fmt.Sprintf("%.0f", t.rate), fmt.Sprintf("%.3f", t.ratio),
			number(float64(t.p50)/1e3), number(float64(t.p99)/1e3))
	}
}

func (r *report) writeGrowths(p *page) {
	if len(r.growths) == 0 {
		return
	}
	p.printf("\n## %s\n\n", growing)
	p.printf("Bare requests, %d of them for paths drawn at random. No garbage is collected meanwhile, for a larger heap "+
		"would make that rarer and the times shorter. The times are the least of the slices; the targets are by the slices of "+
		"the same turns. The memory is what routes or scopes hold, with a handler for each route but without the texts of the "+
		"paths; it and the time to register are the medians of %d registrations. A peer is left out where registering "+
		"might take longer than %v.\n",
		asks, registrations, patience)
	r.writeCharts(p, growing)
	for _, g := range r.growths {
		g.write(p, "least ns", func(l sized) string { return number(l.ns()) })
		g.write(p, "bytes for each", func(l sized) string { return absent(l.name == theFloor, number(l.bytes)) })
		g.write(p, "ms to register all", func(l sized) string {
			return absent(l.name == theFloor, number(float64(l.register)/float64(time.Millisecond)))
		})
	}
}

func absent(is bool, text string) string {
	if is {
		return ""
	}
	return text
}

// write writes a table of one thing by contestant and size.
func (g growth) write(p *page, what string, of func(sized) string) {
	p.printf("\n### %s: %s\n", g.name, what)
	heads := []string{""}
	for _, s := range g.sizes {
		heads = append(heads, thousands(s.n))
	}
	p.head(heads...)
	for _, l := range g.sizes[0].lines {
		cells := []string{bold(l.name, kindOf(l.name))}
		for _, s := range g.sizes {
			cells = append(cells, s.of(l.name, of))
		}
		if strings.Join(cells[1:], "") != "" {
			p.cells(cells...)
		}
	}
}

// of returns the text of the contestant's line, or nothing if it was left out.
func (s size) of(name string, text func(sized) string) string {
	if l, ok := s.line(name); ok {
		return text(l)
	}
	return ""
}

func (r *report) writeScalings(p *page) {
	if len(r.scalings) == 0 {
		return
	}
	p.printf("\n## %s\n\nThe same work with one param, from one goroutine and from one for each core.\n", parallel)
	p.head("", "requests a second by one", "by all", "times as many")
	for _, s := range r.scalings {
		one, all := fmt.Sprintf("%.0f", s.one), fmt.Sprintf("%.0f", s.all)
		p.cells(bold(s.name, kindOf(s.name)), one, all, number(cents(s.all/s.one)))
	}
}

func (r *report) writeRetentions(p *page) {
	if len(r.retentions) == 0 {
		return
	}
	p.printf("\n## %s\n\nBytes that are in use after %s requests, each for a path of its own and through three "+
		"middlewares, and were not before. Some hundred are the runtime's own.\n", memories, thousands(asked))
	p.head("", "bytes")
	for _, m := range r.retentions {
		p.cells(bold(m.name, kindOf(m.name)), fmt.Sprintf("%.0f", m.held))
	}
}

// kindOf is the kind of a contestant that is known by its name only.
func kindOf(name string) kind {
	switch name {
	case ours, oursPlain:
		return kamis
	case theFloor, bareHTTP:
		return reference
	}
	return others
}

func bold(name string, k kind) string {
	switch k {
	case kamis:
		return "**" + name + "**"
	case reference:
		return "*" + name + "*"
	}
	return name
}

// number is a number with as many digits as mean something.
func number(x float64) string {
	switch {
	case x == 0:
		return "0"
	case x > -10 && x < 10:
		return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", x), "0"), ".")
	}
	return fmt.Sprintf("%.0f", x)
}

func ratioText(x float64) string {
	if x == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", x)
}

// thousands is a number with commas.
func thousands(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
