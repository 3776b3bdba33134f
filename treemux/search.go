package treemux

import "strings"

// Spans are the places of a match's params in its path, in the order of [Pattern.Names]. Any number of lookups may use the
// same ones, one after the other.
type Spans struct {
	n    int
	few  [8]Span
	more []Span // what few has no room for
}

// Span is the place of a param's text in a path: path[Start:End].
type Span struct{ Start, End int32 }

// Len returns how many there are.
func (s *Spans) Len() int { return s.n }

// At returns the span of the param with that index, which must be less than Len.
func (s *Spans) At(i int) Span {
	if i < len(s.few) {
		return s.few[i]
	}
	return s.more[i-len(s.few)]
}

// put makes a param the one with that index.
func (s *Spans) put(i, start, end int) {
	if i < len(s.few) {
		s.few[i].Start, s.few[i].End = int32(start), int32(end)
	} else {
		s.more = append(s.more[:i-len(s.few)], Span{int32(start), int32(end)})
	}
}

// Options of a lookup. The zero Options are those of most.
type Options[V any] struct {
	// Decode, if set, says that the path is an encoded one: it is split as it stands, then each segment is decoded before it
	// is compared.
	Decode func(string) string
	// Accept, if set, is offered the values of all matching patterns, the best first, until it takes one.
	Accept func(V) bool
}

// Lookup finds the best pattern that matches the path. It returns the value, and whether there is one; spans then tell where
// its params are. Nil options are the zero ones.
//
// Path must begin with "/". Nothing matches a path that is not clean: one with an empty segment or a dot segment, "." or "..".
// A slash at the end makes an empty segment, except for "/" itself. Dot segments are found where they stand in plain text;
// with Decode the caller looks for those that are encoded.
//
// Lookup does not allocate, for patterns of up to eight params. Each node is visited once at most, at a cost linear in its
// segment.
func (t Tree[V]) Lookup(path string, spans *Spans, o *Options[V]) (value V, ok bool) {
	return search(t.root, path, len("/"), 0, spans, o)
}

// search looks for the match at n or below it, with the segment that begins at start. Spans has so many
// params by now.
//
// optimization: it goes on in its loop where there is but one way, finds the end of a segment and its hash in one loop over
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
			spans.put(params, start, end)
			n, params = n.param, params+1
		default:
			return n.branch(static, path, start, end, params, spans, o)
		}
		start = end + len("/")
	}
	ended := start > len(path) || path == "/" // else there is an empty segment left
	if n == nil || !n.set || !ended || o != nil && o.Accept != nil && !o.Accept(n.value) {
		spans.n = 0
		var none V
		return none, false
	}
	spans.n = params
	return n.value, true
}

// branch goes on with search where there are several ways, with the segment from start to end.
func (n *node[V]) branch(
	static *node[V], path string, start, end, params int, spans *Spans, o *Options[V],
) (value V, ok bool) {
	if static != nil {
		value, ok = search(static, path, end+len("/"), params, spans, o)
	}
	if !ok && n.param != nil && start < end && !isDots(path[start:end]) {
		spans.put(params, start, end)
		value, ok = search(n.param, path, end+len("/"), params+1, spans, o)
	}
	c := n.catchAll // which has a value, as nothing may follow it
	if ok || c == nil || !isClean(path[start:]) || o != nil && o.Accept != nil && !o.Accept(c.value) {
		return value, ok
	}
	spans.put(params, start, len(path))
	spans.n = params + 1
	return c.value, true
}

// isDots reports whether a segment is a dot segment.
func isDots(segment string) bool { return segment == "." || segment == ".." }

// isClean reports whether none of the segments is empty or a dot segment.
//
// optimization: most bytes are compared once (bench, catch-all).
func isClean(segments string) bool {
	for i := range len(segments) {
		if c := segments[i]; c > '/' || i > 0 && segments[i-1] != '/' {
			continue
		} else if c == '/' || c == '.' && isDots(segments[i:segmentEnd(segments, i)]) {
			return false
		}
	}
	return segments != "" && segments[len(segments)-1] != '/'
}

// endsSegment reports whether a segment of the path can end there.
func endsSegment(path string, end int) bool { return end == len(path) || path[end] == '/' }

// next returns where the segment that begins at start ends, and n's static child that it names, or nil.
func (n *node[V]) next(path string, start int, decode func(string) string) (end int, static *node[V]) {
	if end = segmentEnd(path, start); n.only == nil && n.many == nil {
		return end, nil
	}
	name := path[start:end]
	if decode == nil {
		return end, n.static(name)
	}
	if len(name) > len("%00")*n.longest() {
		return end, nil
	}
	return end, n.static(decode(name))
}

// Deepest returns the value of the longest pattern that matches the path or the path up to one of its slashes, and whether
// the path ends with it. Only static segments are looked at. Slashes at the end do not count, and several in a row are one.
// Dot segments are like any others. Decode is as for [Tree.Lookup].
func (t Tree[V]) Deepest(path string, decode func(string) string) (value V, ended, ok bool) {
	for n, end := t.root, 0; n != nil; {
		start := segmentStart(path, end)
		if n.set {
			value, ended, ok = n.value, start == len(path), true
		}
		end, n = n.next(path, start, decode)
	}
	return value, ended, ok
}

// Visit calls visit for each pattern that matches the path or the path up to one of its slashes, from the least
// specific to the most specific (see [Compare]): the patterns of the scopes that the path lies in. It reads slashes as
// [Tree.Deepest] does.
//
// Ended says whether the path ends with the pattern. A catch-all is visited with any rest, even none; ended is then what it
// is for the pattern without it. Decode is as for [Tree.Lookup]. The spans are those of the params; they are valid during the
// call. That of a catch-all leaves out slashes around the rest.
func (t Tree[V]) Visit(path string, decode func(string) string, visit func(value V, ended bool, spans []Span)) {
	if t.root != nil {
		for strings.HasSuffix(path, "/") {
			path = path[:len(path)-1]
		}
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
func (w *walk[V]) at(n *node[V], end int, visit func(value V, ended bool, spans []Span)) {
	start := segmentStart(w.path, end)
	ended := start == len(w.path)
	if n.set {
		visit(n.value, ended, w.spans)
	}
	if c := n.catchAll; c != nil { // it has a value, as nothing may follow it
		visit(c.value, ended, append(w.spans, Span{int32(start), int32(len(w.path))}))
	}
	if ended {
		return
	}
	end, child := n.next(w.path, start, w.decode)
	if n.param != nil {
		w.spans = append(w.spans, Span{int32(start), int32(end)})
		w.at(n.param, end, visit)
		w.spans = w.spans[:len(w.spans)-1]
	}
	if child != nil {
		w.at(child, end, visit)
	}
}

// segmentStart returns where the first segment begins after the one that ends there: at the end of the path if none does.
func segmentStart(path string, end int) int {
	for ; end < len(path); end++ {
		if path[end] != '/' {
			break
		}
	}
	return end
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
