package kami

import (
	"strings"

	"github.com/guregu/kami/internal/patterns"
	"github.com/guregu/kami/internal/urlpath"
	"github.com/guregu/kami/treemux"
)

// reading is one way in which a path can be read.
type reading struct {
	how string // "" for as it is routed
	treemux.Path
	listed *route // see decision
}

// read returns a reading of a path in which no encoded slash ends a segment.
func (d *decision) read(how, path string) reading {
	return reading{how, treemux.Path{Text: path, Plain: d.plain(path), Split: len(path)}, d.listed}
}

// plain returns a path decoded.
func (d *decision) plain(path string) string {
	if d.decode == nil {
		return path
	}
	return urlpath.Unescape(path)
}

// readings returns all readings of the path that anybody acts on, as far as scopes of that depth can tell them apart, the routed
// one first. Whoever acts on it may take the slashes that are encoded in a segment for text, as in the name "owner/repo", and
// those of what follows for slashes. A route has a clean path; all else may also act on the clean one, by segment or by decoding.
func (d *decision) readings(depth int) []reading {
	all := d.read("", d.path).split(nil, "decoded", depth)
	if d.clean == "" {
		return all
	}
	all = d.read("cleaned", d.clean).split(all, "cleaned and decoded", depth)
	if urlpath.HasEncodedSlash(d.path) {
		plain := urlpath.Cleaned(all[0].Plain, false)
		all = append(all, reading{"decoded and cleaned", treemux.Path{Text: plain, Plain: plain, Split: len(plain)}, d.listed})
	}
	return all
}

// split appends the reading, and those in which encoded slashes end segments from one segment on: at most the one after the depth,
// which can only be slashes.
func (r reading) split(all []reading, how string, depth int) []reading {
	all = append(all, r)
	if len(r.Text) == len(r.Plain) {
		return all
	}
	start := 0
	for segment := range strings.SplitSeq(r.Text, "/") {
		if depth < -1 {
			break
		}
		if urlpath.HasEncodedSlash(segment) {
			all = append(all, reading{how, treemux.Path{Text: r.Text, Plain: r.Plain, Split: start}, r.listed})
		}
		start += len(segment) + len("/")
		depth--
	}
	return all
}

// keepsOut reports whether the path is a route of its own that keeps out of the scope, which is one "/p/".
func (r *reading) keepsOut(scope treemux.Pattern) bool {
	if r.listed == nil || r.listed.slash || r.listed.either || strings.HasSuffix(r.Text, "/") {
		return false
	}
	return patterns.WithoutCatchAll(scope).Is(r.listed.path)
}

// values returns the texts at the spans.
func (r *reading) values(spans []treemux.Span) []string {
	values := make([]string, len(spans))
	for i, span := range spans {
		values[i] = r.Plain[span.Start:span.End]
	}
	return values
}

// has reports whether these are the texts at the spans.
func (r *reading) has(values []string, spans []treemux.Span) bool {
	for i, span := range spans {
		if values[i] != r.Plain[span.Start:span.End] {
			return false
		}
	}
	return true
}
