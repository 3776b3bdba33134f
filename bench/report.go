package main

import (
	"cmp"
	_ "embed"
	"fmt"
	"io"
	"math"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"text/template"

	"github.com/klauspost/cpuid/v2"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// report has everything that was measured. Parts that were left out are empty. The text of the page is in page.tmpl.
type report struct {
	Machine []string // see machine; before anything was written
	rows    []*row
	series  series // of the rows
	pace    pace
	Chart   string // the file
	Trips   []trip
	Growths []growth
}

// The parts of the page without rows.
const (
	endToEnd = "End to end"
	growing  = "Growth"
)

//go:embed page.tmpl
var page string

// write writes the report in Markdown.
func (r *report) write(w io.Writer) {
	functions := template.FuncMap{"bold": bold, "cells": cells, "join": strings.Join, "number": number}
	check(template.Must(template.New("page").Funcs(functions).Parse(page)).Execute(w, r))
}

// Set has the settings that the page mentions.
func (r *report) Set() map[string]any {
	return map[string]any{
		"connections": connections, "asks": asks, "registrations": registrations, "patience": patience,
		"runs": len(r.series), "slices": r.pace.slices, "slice": r.pace.slice,
	}
}

// machine describes the machine and the versions in lines of Markdown. The revision is unknown without git.
func machine() []string {
	revision, err := exec.Command("git", "describe", "--always", "--dirty=, with changes").Output()
	if err != nil {
		revision = []byte("an unknown revision")
	}
	var named []string
	info, _ := debug.ReadBuildInfo()
	for _, p := range peers {
		for _, m := range info.Deps {
			if strings.Contains(m.Path+"/", "/"+p.name+"/") {
				named = append(named, p.name+" "+m.Version)
			}
		}
	}
	return []string{
		fmt.Sprintf("%s, %d cores, %s/%s, %s, GOGC=%d and %d.", cmp.Or(cpuid.CPU.BrandName, "unknown CPU"),
			runtime.GOMAXPROCS(0), runtime.GOOS, runtime.GOARCH, runtime.Version(), gogcs[0], gogcs[1]),
		fmt.Sprintf("kami at %s; ServeMux is net/http's.", strings.TrimSpace(string(revision))),
		"Peers: " + strings.Join(named, ", ") + ".",
	}
}

// group is a part of the page with tables of rows.
type group struct {
	Name string
	Rows []table
}

// table is a row's table, or a table by sizes.
type table struct {
	Title, About string
	Head         []string
	Lines        [][]string
	Faster       []string // the peers that are faster than kami
}

// Groups are the tables of the rows, by group.
func (r *report) Groups() (all []group) {
	for i, row := range r.rows {
		if len(all) == 0 || all[len(all)-1].Name != row.group {
			all = append(all, group{Name: row.group})
		}
		lines := r.series.merge(i)
		t := table{Title: row.title(), About: row.about, Faster: fasterPeers(lines)}
		for _, l := range lines {
			var at [2][]string
			for g := range gogcs {
				at[g] = []string{number(l.least[g]), decimals(l.ofLeast[g]), number(l.median[g]), decimals(l.ratio[g])}
			}
			t.Lines = append(t.Lines,
				slices.Concat([]string{bold(l.name)}, at[0], []string{number(l.allocs), number(l.bytes)}, at[1]))
		}
		g := &all[len(all)-1]
		g.Rows = append(g.Rows, t)
	}
	return all
}

// Results says for each group in how many rows kami is ahead of all peers, and which peers are faster in the others.
func (r *report) Results() (all []string) {
	groups := r.Groups()
	slices.SortStableFunc(groups, func(a, b group) int { // the same work comes first
		return strings.Compare(strings.TrimPrefix(b.Name, rawTree), strings.TrimPrefix(a.Name, rawTree))
	})
	for _, g := range groups {
		var behind []string
		for _, t := range g.Rows {
			if len(t.Faster) > 0 {
				behind = append(behind, fmt.Sprintf("%s (%s)", strings.TrimPrefix(t.Title, g.Name+": "), strings.Join(t.Faster, ", ")))
			}
		}
		text := fmt.Sprintf("**%s**: kami is ahead of every peer in %d of %d rows", g.Name, len(g.Rows)-len(behind), len(g.Rows))
		if len(behind) > 0 {
			text += "; faster are peers in " + strings.Join(behind, ", ")
		}
		all = append(all, text+".")
	}
	return all
}

// fasterPeers names the peers that are faster than kami at either GOGC, by either measure.
func fasterPeers(lines []merged) (faster []string) {
	k := lines[slices.IndexFunc(lines, func(l merged) bool { return l.name == ours })]
	for _, l := range lines {
		if kindOf(l.name) == others && (l.ratio[0] < k.ratio[0] || l.ratio[1] < k.ratio[1] ||
			l.ofLeast[0] < k.ofLeast[0] || l.ofLeast[1] < k.ofLeast[1]) {
			faster = append(faster, l.name)
		}
	}
	return faster
}

// Targets are the lines of the table of targets.
func (r *report) Targets() (lines [][]string) {
	for i, row := range r.rows {
		for _, v := range r.series.verdicts(i, row) {
			var at [2][]string
			for g := range gogcs {
				held := fmt.Sprintf("%d of %d", v.held[g], len(r.series))
				at[g] = []string{number(v.target.limit(g)), number(v.value[g]), number(v.hand[g]), held}
			}
			if v.target.of == allocations { // they do not depend on GOGC
				at[1] = make([]string, 4)
			}
			lines = append(lines, slices.Concat([]string{v.row, v.target.text()}, at[0], []string{decimals(v.ofLeast)}, at[1]))
		}
	}
	add := func(row, of string, limit float64, values []float64, holds func(float64) bool) {
		held := fmt.Sprintf("%d of %d", len(values)-len(slices.DeleteFunc(slices.Clone(values), holds)), len(values))
		lines = append(lines, []string{row, of, number(limit), number(median(values)), "", held, "", "", "", "", ""})
	}
	for _, t := range r.Trips {
		if t.Name == ours {
			add(endToEnd, "kami : net/http in requests a second, at least", 0.98, []float64{cents(t.Ratio)},
				func(ratio float64) bool { return ratio >= 0.98 })
		}
	}
	for _, g := range r.Growths {
		atMost := func(of string, limit float64, value func(kami []sized) float64) {
			var values []float64
			for _, kami := range g.kami {
				values = append(values, value(kami))
			}
			add(growing+": "+g.name, of, limit, values, func(value float64) bool { return value <= limit })
		}
		first, last := 0, len(g.sizes)-1
		if g.routes {
			first = 1
		}
		atMost(fmt.Sprintf("time at %s : at %s", thousands(g.sizes[last]), thousands(g.sizes[first])), 2,
			func(kami []sized) float64 { return cents(ratioInTurn(kami[last].slices, kami[first].slices)) })
		if g.routes {
			atMost("bytes a route", 300, func(kami []sized) float64 { return math.Round(kami[last].bytes) })
			atMost("ms to register "+thousands(g.sizes[last]), 300, func(kami []sized) float64 { return math.Round(kami[last].ms) })
		}
	}
	return lines
}

// Tables are the tables of a series, by contestant and size.
func (g growth) Tables() []table {
	of := func(what string, floors bool, text func(sized) float64) table {
		t := table{Title: g.name + ": " + what, Head: []string{""}}
		for _, n := range g.sizes {
			t.Head = append(t.Head, thousands(n))
		}
		for _, l := range g.lines {
			if l.name == theFloor && !floors {
				continue
			}
			cells := make([]string, 1+len(g.sizes)) // empty for sizes that were left out
			cells[0] = bold(l.name)
			for i, s := range l.at {
				cells[1+i] = number(text(s))
			}
			t.Lines = append(t.Lines, cells)
		}
		return t
	}
	return []table{
		of("least ns", true, func(s sized) float64 { return least(s.slices) }),
		of("bytes for each", false, func(s sized) float64 { return s.bytes }),
		of("ms to register all", false, func(s sized) float64 { return s.ms }),
	}
}

// cells formats a line of a table.
func cells(cells []string) string { return "| " + strings.Join(cells, " | ") + " |\n" }

func bold(name string) string {
	mark := string(kindOf(name))
	return mark + name + mark
}

// number formats a number with as many digits as mean something. It returns "" for NaN.
func number(x float64) string {
	switch {
	case math.IsNaN(x):
		return ""
	case x > -10 && x < 10:
		return fmt.Sprint(cents(x))
	}
	return fmt.Sprintf("%.0f", x)
}

// decimals formats a ratio. It returns "" for NaN.
func decimals(x float64) string {
	if math.IsNaN(x) {
		return ""
	}
	return fmt.Sprintf("%.2f", x)
}

// thousands formats a number with commas.
func thousands(n int) string { return message.NewPrinter(language.English).Sprint(n) }
