package treemux

import "strings"

// Starts are where the params of a match begin in its path, in the order of [Pattern.Names]. A param goes on to the next
// slash, a catch-all to the end. Any number of lookups may use the same ones, one after the other.
type Starts struct {
	n    int
	few  [8]int32
	more []int32 // what few has no room for
}

// Len returns how many there are.
func (s *Starts) Len() int { return s.n }

// At returns where the param with that index begins.
func (s *Starts) At(i int) int {
	if i < len(s.few) {
		return int(s.few[i])
	}
	return int(s.more[i-len(s.few)])
}

// push adds a param after the first n.
func (s *Starts) push(n, start int) {
	if n < len(s.few) {
		s.few[n] = int32(start)
	} else {
		s.more = append(s.more[:n-len(s.few)], int32(start))
	}
	s.n = n + 1
}

// Lookup finds the best pattern that matches the path and whose value accept takes (nil takes any). It returns the value,
// and whether there is one; starts then tell where its params are.
//
// It offers accept the values of all matching patterns, the best first, until one is taken. A param does not match an
// empty segment, a catch-all not an empty rest, and nothing but "/" a path that ends with a slash, a catch-all apart.
// Path must begin with "/".
//
// With decode the path is an encoded one: it is split as it stands, then each segment is decoded before it is compared.
// Lookup does not allocate, for patterns of up to eight params. Each node is visited once at most, at a cost linear in its
// segment.
func (t Tree[V]) Lookup(path string, decode func(string) string, accept func(V) bool, starts *Starts) (value V, ok bool) {
	var found *node[V]
	starts.n = 0
	switch {
	case t.root == nil:
	case path == "/":
		found = take(t.root, accept)
	default:
		found = below(t.root, path, len("/"), decode, accept, starts)
	}
	if found == nil {
		starts.n = 0
		return value, false
	}
	return found.value, true
}

// below looks for the match among what is below n, with the segment that begins at start.
//
// optimization: it goes on in the same loop where there is nothing else to try, and calls itself where there is
// (BenchmarkLookup).
func below[V any](n *node[V], path string, start int, decode func(string) string, accept func(V) bool, starts *Starts) *node[V] {
	params := starts.n
	for {
		if start == len(path) {
			return nil
		}
		end, child := n.next(path, start, decode)
		if child != nil {
			if n.param == nil && n.catchAll == nil {
				if end == len(path) {
					return take(child, accept)
				}
				n, start = child, end+len("/")
				continue
			}
			if found := at(child, path, end, decode, accept, starts); found != nil {
				return found
			}
		}
		if n.param != nil && start < end {
			starts.push(params, start)
			if n.catchAll == nil {
				if end == len(path) {
					return take(n.param, accept)
				}
				n, start, params = n.param, end+len("/"), params+1
				continue
			}
			if found := at(n.param, path, end, decode, accept, starts); found != nil {
				return found
			}
		}
		if n.catchAll == nil {
			return nil
		}
		starts.push(params, start)
		return take(n.catchAll, accept)
	}
}

// at goes on at n, whose segment ends at end.
func at[V any](n *node[V], path string, end int, decode func(string) string, accept func(V) bool, starts *Starts) *node[V] {
	if end == len(path) {
		return take(n, accept)
	}
	return below(n, path, end+len("/"), decode, accept, starts)
}

// take returns n if its value is the one looked for, else nil.
func take[V any](n *node[V], accept func(V) bool) *node[V] {
	if n.set && (accept == nil || accept(n.value)) {
		return n
	}
	return nil
}

// next returns where the segment that begins at start ends, and n's static child that it names, or nil.
//
// optimization: one loop over the bytes finds the end and the hash, and none is needed to compare with an only child
// (BenchmarkLookup).
func (n *node[V]) next(path string, start int, decode func(string) string) (end int, child *node[V]) {
	switch {
	case decode != nil:
		if end = segmentEnd(path, start); n.many != nil || n.only != nil {
			child = n.static(decode(path[start:end]))
		}
		return end, child
	case n.many != nil:
		hash := uint32(hashBegin)
		for end = start; end < len(path) && path[end] != '/'; end++ {
			hash = (hash ^ uint32(path[end])) * hashPrime
		}
		return end, n.many.find(hash, path[start:end])
	case n.only != nil:
		name := n.only.name
		if rest := path[start:]; strings.HasPrefix(rest, name) && (len(rest) == len(name) || rest[len(name)] == '/') {
			return start + len(name), n.only
		}
	}
	return segmentEnd(path, start), nil
}

// Deepest returns the value of the longest pattern that matches the path or the path up to one of its slashes, and what it
// leaves of the path: "" if it ends there, else the rest begins with a slash. Only static segments are looked at. Decode is
// as for [Tree.Lookup].
func (t Tree[V]) Deepest(path string, decode func(string) string) (value V, rest string, ok bool) {
	var deepest *node[V]
	end := 0
	for n, to := t.root, 0; n != nil; {
		if n.set {
			deepest, end = n, to
		}
		start := min(to+len("/"), len(path))
		to, n = n.next(path, start, decode)
	}
	if deepest == nil {
		return value, "", false
	}
	return deepest.value, path[end:], true
}

// Span is the place of a param's text in a path: path[Start:End].
type Span struct{ Start, End int32 }

// Visit calls visit for each pattern that matches the path or the path up to one of its slashes, from the least
// specific to the most specific (see [Compare]): the patterns of the scopes that the path lies in.
//
// Spans are the places of the params. Rest is what the pattern leaves of the path, as for [Tree.Deepest]. A catch-all is visited with any rest, even none, and
// leaves what the pattern would without it. Decode is as for [Tree.Lookup]; the spans are valid during the call.
func (t Tree[V]) Visit(path string, decode func(string) string, visit func(value V, rest string, spans []Span)) {
	if t.root != nil {
		w := walk[V]{path: path, decode: decode}
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
	end, child := n.next(w.path, start, w.decode)
	if start == end {
		return
	}
	if n.param != nil {
		w.spans = append(w.spans, Span{int32(start), int32(end)})
		w.at(n.param, end, visit)
		w.spans = w.spans[:len(w.spans)-1]
	}
	if child != nil {
		w.at(child, end, visit)
	}
}

// segmentEnd returns where the segment that begins at start ends.
//
// optimization: segments are short, and strings.IndexByte is for long texts (BenchmarkLookup).
func segmentEnd(path string, start int) int {
	for ; start < len(path); start++ {
		if path[start] == '/' {
			break
		}
	}
	return start
}
