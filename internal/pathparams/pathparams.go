// Package pathparams keeps the params of a request's path in few bytes.
package pathparams

import (
	"math"
	"strings"

	"github.com/guregu/kami/internal/urlpath"
	"github.com/guregu/kami/treemux"
)

// Params has the places of a route's params in a path.
//
// optimization: with few bytes for each param the allocation of each request is in a smaller size class (BenchmarkServe/Params4).
type Params struct {
	Path    string    // as it is routed, without a slash at its end
	starts  [5]uint16 // where the first ones begin, and how long they are; 0 if there is no room for that
	lengths [5]uint8
	encoded bool // whether the path has escapes
}

// Set sets the params to the spans that were found in Path. In a path with escapes each param is found and decoded when it is asked for.
func (p *Params) Set(spans *treemux.Spans, encoded bool) {
	if encoded {
		p.encoded = true
		return
	}
	for i := range min(spans.Len(), len(p.starts)) {
		span := spans.At(i)
		if length := span.End - span.Start; span.End <= math.MaxUint16 && length <= math.MaxUint8 {
			p.starts[i], p.lengths[i] = uint16(span.Start), uint8(length)
		}
	}
}

// Value returns the value of the param with that index in the pattern, decoded.
func (p *Params) Value(i int, pattern string) string {
	if value := p.Known(i); value != "" {
		return value
	}
	return p.Search(i, pattern)
}

// Known is Value for a param whose place is known, and "" for others: no value is empty.
func (p *Params) Known(i int) (value string) {
	if i < len(p.starts) {
		start := int(p.starts[i])
		value = p.Path[start : start+int(p.lengths[i])]
	}
	return value
}

// Search is Value for a param whose place is not known.
func (p *Params) Search(i int, pattern string) string {
	text := p.Path
	for {
		text, pattern = text[1:], pattern[1:]
		if pattern[0] == '*' {
			break
		}
		end := urlpath.SegmentEnd(text)
		if pattern[0] == ':' {
			if i == 0 {
				text = text[:end]
				break
			}
			i--
		}
		text, pattern = text[end:], pattern[urlpath.SegmentEnd(pattern):]
	}
	return urlpath.Plain(text, p.encoded)
}

// Name is the name of a route's param.
type Name struct {
	mark uint16
	Text string
}

// markOf returns the last byte of a name and the low byte of its length.
//
// optimization: most names differ in these, so few are compared whole (BenchmarkServe/Params4).
func markOf(name string) uint16 {
	if name == "" {
		return 0
	}
	return uint16(len(name))<<8 | uint16(name[len(name)-1])
}

// Index returns which of the params has the name, or -1.
//
// optimization: the compiler would turn a single condition into a value first (BenchmarkServe/Params4).
func Index(names []Name, name string) int {
	mark := markOf(name)
	for i, own := range names {
		if own.mark != mark {
			continue
		}
		if own.Text == name {
			return i
		}
	}
	return -1
}

// Names has the names of the params of many patterns.
//
// optimization: equal ones are made once and share memory (kami's BenchmarkC27Register100000).
type Names struct{ known map[string][]Name }

// Of returns the names of the pattern's params, nil if it has none.
func (n *Names) Of(pattern treemux.Pattern) []Name {
	texts := pattern.Names()
	if len(texts) == 0 {
		return nil
	}
	joined := strings.Join(texts, "/")
	if known, ok := n.known[joined]; ok {
		return known
	}
	if n.known == nil {
		n.known = make(map[string][]Name)
	}
	names := make([]Name, len(texts))
	for i, text := range texts {
		names[i] = Name{markOf(text), text}
	}
	n.known[joined] = names
	return names
}
