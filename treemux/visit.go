package treemux

// Path is one reading of a path, for finding its scopes. An encoded slash can be part of a segment or end it.
type Path struct {
	Text  string // with its escapes, each of which is valid
	Plain string // the same decoded: equal to Text if that has no escapes, and shorter otherwise
	Split int    // from this place in Text on, encoded slashes end segments as slashes do
}

// mark is a place in a path.
type mark struct{ text, plain int }

// begin returns the beginning of the segment after the one that ends there, or the end of the path.
func (p *Path) begin(at mark) mark {
	if len(p.Text) == len(p.Plain) { // optimization: no slash is encoded (bench, outside a wildcard scope)
		start := segmentStart(p.Text, at.text)
		return mark{start, start}
	}
	for at.text < len(p.Text) && p.slash(at.text) > 0 {
		at.text += p.slash(at.text)
		at.plain++
	}
	return at
}

// end returns the end of the segment that begins there.
func (p *Path) end(at mark) mark {
	if len(p.Text) == len(p.Plain) {
		end := segmentEnd(p.Text, at.text)
		return mark{end, end}
	}
	for at.text < len(p.Text) && p.slash(at.text) == 0 {
		if p.Text[at.text] == '%' {
			at.text += len("%00")
		} else {
			at.text++
		}
		at.plain++
	}
	return at
}

// segmentStart returns the beginning of the first segment from there on.
func segmentStart(path string, at int) int {
	for at < len(path) && path[at] == '/' {
		at++
	}
	return at
}

// slash returns the length of the slash that ends a segment there, or 0.
func (p *Path) slash(at int) int {
	switch {
	case p.Text[at] == '/':
		return len("/")
	case p.Text[at] == '%' && at >= p.Split && len(p.Text) != len(p.Plain) && p.Text[at+1] == '2' && p.Text[at+2]|0x20 == 'f':
		return len("%2f")
	default:
		return 0
	}
}

// Deepest returns the value of the longest pattern that matches the path or the path up to the end of one of its segments, and
// whether the path ends with it. Only static segments are looked at. Slashes at the end do not count, and several in a row
// count as one. Dot segments are like any others.
func (t Tree[V]) Deepest(p Path) (value V, ended, ok bool) {
	for n, at := t.root, (mark{}); n != nil; {
		at = p.begin(at)
		if n.set {
			value, ended, ok = n.value, at.text == len(p.Text), true
		}
		if n.only == nil && n.many == nil {
			break
		}
		end := p.end(at)
		n, at = n.static(p.Plain[at.plain:end.plain]), end
	}
	return value, ended, ok
}

// Visit calls visit for each pattern that matches the path or the path up to the end of one of its segments, from the least
// specific to the most specific (see [Compare]): the patterns of the scopes that the path lies in. It reads slashes as
// [Tree.Deepest] does.
//
// Ended says whether the path ends with the pattern. A catch-all matches any rest, even none; ended is then as for the pattern without the
// catch-all. The spans are the places of the params in the plain path, and valid only during the call. A catch-all's span leaves out
// slashes around the rest.
func (t Tree[V]) Visit(p Path, visit func(value V, ended bool, spans []Span)) {
	if t.root == nil {
		return
	}
	// optimization: a copy of the whole struct would wait for the stores of its fields (bench, outside a wildcard scope).
	var w walk[V]
	w.path.Text, w.path.Plain, w.path.Split = p.Text, p.Plain, p.Split
	w.at(t.root, mark{}, visit)
}

// last returns the end of the plain path without the slashes at its end.
func (p *Path) last() int {
	last := len(p.Plain)
	for end := len(p.Text); end > 0; last-- {
		if p.Text[end-1] == '/' {
			end--
		} else if end >= len("%2f") && p.slash(end-len("%2f")) == len("%2f") {
			end -= len("%2f")
		} else {
			break
		}
	}
	return last
}

// walk is one visit under way.
type walk[V any] struct {
	path  Path
	last  int // the result of Path.last; 0 until it is needed
	spans []Span
}

// at visits n, whose segment ends there, and the nodes below it.
func (w *walk[V]) at(n *node[V], end mark, visit func(value V, ended bool, spans []Span)) {
	start := w.path.begin(end)
	ended := start.text == len(w.path.Text)
	if n.set {
		visit(n.value, ended, w.spans)
	}
	if c := n.catchAll; c != nil { // it has a value, because nothing may follow it
		if w.last == 0 {
			w.last = w.path.last()
		}
		visit(c.value, ended, append(w.spans, Span{int32(start.plain), int32(max(start.plain, w.last))}))
	}
	if ended || n.param == nil && n.only == nil && n.many == nil {
		return
	}
	end = w.path.end(start)
	if n.param != nil {
		w.spans = append(w.spans, Span{int32(start.plain), int32(end.plain)})
		w.at(n.param, end, visit)
		w.spans = w.spans[:len(w.spans)-1]
	}
	if child := n.static(w.path.Plain[start.plain:end.plain]); child != nil {
		w.at(child, end, visit)
	}
}
