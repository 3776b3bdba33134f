package treemux

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Kind says what a segment of a pattern matches. Kinds are ordered from the least specific to the most specific one.
type Kind uint8

const (
	CatchAll Kind = iota + 1 // CatchAll matches the whole rest of a path, if there is one.
	Param                    // Param matches one segment that is not empty.
	Static                   // Static matches one segment with exactly its text.
)

// Segment is the part of a pattern between two slashes.
type Segment struct {
	Kind Kind
	Text string // the text that a Static matches, the name of a Param or CatchAll ("" if it has none)
}

// Pattern is a parsed pattern.
type Pattern struct {
	Segments []Segment
	Slash    bool // whether the pattern ends with a slash, as "/" does, and not with a catch-all
}

// Parse reads a pattern such as "/users/:id/files/*path":
// segments with a leading colon are params, one with a leading asterisk is a catch-all, all others are static.
// A backslash before the colon, asterisk or backslash that begins a segment makes the segment static and is dropped.
// Only a slash may follow a catch-all, and it is dropped.
// The grammar is the one of github.com/dimfeld/httptreemux/v5.
//
// The error says which rule the pattern breaks. It does not name the pattern: the caller knows what it is for.
func Parse(pattern string) (Pattern, error) {
	if !strings.HasPrefix(pattern, "/") {
		return Pattern{}, errors.New(`a path must begin with "/"`)
	}
	p := Pattern{Slash: strings.HasSuffix(pattern, "/")}
	text := strings.TrimSuffix(pattern[1:], "/")
	if text == "" && len(pattern) < 2 {
		return p, nil
	}
	n := strings.Count(text, "/") + 1
	p.Segments = make([]Segment, 0, n)
	names := make([]string, 0, 8)
	for range n {
		var part string
		part, text, _ = strings.Cut(text, "/")
		if part == "" {
			return Pattern{}, errors.New(`a path must have no empty segment ("//")`)
		}
		if isDots(part) {
			return Pattern{}, fmt.Errorf("a path must have no dot segment (%q): it is resolved before anything matches", part)
		}
		segment := parseSegment(part)
		if segment.Kind == CatchAll && len(p.Segments) < n-1 {
			return Pattern{}, fmt.Errorf("nothing may follow the catch-all %q", part)
		}
		if segment.Kind != Static && segment.Text != "" {
			if slices.Contains(names, segment.Text) {
				return Pattern{}, fmt.Errorf("the name %q must not be used twice in one path", segment.Text)
			}
			names = append(names, segment.Text)
		}
		p.Segments = append(p.Segments, segment)
	}
	p.Slash = p.Slash && !p.CatchAll()
	return p, nil
}

func parseSegment(text string) Segment {
	switch {
	case text[0] == ':':
		return Segment{Param, text[1:]}
	case text[0] == '*':
		return Segment{CatchAll, text[1:]}
	case len(text) > 1 && text[0] == '\\' && strings.IndexByte(`:*\`, text[1]) >= 0:
		return Segment{Static, text[1:]}
	default:
		return Segment{Static, text}
	}
}

// Names returns the names of the pattern's params and of its catch-all, from left to right, "" for one without a name.
// The spans of [Tree.Lookup] and [Tree.Visit] have the same order.
func (p Pattern) Names() []string {
	var names []string
	for _, segment := range p.Segments {
		if segment.Kind != Static {
			names = append(names, segment.Text)
		}
	}
	return names
}

// CatchAll reports whether the pattern ends with a catch-all.
func (p Pattern) CatchAll() bool {
	return len(p.Segments) > 0 && p.Segments[len(p.Segments)-1].Kind == CatchAll
}

// Wild reports whether the pattern has a param or a catch-all.
func (p Pattern) Wild() bool {
	return slices.ContainsFunc(p.Segments, func(s Segment) bool { return s.Kind != Static })
}

// Alike reports whether two patterns differ only in names and a trailing slash, so that they have the same place in a
// [Tree].
func (p Pattern) Alike(other Pattern) bool {
	return slices.EqualFunc(p.Segments, other.Segments, func(a, b Segment) bool {
		return a.Kind == b.Kind && (a.Kind != Static || a.Text == b.Text)
	})
}

// Is reports whether path, which [Parse] would take, is a pattern alike. It does not allocate.
func (p Pattern) Is(path string) bool {
	rest := strings.TrimSuffix(path[1:], "/")
	for _, own := range p.Segments {
		if rest == "" {
			return false
		}
		var text string
		text, rest, _ = strings.Cut(rest, "/")
		if other := parseSegment(text); other.Kind != own.Kind || own.Kind == Static && other.Text != own.Text {
			return false
		}
	}
	return rest == ""
}

// Compare orders patterns from the least specific to the most specific one, the order in which [Tree.Visit] meets them:
// segment by segment from the left, a pattern that has ended comes before a catch-all, a catch-all before a param,
// and a param before a static segment. It returns 0 for patterns that are equally specific, whatever their texts.
func Compare(a, b Pattern) int {
	return slices.CompareFunc(a.Segments, b.Segments, func(a, b Segment) int {
		return cmp.Compare(a.Kind, b.Kind)
	})
}
