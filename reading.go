package kami

import (
	"slices"
	"strings"

	"github.com/guregu/kami/treemux"
)

// reading is one way in which a path can be read.
type reading struct {
	how    string // "" for as it is routed
	path   string
	decode func(string) string // makes the text of a segment of it, nil if it is that
	plain  string              // the decoded path
	own    *route              // whose list answers
}

// reading returns the path as it is routed.
func (d *decision) reading() reading { return reading{"", d.path, d.decode, d.plain(d.path), d.own} }

// plain returns a path decoded.
func (d *decision) plain(path string) string {
	if d.decode == nil {
		return path
	}
	return unescape(path)
}

// readings returns all readings of the path that anybody acts on, the routed one first. A route has a clean path. Its handler
// may act on the values of params with or without their encoded slashes, up to one of them without and from that on with. All
// else may also act on the clean path, by segment or by decoding.
func (d *decision) readings() []reading {
	routed, encoded := d.reading(), d.decode != nil
	all := []reading{routed}
	add := func(how, path, plain string) {
		if !slices.ContainsFunc(all, func(r reading) bool { return r.path == path }) {
			all = append(all, reading{how, path, d.decode, plain, d.own})
		}
	}
	if d.routed() {
		for i := range d.spans.Len() { // there are none to split but in an encoded path
			start := d.spans.At(i).Start
			add("decoded", d.path[:start]+decoded(d.path[start:], encoded), routed.plain)
		}
		return all
	}
	if d.clean != "" {
		add("cleaned", d.clean, d.plain(d.clean))
	}
	if split := decoded(d.path, encoded); split != d.path {
		add("decoded", split, routed.plain)
		if d.clean != "" {
			both := cleaned(split, encoded)
			add("decoded and cleaned", both, d.plain(both))
			add("cleaned and decoded", decoded(d.clean, encoded), d.plain(d.clean))
		}
	}
	return all
}

// keepsOut reports whether the path is a route of its own that keeps out of the scope, which is one "/p/".
func (r *reading) keepsOut(scope treemux.Pattern) bool {
	if r.own == nil || !r.own.bare || strings.HasSuffix(r.path, "/") {
		return false
	}
	if scope.CatchAll() {
		scope.Segments = scope.Segments[:len(scope.Segments)-1]
	}
	return scope.Is(r.own.path)
}

// values returns the texts at the spans, decoded.
func (r *reading) values(spans []treemux.Span) []string {
	values := make([]string, len(spans))
	for i, span := range spans {
		values[i] = r.plain[r.decodedAt(span.Start):r.decodedAt(span.End)]
	}
	return values
}

// decodedAt returns where a place in the path is in the decoded one.
func (r *reading) decodedAt(place int32) int {
	if r.decode == nil {
		return int(place)
	}
	return int(place) - (len("%00")-len("/"))*strings.Count(r.path[:place], "%")
}
