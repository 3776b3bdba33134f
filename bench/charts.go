package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// chart is a picture on the page: bars for each of the names.
type chart struct {
	group, file, text string
	label             string  // of the numbers
	mark              float64 // the number where a line is drawn
	names             []string
	bars              []bars
}

// bars are those of one colour, one for each name; numbers only are drawn.
type bars struct {
	name, colour string
	values       []float64
}

// colours has one for each contestant: kami's stand out.
var colours = map[string]string{
	ours: "#c01f2e", oursPlain: "#e88b92", serveMux: "#1f4e79", "chi": "#4f8fc0", "gin": "#9cc5e3", "echo": "#2e754f",
	"bunrouter": "#74b38d", "httprouter": "#b58a3c", "httptreemux": "#e0c486", theFloor: "#999999",
}

// draw draws the charts beside the page, whose file has that path, and notes them in the report.
func (r *report) draw(path string) error {
	base := strings.TrimSuffix(path, filepath.Ext(path))
	for _, c := range []chart{r.workChart(), r.ratioChart(), r.growthChart()} {
		if len(c.names) == 0 {
			continue
		}
		if err := os.WriteFile(base+c.file, c.svg(), 0o644); err != nil {
			return err
		}
		c.file = filepath.Base(base) + c.file
		r.charts = append(r.charts, c)
	}
	return nil
}

// short makes the names of rows fit.
var short = strings.NewReplacer("Same work", "work", "Bare", "bare", "Raw tree", "raw tree",
	" context middlewares", " values", " middlewares", "")

// workChart has the time of all contestants in each of the rows of the same work.
func (r *report) workChart() chart {
	c := chart{
		group: sameWork, file: "-work.svg", text: "Time of the same work, by framework.",
		label: "ns for each request, the median: less is better",
	}
	for _, p := range slices.Concat([]peer{kamiPeer, {name: oursPlain}}, peers, []peer{floorPeer}) {
		of := bars{name: strings.ReplaceAll(p.name, "`", ""), colour: colours[p.name]}
		c.names = nil
		for i, row := range r.rows {
			if row.group == sameWork && !row.served {
				c.names = append(c.names, short.Replace(row.name))
				of.values = append(of.values, r.series.median(func(run []outcome) float64 { return run[i].line(p.name).median(0) }))
			}
		}
		c.bars = append(c.bars, of)
	}
	return c
}

// ratioChart has the ratio at each GOGC in each of the rows.
func (r *report) ratioChart() chart {
	c := chart{
		group: bare, file: "-ratios.svg", text: "Time of kami, with that of the fastest peer as 1.",
		label: "ratio to the fastest peer of the row: less is better", mark: 1,
		bars: []bars{{name: "GOGC=100", colour: colours[ours]}, {name: "GOGC=400", colour: colours[oursPlain]}},
	}
	for i, row := range r.rows {
		for _, l := range r.series.merge(i) {
			if kindOf(l.name) != kamis {
				continue
			}
			c.names = append(c.names, short.Replace(row.title())+map[string]string{oursPlain: " (ctx)"}[l.name])
			for g := range gogcs {
				c.bars[g].values = append(c.bars[g].values, l.ratio[g])
			}
		}
	}
	return c
}

// growthChart has the times of each contestant of the first series, by size.
func (r *report) growthChart() chart {
	c := chart{
		group: growing, file: "-growth.svg", text: "Time of a request, by number of routes.",
		label: "ns for each request, routes with one param: less is better",
	}
	if len(r.Growths) == 0 {
		return c
	}
	g := r.Growths[0]
	for _, l := range g.lines {
		c.names = append(c.names, l.name)
	}
	for i, n := range g.sizes {
		of := bars{name: thousands(n) + " routes", colour: fmt.Sprintf("hsl(210, 50%%, %d%%)", 80-15*i)}
		for _, l := range g.lines {
			ns := math.NaN()
			if i < len(l.at) {
				ns = l.at[i].ns()
			}
			of.values = append(of.values, ns)
		}
		c.bars = append(c.bars, of)
	}
	return c
}

// svg draws the chart. All lengths are in pixels.
func (c chart) svg() []byte {
	const left, top, wide, gap, legend = 170, 40, 560, 10, 160
	thick := max(5, 14/len(c.bars))
	tall := len(c.names)*(len(c.bars)*thick+gap) + gap
	most := 0.0
	for _, b := range c.bars {
		for _, v := range b.values {
			if v > most { // numbers only
				most = v
			}
		}
	}
	x := func(v float64) float64 { return left + v/most*wide }
	var b bytes.Buffer
	add := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	text := func(x float64, y int, anchor, text string) {
		add(`<text x="%.1f" y="%d" text-anchor="%s">%s</text>`, x, y, anchor, html.EscapeString(text))
	}
	line := func(v float64, colour string) {
		add(`<path d="M%.1f,%dv%d" stroke="%s"/>`, x(v), top, tall, colour)
	}
	add(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="Arial,Helvetica,sans-serif" font-size="11">`,
		left+wide+legend, top+tall+40)
	add(`<rect width="100%%" height="100%%" fill="white"/>`)
	text(left+wide/2, 20, "middle", c.text)
	text(left+wide/2, top+tall+32, "middle", c.label)
	step := math.Pow(10, math.Floor(math.Log10(most)))
	switch {
	case most < 2*step:
		step /= 5
	case most < 5*step:
		step /= 2
	}
	for v := 0.0; v <= most; v += step {
		line(v, "#dddddd")
		text(x(v), top+tall+14, "middle", number(v))
	}
	for i, of := range c.bars {
		for k, v := range of.values {
			if y := top + gap + k*(len(c.bars)*thick+gap) + i*thick; !math.IsNaN(v) {
				add(`<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`, left, y, x(v)-left, thick, of.colour)
			}
		}
		add(`<rect x="%d" y="%d" width="10" height="10" fill="%s"/>`, left+wide+20, top+16*i, of.colour)
		text(left+wide+36, top+16*i+9, "start", of.name)
	}
	for k, name := range c.names {
		text(left-8, top+gap+k*(len(c.bars)*thick+gap)+len(c.bars)*thick/2+4, "end", name)
	}
	line(c.mark, "black")
	add(`</svg>`)
	return b.Bytes()
}
