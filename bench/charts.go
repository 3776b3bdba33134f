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

// bars are those of one colour, one for each name that has a number.
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
func (r *report) draw(path string) {
	r.Charts = map[string]string{}
	base := strings.TrimSuffix(path, filepath.Ext(path))
	for _, c := range []chart{r.workChart(), r.ratioChart(), r.growthChart()} {
		if len(c.names) > 0 {
			check(os.WriteFile(base+c.file, c.svg(), 0o644))
			r.Charts[c.group] = fmt.Sprintf("\n![%s](%s)\n", c.text, filepath.Base(base)+c.file)
		}
	}
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
			if kindOf(l.name) == kamis {
				c.names = append(c.names, short.Replace(row.title())+map[string]string{oursPlain: " (ctx)"}[l.name])
				for g := range gogcs {
					c.bars[g].values = append(c.bars[g].values, l.ratio[g])
				}
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
	for _, g := range r.Growths[:min(1, len(r.Growths))] {
		for i, n := range g.sizes {
			colour := fmt.Sprintf("hsl(210, 50%%, %d%%)", 80-15*i)
			c.bars = append(c.bars, bars{thousands(n) + " routes", colour, make([]float64, len(g.lines))})
		}
		for k, l := range g.lines {
			c.names = append(c.names, l.name)
			for i, s := range l.at {
				c.bars[i].values[k] = s.ns()
			}
		}
	}
	return c
}

// svg draws the chart. All lengths are in pixels.
func (c chart) svg() []byte {
	const left, top, wide = 170, 40, 560
	thick := max(5, 14/len(c.bars))
	group := len(c.bars)*thick + 10 // one for each name
	tall, most := len(c.names)*group+10, 0.0
	for _, of := range c.bars {
		for _, v := range of.values {
			if v > most {
				most = v
			}
		}
	}
	var b bytes.Buffer
	x := func(v float64) float64 { return left + v/most*wide }
	text := func(x float64, y int, anchor, text string) {
		fmt.Fprintf(&b, "<text x='%.1f' y='%d' text-anchor='%s'>%s</text>\n", x, y, anchor, html.EscapeString(text))
	}
	box := func(x float64, y int, width float64, height int, colour string) {
		fmt.Fprintf(&b, "<rect x='%.1f' y='%d' width='%.1f' height='%d' fill='%s'/>\n", x, y, width, height, colour)
	}
	fmt.Fprintf(&b, "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' font-family='Arial,sans-serif' font-size='11'>\n",
		left+wide+160, top+tall+40)
	box(0, 0, left+wide+160, top+tall+40, "white")
	text(x(most/2), 20, "middle", c.text)
	text(x(most/2), top+tall+32, "middle", c.label)
	step := math.Pow(10, math.Floor(math.Log10(most)))
	switch {
	case most < 2*step:
		step /= 5
	case most < 5*step:
		step /= 2
	}
	for v := 0.0; v <= most; v += step {
		box(x(v), top, 1, tall, "#dddddd")
		text(x(v), top+tall+14, "middle", number(v))
	}
	for i, of := range c.bars {
		for k, v := range of.values {
			if v > 0 { // a number
				box(left, top+10+k*group+i*thick, x(v)-left, thick, of.colour)
			}
		}
		box(left+wide+20, top+16*i, 10, 10, of.colour)
		text(left+wide+36, top+16*i+9, "start", of.name)
	}
	for k, name := range c.names {
		text(left-8, top+k*group+group/2+9, "end", name)
	}
	box(x(c.mark), top, 1, tall, "black")
	b.WriteString("</svg>\n")
	return b.Bytes()
}
