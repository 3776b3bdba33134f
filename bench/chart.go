package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// colours has one for each contestant in the chart: kami's stand out.
var colours = map[string]string{
	ours: "#c01f2e", oursPlain: "#e88b92", serveMux: "#1f4e79", "chi": "#4f8fc0", "gin": "#9cc5e3", "echo": "#2e754f",
	"bunrouter": "#74b38d", "httprouter": "#b58a3c", "httptreemux": "#e0c486", theFloor: "#999999",
}

// chart draws the rows of the same work as SVG, with a bar for each contestant in each row. It returns nil if none of the rows
// was measured. All lengths are in pixels.
func (r *report) chart() []byte {
	const left, top, wide, thick = 185, 40, 560, 5
	var names []string
	var times [][]float64 // of each row, by contestant
	frames, most := slices.Concat([]peer{kamiPeer, {name: oursPlain}}, peers, []peer{floorPeer}), 0.0
	for i, row := range r.rows {
		if row.group != sameWork || row.served {
			continue
		}
		names, times = append(names, row.name), append(times, make([]float64, len(frames)))
		for k, p := range frames {
			ns := r.series.median(func(run []outcome) float64 { return run[i].line(p.name).median(0) })
			if !math.IsNaN(ns) { // otherwise it is not in this row, and has no bar
				times[len(times)-1][k], most = ns, max(most, ns)
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	var b bytes.Buffer
	group := len(frames)*thick + 10 // the height of a row
	tall := len(names)*group + 10
	x := func(ns float64) float64 { return left + ns/most*wide }
	text := func(x float64, y int, anchor, text string) {
		fmt.Fprintf(&b, "<text x='%.1f' y='%d' text-anchor='%s'>%s</text>\n", x, y, anchor, html.EscapeString(text))
	}
	box := func(x float64, y int, width float64, height int, colour string) {
		fmt.Fprintf(&b, "<rect x='%.1f' y='%d' width='%.1f' height='%d' fill='%s'/>\n", x, y, width, height, colour)
	}
	fmt.Fprintf(&b, "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' font-family='Arial,sans-serif' font-size='11'>\n",
		left+wide+160, top+tall+40)
	box(0, 0, left+wide+160, top+tall+40, "white")
	text(x(most/2), 20, "middle", "Time of the same work, by framework.")
	text(x(most/2), top+tall+32, "middle", "ns for each request, the median: less is better")
	step := math.Pow(10, math.Floor(math.Log10(most)))
	if most < 3*step {
		step /= 5
	}
	for ns := 0.0; ns <= most; ns += step {
		box(x(ns), top, 1, tall, "#dddddd")
		text(x(ns), top+tall+14, "middle", number(ns))
	}
	for k, p := range frames {
		box(left+wide+20, top+16*k, 10, 10, colours[p.name])
		text(left+wide+36, top+16*k+9, "start", strings.ReplaceAll(p.name, "`", ""))
	}
	for i, name := range names {
		y := top + 10 + i*group
		text(left-8, y+group/2-1, "end", name)
		for k, ns := range times[i] {
			box(left, y+k*thick, x(ns)-left, thick, colours[frames[k].name])
		}
	}
	box(left, top, 1, tall, "black")
	b.WriteString("</svg>\n")
	return b.Bytes()
}
