package message

import (
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/guregu/kami/treemux"
)

const (
	maxRoute    = 255 // bytes
	maxSegments = 32
)

// Path returns the path of a route, escaped as in a URL: "/room/join" for "room.join".
//
// A route has segments with dots between them. These are written as "%" and two upper case hexadecimal digits: a dot, a slash, an
// asterisk, ">", "%", spaces, controls and bytes that are no UTF-8 in a segment, and a dollar sign at the beginning of the route.
// Nothing else is. The error says what is wrong: an empty route or segment, an escape that is invalid or not needed, more than
// 255 bytes or 32 segments, or a path that would not be clean, see kami's Mux.Handle.
func Path(route string) (string, error) {
	_, escaped, err := pathOf(route)
	return escaped, err
}

// pathOf returns the path of a route, decoded and escaped.
func pathOf(route string) (plain, escaped string, err error) {
	wrong := func(format string, args ...any) (string, string, error) {
		return "", "", fmt.Errorf("message: route %.260q: "+format, append([]any{route}, args...)...)
	}
	switch {
	case route == "":
		return "", "", fmt.Errorf("message: the route is empty")
	case len(route) > maxRoute:
		return wrong("it has %d bytes, more than %d", len(route), maxRoute)
	case strings.Count(route, ".") >= maxSegments:
		return wrong("it has more than %d segments", maxSegments)
	}
	var path strings.Builder
	path.Grow(len("/") + len(route))
	for segment := range strings.SplitSeq(route, ".") {
		if segment == "" {
			return wrong("a segment is empty")
		}
		text, err := url.PathUnescape(segment)
		if err != nil {
			return wrong("%w", err)
		}
		if own := escapeSegment(text, path.Len() == 0); own != segment {
			return wrong("%q is spelled %q", segment, own)
		}
		path.WriteByte('/')
		path.WriteString(url.PathEscape(text))
	}
	escaped = path.String()
	if plain, err = url.PathUnescape(escaped); err == nil && strings.Contains(route, "%") && !isClean(plain) {
		return wrong("its path %q is not clean", plain)
	}
	return plain, escaped, err
}

// Route returns the route of a path that is escaped as in a URL: "room.join" for "/room/join". It is the inverse of [Path]. A slash
// at the end of the path makes no difference. It returns "" for a path without a route, such as "/".
func Route(path string) string {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return ""
	}
	var segments []string
	for segment := range strings.SplitSeq(strings.TrimSuffix(rest, "/"), "/") {
		text, err := url.PathUnescape(segment)
		if err != nil {
			return ""
		}
		segments = append(segments, escapeSegment(text, len(segments) == 0))
	}
	route := strings.Join(segments, ".")
	if _, err := Path(route); err != nil {
		return ""
	}
	return route
}

// Subject returns the subject of a pattern, without a prefix, for transports whose messages have subjects: "room.*.>" for
// "/room/:id/*rest". It returns "" for "/" and for text that is no pattern.
func Subject(pattern string) string {
	parsed, err := treemux.Parse(pattern)
	if err != nil {
		return ""
	}
	tokens := make([]string, len(parsed.Segments))
	for i, segment := range parsed.Segments {
		switch segment.Kind {
		case treemux.Param:
			tokens[i] = "*"
		case treemux.CatchAll:
			tokens[i] = ">"
		default:
			tokens[i] = escapeSegment(segment.Text, i == 0)
		}
	}
	return strings.Join(tokens, ".")
}

// isClean reports whether a decoded path has no dot segment, and no empty segment except at its end.
func isClean(path string) bool {
	rest := path[len("/"):]
	for more := true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		if segment == "." || segment == ".." || segment == "" && more {
			return false
		}
	}
	return true
}

// escapeSegment returns a segment of a path as one of a route.
func escapeSegment(text string, first bool) string {
	var b []byte // nil while nothing has been escaped
	for i, r := range text {
		size := 1
		if r != utf8.RuneError {
			size = utf8.RuneLen(r)
		} else if _, n := utf8.DecodeRuneInString(text[i:]); n > 1 { // U+FFFD itself, not a wrong byte
			size = n
		} else {
			b = appendEscape(b, text, i)
			continue
		}
		switch {
		case r <= ' ' || r == 0x7f || strings.ContainsRune("./*>%", r) || r == '$' && first && i == 0:
			b = appendEscape(b, text, i)
		case b != nil:
			b = append(b, text[i:i+size]...)
		}
	}
	if b == nil {
		return text
	}
	return string(b)
}

// appendEscape appends the escape of the byte i of the text to b. A nil b first gets the text before that byte.
func appendEscape(b []byte, text string, i int) []byte {
	const digits = "0123456789ABCDEF"
	if b == nil {
		b = append(make([]byte, 0, len(text)+8), text[:i]...)
	}
	return append(b, '%', digits[text[i]>>4], digits[text[i]&15])
}
