package scopes

import (
	"strings"

	"github.com/guregu/kami/internal/patterns"
	"github.com/guregu/kami/internal/urlpath"
	"github.com/guregu/kami/treemux"
)

// Reading is one way in which a path can be read.
type Reading struct {
	How string // "" for as it is routed
	treemux.Path
	Own string // the pattern of the path's route, if scopes "/p/" leave that route "/p" out
}

// Readings returns all readings of a path that any code acts on, as far as scopes of that depth can tell them apart, the routed one first.
// Code that acts on the path may take the encoded slashes in a segment for text, as in the name "owner/repo", and the encoded slashes after it
// for slashes. A route has a clean path, so clean is "" then; all other code may also act on the clean path, by segment or by decoding.
// Encoded means that the paths have escapes. Own is as in Reading.
func Readings(path, clean, own string, encoded bool, depth int) []Reading {
	as := func(how, path string) Reading {
		return Reading{how, treemux.Path{Text: path, Plain: urlpath.Plain(path, encoded), Split: len(path)}, own}
	}
	all := as("", path).split(nil, "decoded", depth)
	if clean == "" {
		return all
	}
	all = as("cleaned", clean).split(all, "cleaned and decoded", depth)
	if urlpath.HasEncodedSlash(path) {
		plain := urlpath.Cleaned(all[0].Plain, false)
		all = append(all, Reading{"decoded and cleaned", treemux.Path{Text: plain, Plain: plain, Split: len(plain)}, own})
	}
	return all
}

// split appends the reading, and those in which encoded slashes end segments from one segment on: at most the one after the depth,
// which can only be slashes.
func (r Reading) split(all []Reading, how string, depth int) []Reading {
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
			all = append(all, Reading{how, treemux.Path{Text: r.Text, Plain: r.Plain, Split: start}, r.Own})
		}
		start += len(segment) + len("/")
		depth--
	}
	return all
}

// Shown returns the path as it is routed, or else decoded, in which some readings differ from that.
func (r *Reading) Shown() string {
	if r.How == "" {
		return r.Text
	}
	return r.Plain
}

// keepsOut reports whether the path is a route of its own that keeps out of the scope, which is one "/p/".
func (r *Reading) keepsOut(scope treemux.Pattern) bool {
	return r.Own != "" && !strings.HasSuffix(r.Text, "/") && patterns.WithoutCatchAll(scope).Is(r.Own)
}

// values returns the texts at the spans.
func (r *Reading) values(spans []treemux.Span) []string {
	values := make([]string, len(spans))
	for i, span := range spans {
		values[i] = r.Plain[span.Start:span.End]
	}
	return values
}

// has reports whether these are the texts at the spans.
func (r *Reading) has(values []string, spans []treemux.Span) bool {
	for i, span := range spans {
		if values[i] != r.Plain[span.Start:span.End] {
			return false
		}
	}
	return true
}
