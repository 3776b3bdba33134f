package treemux

import "strings"

// Spans are the places of a match's params in its path, in the order of [Pattern.Names]. Lookups may reuse
// them, one after the other.
type Spans struct {
	n    int
	few  [8]Span
	more []Span // the ones for which few has no room
}

// Span is the place of a param's text in a path: path[Start:End].
type Span struct{ Start, End int32 }

// Len returns the number of spans.
func (s *Spans) Len() int { return s.n }

// At returns the span of the param with that index, which must be less than Len.
func (s *Spans) At(i int) Span {
	if i < len(s.few) {
		return s.few[i]
	}
	return s.more[i-len(s.few)]
}

// set sets the span of the param with that index.
func (s *Spans) set(i, start, end int) {
	if i < len(s.few) {
		s.few[i].Start, s.few[i].End = int32(start), int32(end)
	} else {
		s.more = append(s.more[:i-len(s.few)], Span{int32(start), int32(end)})
	}
}

// Options of a lookup. The zero Options have neither.
type Options[V any] struct {
	// Decode, if set, says that the path is an encoded one: it is split as it stands, then each segment is decoded before it
	// is compared.
	Decode func(string) string
	// Accept, if set, gets the values of all matching patterns, the best first, until it returns true.
	Accept func(V) bool
}

// Lookup finds the best pattern that matches the path. It returns the value, and whether there is one. Then spans has the places of its
// params. Nil options are the zero Options.
//
// Path must begin with "/". Nothing matches a path that is not clean, which has an empty segment or a dot segment, "." or "..".
// A slash at the end makes an empty segment, except for "/" itself. Lookup finds dot segments in plain text; with Decode the caller must
// look for encoded ones.
//
// Lookup does not allocate for patterns of up to eight params. It visits each node at most once, at a cost linear in the segment.
func (t Tree[V]) Lookup(path string, spans *Spans, o *Options[V]) (value V, ok bool) {
	return search(t.root, path, len("/"), 0, spans, o)
}

// search looks for the match at n or below it, with the segment that begins at start. Spans already has so many params.
//
// optimization: it goes on in its loop if there is only one way, finds the end of a segment and its hash in one loop over
// the bytes, and needs no hash to compare with an only child (BenchmarkLookup).
func search[V any](n *node[V], path string, start, params int, spans *Spans, o *Options[V]) (V, bool) {
	for n != nil && start < len(path) {
		end, static := start, (*node[V])(nil)
		switch {
		case o != nil && o.Decode != nil:
			end, static = n.next(path, start, o.Decode)
		case n.many != nil:
			hash := uint32(hashBegin)
			for ; end < len(path) && path[end] != '/'; end++ {
				hash = (hash ^ uint32(path[end])) * hashPrime
			}
			static = n.many.find(hash, path[start:end])
		default:
			if n.only != nil {
				name := n.only.name
				if strings.HasPrefix(path[start:], name) && endsSegment(path, start+len(name)) {
					end, static = start+len(name), n.only
					break
				}
			}
			end = segmentEnd(path, start)
		}
		switch {
		case n.param == nil && n.catchAll == nil:
			n = static
		case static == nil && n.catchAll == nil && start < end && path[start] != '.':
			spans.set(params, start, end)
			n, params = n.param, params+1
		case static == nil && n.param == nil: // optimization: a call less (bench, catch-all)
			return n.matchRest(path, start, end, params, spans, o)
		default:
			return n.branch(static, path, start, end, params, spans, o)
		}
		start = end + len("/")
	}
	ended := start > len(path) || path == "/" // if not, an empty segment is left
	if n == nil || !n.set || !ended || o != nil && o.Accept != nil && !o.Accept(n.value) {
		spans.n = 0
		var none V
		return none, false
	}
	spans.n = params
	return n.value, true
}

// branch goes on with search if there are several ways, with the segment from start to end.
func (n *node[V]) branch(
	static *node[V], path string, start, end, params int, spans *Spans, o *Options[V],
) (value V, ok bool) {
	if static != nil {
		value, ok = search(static, path, end+len("/"), params, spans, o)
	}
	if !ok && n.param != nil && start < end && !isDots(path[start:end]) {
		spans.set(params, start, end)
		value, ok = search(n.param, path, end+len("/"), params+1, spans, o)
	}
	if ok || n.catchAll == nil {
		return value, ok
	}
	return n.matchRest(path, start, end, params, spans, o)
}

// matchRest returns the value of n's catch-all if that matches the rest of the path, whose first segment is from start to end.
func (n *node[V]) matchRest(path string, start, end, params int, spans *Spans, o *Options[V]) (value V, ok bool) {
	c := n.catchAll // it has a value, because nothing may follow it
	if !isClean(path, start, end) || o != nil && o.Accept != nil && !o.Accept(c.value) {
		return value, false
	}
	spans.set(params, start, len(path))
	spans.n = params + 1
	return c.value, true
}

// isDots reports whether a segment is a dot segment.
func isDots(segment string) bool { return segment == "." || segment == ".." }

// isClean reports whether no segment is empty or a dot segment, from the one on that is from start to end.
func isClean(path string, start, end int) bool {
	for start < end && (path[start] != '.' || !isDots(path[start:end])) {
		if end == len(path) {
			return true
		}
		start = end + len("/")
		end = segmentEnd(path, start)
	}
	return false
}

// endsSegment reports whether a segment of the path can end there.
func endsSegment(path string, end int) bool { return end == len(path) || path[end] == '/' }

// next returns where the segment that begins at start ends, and n's static child that it names decoded, or nil.
func (n *node[V]) next(path string, start int, decode func(string) string) (end int, static *node[V]) {
	if end = segmentEnd(path, start); n.only == nil && n.many == nil {
		return end, nil
	}
	if end-start > len("%00")*n.longest() {
		return end, nil
	}
	return end, n.static(decode(path[start:end]))
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
