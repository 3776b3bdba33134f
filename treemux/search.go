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
// Spans are appended to spans[:0]: given room for them Lookup does not allocate, for patterns of up to six params.
// Each node is visited once at most, at a cost linear in its segment.
func (t Tree[V]) Lookup(path string, decode func(string) string, accept func(V) bool, spans []Span) (V, []Span, bool) {
	s := search[V]{path: path, decode: decode}
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
	spans = append(spans[:0], s.few[:min(s.count, len(s.few))]...)
	return found.value, append(spans, s.more[:max(s.count-len(s.few), 0)]...), true
}

// search is one lookup under way.
//
// optimization: accept is passed along beside it, for in a struct with what decode is called on it would escape
// (BenchmarkLookup). The spans are its own until it ends, for the caller's, too, would escape (BenchmarkServe/Param in
// package kami).
type search[V any] struct {
	path   string
	decode func(string) string

	// The spans of the params on the way to the node at hand: few of them, and those that few has no room for.
	count int
	few   [6]Span
	more  []Span
}

// push adds the span of a param on the way, and pop takes it away again.
func (s *search[V]) push(start, end int) {
	if s.count < len(s.few) {
		s.few[s.count] = Span{int32(start), int32(end)}
	} else {
		s.more = append(s.more[:s.count-len(s.few)], Span{int32(start), int32(end)})
	}
	s.count++
}

func (s *search[V]) pop() { s.count-- }

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
			s.push(start, end)
			if found := s.at(n.param, end, accept); found != nil {
				return found
			}
			s.pop()
		}
	}
	if n.catchAll != nil && start < len(s.path) {
		s.push(start, len(s.path))
		if found := take(n.catchAll, accept); found != nil {
			return found
		}
		s.pop()
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
