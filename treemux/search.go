package treemux

import "strings"

// Lookup finds the best pattern that matches the path and whose value accept takes (nil takes any), and returns its
// value and the spans of its params.
//
// It offers accept the values of all matching patterns, the best first, until one is taken. A param does not match an
// empty segment, a catch-all not an empty rest, and nothing but "/" a path that ends with a slash, a catch-all apart.
// Path must begin with "/".
//
// With decode the path is an encoded one: it is split as it stands, then each segment is decoded before it is compared.
// Spans are appended to spans[:0]: given enough room for the params of any pattern, Lookup does not allocate.
// Each node is visited once at most, at a cost linear in its segment.
func (t Tree[V]) Lookup(path string, decode func(string) string, accept func(V) bool, spans []Span) (V, []Span, bool) {
	s := search[V]{path: path, decode: decode, spans: spans[:0]}
	var found *node[V]
	switch {
	case t.root == nil:
	case path == "/":
		found = take(t.root, accept)
	default:
		found = s.below(t.root, len("/"), accept)
	}
	if found == nil {
		var none V
		return none, spans[:0], false
	}
	return found.value, s.spans, true
}

// search is one lookup under way.
//
// optimization: accept is passed along beside it, for in a struct with what decode is called on it would escape
// (BenchmarkLookup).
type search[V any] struct {
	path   string
	decode func(string) string
	spans  []Span // of the params on the way to the node at hand
}

// below looks for the match among what is below n, with the segment that begins at start.
func (s *search[V]) below(n *node[V], start int, accept func(V) bool) *node[V] {
	end := segmentEnd(s.path, start)
	if start < end {
		if child := n.static.find(segmentText(s.path[start:end], s.decode)); child != nil {
			if found := s.at(child, end, accept); found != nil {
				return found
			}
		}
		if n.param != nil {
			s.spans = append(s.spans, Span{int32(start), int32(end)})
			if found := s.at(n.param, end, accept); found != nil {
				return found
			}
			s.spans = s.spans[:len(s.spans)-1]
		}
	}
	if n.catchAll != nil && start < len(s.path) {
		s.spans = append(s.spans, Span{int32(start), int32(len(s.path))})
		if found := take(n.catchAll, accept); found != nil {
			return found
		}
		s.spans = s.spans[:len(s.spans)-1]
	}
	return nil
}

// at goes on at n, whose segment ends at end.
func (s *search[V]) at(n *node[V], end int, accept func(V) bool) *node[V] {
	if end == len(s.path) {
		return take(n, accept)
	}
	return s.below(n, end+len("/"), accept)
}

// take returns n if its value is the one looked for, else nil.
func take[V any](n *node[V], accept func(V) bool) *node[V] {
	if n.set && (accept == nil || accept(n.value)) {
		return n
	}
	return nil
}

// Visit calls visit for each pattern that matches the path or the path up to one of its slashes, from the least
// specific to the most specific (see [Compare]): the patterns of the scopes that the path lies in.
//
// Rest is what the pattern leaves of the path: "" if it ends there, else it begins with a slash. A catch-all is visited
// with any rest, even none, and leaves what the pattern would without it. Decode and spans are as for [Tree.Lookup];
// the spans are valid during the call.
func (t Tree[V]) Visit(path string, decode func(string) string, spans []Span, visit func(value V, rest string, spans []Span)) {
	if t.root != nil {
		w := walk[V]{path: path, decode: decode, spans: spans[:0]}
		w.at(t.root, 0, visit)
	}
}

// walk is one visit under way.
type walk[V any] struct {
	path   string
	decode func(string) string
	spans  []Span
}

// at visits n, whose segment ends at end, and what is below it.
func (w *walk[V]) at(n *node[V], end int, visit func(value V, rest string, spans []Span)) {
	if n.set {
		visit(n.value, w.path[end:], w.spans)
	}
	start := min(end+len("/"), len(w.path))
	if c := n.catchAll; c != nil {
		visit(c.value, w.path[end:], append(w.spans, Span{int32(start), int32(len(w.path))}))
	}
	end = segmentEnd(w.path, start)
	if start == end {
		return
	}
	if n.param != nil {
		w.spans = append(w.spans, Span{int32(start), int32(end)})
		w.at(n.param, end, visit)
		w.spans = w.spans[:len(w.spans)-1]
	}
	if child := n.static.find(segmentText(w.path[start:end], w.decode)); child != nil {
		w.at(child, end, visit)
	}
}

// segmentEnd returns where the segment that begins at start ends.
func segmentEnd(path string, start int) int {
	if n := strings.IndexByte(path[start:], '/'); n >= 0 {
		return start + n
	}
	return len(path)
}

func segmentText(segment string, decode func(string) string) string {
	if decode == nil {
		return segment
	}
	return decode(segment)
}
