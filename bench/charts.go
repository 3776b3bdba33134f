package main

import (
	"bytes"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

func init() { plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"} }

// palette has a colour for each contestant: kami's stand out.
var palette = map[string]color.Color{
	ours:          color.RGBA{R: 0xc0, G: 0x1f, B: 0x2e, A: 0xff},
	oursPlain:     color.RGBA{R: 0xe8, G: 0x8b, B: 0x92, A: 0xff},
	serveMux:      color.RGBA{R: 0x1f, G: 0x4e, B: 0x79, A: 0xff},
	"chi":         color.RGBA{R: 0x4f, G: 0x8f, B: 0xc0, A: 0xff},
	"gin":         color.RGBA{R: 0x9c, G: 0xc5, B: 0xe3, A: 0xff},
	"echo":        color.RGBA{R: 0x2e, G: 0x75, B: 0x4f, A: 0xff},
	"bunrouter":   color.RGBA{R: 0x74, G: 0xb3, B: 0x8d, A: 0xff},
	"httprouter":  color.RGBA{R: 0xb5, G: 0x8a, B: 0x3c, A: 0xff},
	"httptreemux": color.RGBA{R: 0xe0, G: 0xc4, B: 0x86, A: 0xff},
	theFloor:      color.RGBA{R: 0x99, G: 0x99, B: 0x99, A: 0xff},
}

// draw draws the charts beside the page, and notes them in the report. Page is the name of its file.
func (r *report) draw(path string) error {
	base := strings.TrimSuffix(path, filepath.Ext(path))
	for _, c := range []struct {
		chart
		draw func() (*plot.Plot, vg.Length, error)
	}{
		{chart{sameWork, "-work.svg", "Time of the same work, by framework."}, r.workChart},
		{chart{bare, "-ratios.svg", "Time of kami, with that of the fastest peer as 1."}, r.ratioChart},
		{chart{growing, "-growth.svg", "Time of a request, by number of routes."}, r.growthChart},
	} {
		p, height, err := c.draw()
		if err != nil {
			return err
		}
		if p == nil {
			continue
		}
		p.Title.Text = c.text
		p.Title.Padding = vg.Points(8)
		if err := save(p, height, base+c.file); err != nil {
			return err
		}
		c.file = filepath.Base(base) + c.file
		r.charts = append(r.charts, c.chart)
	}
	return nil
}

// save writes a chart. It names fonts of the same widths for those who do not have the first one.
func save(p *plot.Plot, height vg.Length, file string) error {
	drawn, err := p.WriterTo(24*vg.Centimeter, height, "svg")
	if err != nil {
		return err
	}
	var svg bytes.Buffer
	if _, err := drawn.WriteTo(&svg); err != nil {
		return err
	}
	text := bytes.ReplaceAll(svg.Bytes(), []byte("font-family:Liberation Sans;"),
		[]byte("font-family:Liberation Sans,Arimo,Arial,Helvetica,sans-serif;"))
	return os.WriteFile(file, text, 0o644)
}

// short makes the names of rows fit.
var short = strings.NewReplacer(" context middlewares", " values", " middlewares", "")

// ratioChart has a pair of bars for each row: the ratio at each GOGC.
func (r *report) ratioChart() (*plot.Plot, vg.Length, error) {
	var names []string
	var ratios [2]plotter.Values
	for i, row := range slices.Backward(r.rows) {
		for _, l := range r.series.merge(i) {
			if l.kind != kamis {
				continue
			}
			name := strings.ToLower(strings.TrimPrefix(row.group, "Same ")) + ": " + short.Replace(row.name)
			if l.name == oursPlain {
				name += " (ctx)"
			}
			names = append(names, name)
			for g := range gogcs {
				ratios[g] = append(ratios[g], l.ratio[g])
			}
		}
	}
	if len(names) == 0 {
		return nil, 0, nil
	}
	p := plot.New()
	p.X.Min = 0
	p.X.Label.Text = "ratio to the fastest peer of the row: less is better"
	one, err := plotter.NewLine(plotter.XYs{{X: 1, Y: -0.5}, {X: 1, Y: float64(len(names)) - 0.5}})
	if err != nil {
		return nil, 0, err
	}
	for g, shade := range []color.Color{palette[ours], palette[oursPlain]} {
		bars, err := plotter.NewBarChart(ratios[g], vg.Points(5))
		if err != nil {
			return nil, 0, err
		}
		bars.Horizontal, bars.Color, bars.LineStyle.Width = true, shade, 0
		bars.Offset = vg.Points(2.5 - 5*float64(g))
		p.Add(bars)
		p.Legend.Add([]string{"GOGC=100", "GOGC=400"}[g], bars)
	}
	p.Add(one)
	p.X.Max *= 1.05 // room for the last number
	p.NominalY(names...)
	p.Y.Padding = vg.Points(20) // some fonts are wider
	return p, vg.Points(90 + 15*float64(len(names))), nil
}

// workChart has a group of bars for each of the rows of the same work.
func (r *report) workChart() (*plot.Plot, vg.Length, error) {
	var names []string
	times := map[string]plotter.Values{}
	for i, row := range r.rows {
		if row.group != sameWork || row.served {
			continue
		}
		for _, l := range r.series.merge(i) {
			of := times[l.name]
			for len(of) < len(names) { // it takes no part in all of them
				of = append(of, 0)
			}
			times[l.name] = append(of, l.median[0])
		}
		names = append(names, short.Replace(row.name))
	}
	if len(names) == 0 {
		return nil, 0, nil
	}
	p := plot.New()
	p.Y.Min = 0
	p.Y.Label.Text = "ns for each request, the median: less is better"
	const width = 6
	shown := append(append([]peer{kamiPeer, {name: oursPlain}}, peers...), peer{name: theFloor})
	for i, c := range shown {
		of := times[c.name]
		if len(of) == 0 {
			continue
		}
		bars, err := plotter.NewBarChart(of, vg.Points(width))
		if err != nil {
			return nil, 0, err
		}
		bars.Color, bars.LineStyle.Width = palette[c.name], 0
		bars.Offset = vg.Points(width * (float64(i) - float64(len(shown)-1)/2))
		p.Add(bars)
		p.Legend.Add(strings.ReplaceAll(c.name, "`", ""), bars)
	}
	p.Legend.Top, p.Legend.Left = true, true
	p.NominalX(names...)
	p.X.Tick.Label.Font.Size = vg.Points(8)
	return p, 12 * vg.Centimeter, nil
}

// growthChart has a line for each contestant of the first series.
func (r *report) growthChart() (*plot.Plot, vg.Length, error) {
	if len(r.growths) == 0 {
		return nil, 0, nil
	}
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = "routes with one param", "ns for each request: less is better"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.Y.Min = 0
	sizes := r.growths[0].sizes
	for _, l := range sizes[0].lines {
		var points plotter.XYs
		for _, s := range sizes {
			if at, ok := s.line(l.name); ok {
				points = append(points, plotter.XY{X: float64(s.n), Y: at.ns()})
			}
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return nil, 0, err
		}
		line.Color, line.Width = palette[l.name], vg.Points(2)
		if l.name == theFloor {
			line.Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
		}
		p.Add(line)
		p.Legend.Add(l.name, line)
	}
	p.Legend.Top, p.Legend.Left = true, true
	p.X.Max *= 1.5 // room for the last number
	return p, 12 * vg.Centimeter, nil
}
