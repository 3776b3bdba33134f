// Package urlpath reads and writes the paths of URLs, as text. It knows neither routes nor requests.
package urlpath

import (
	"bytes"
	"net/url"
	"strings"
)

// Routed returns the path that routes and scopes see: as it was sent if it has escapes that matter, with the
// function that decodes a segment of it, else decoded. An encoded slash so never splits a segment.
func Routed(u *url.URL) (routed string, decode func(string) string) {
	if u.RawPath != "" {
		if plain, err := url.PathUnescape(u.RawPath); err == nil && plain == u.Path {
			return u.RawPath, Unescape
		}
	}
	if u.Path == "" {
		return "/", nil
	}
	return u.Path, nil
}

// Unescape decodes a segment. One that has invalid escapes stays as it is.
func Unescape(segment string) string {
	if plain, err := url.PathUnescape(segment); err == nil {
		return plain
	}
	return segment
}

// Plain returns a path decoded. Encoded means that it has escapes.
func Plain(path string, encoded bool) string {
	if encoded {
		return Unescape(path)
	}
	return path
}

// CutSlash cuts off one trailing slash, but not the slash of the root, or of "//", which is another spelling of the root.
func CutSlash(path string) (rest string, had bool) {
	if len(path) > len("//") {
		return strings.CutSuffix(path, "/")
	}
	return path, false
}

// HasEncodedSlash reports whether there is one in an encoded path.
func HasEncodedSlash(path string) bool {
	return strings.Contains(path, "%2F") || strings.Contains(path, "%2f")
}

// Cleaned returns a path without empty segments and dot segments, resolved as RFC 3986, section 5.2.4, does: "/a/./b/.." is
// "/a/". Dot segments may be spelled with escapes if it is encoded.
func Cleaned(path string, encoded bool) string {
	clean := make([]byte, 0, len(path))
	slash := false
	for segment := range strings.SplitSeq(path, "/") {
		dots, rest := cutDots(segment, encoded)
		if slash = rest == "" && dots <= 2; !slash {
			clean = append(append(clean, '/'), segment...)
		} else if dots == 2 {
			clean = clean[:max(0, bytes.LastIndexByte(clean, '/'))]
		}
	}
	if slash || len(clean) == 0 {
		clean = append(clean, '/')
	}
	return string(clean)
}

// IsClean reports whether a path has no empty segment and, with its encoded slashes decoded too, no dot segment.
func IsClean(path string, encoded bool) bool {
	for i := 1; i < len(path); i++ {
		c := path[i]
		switch {
		case c > '/' || c != '/' && c != '.' && c != '%': // as most
		case path[i-1] == '/':
			if c == '/' || isDots(path[i:], encoded) {
				return false
			}
		case encoded && i >= len("%2f") && hasEscape(path[i-len("%2f"):], "%2f"):
			if isDots(path[i:], encoded) {
				return false
			}
		}
	}
	return true
}

// isDots reports whether a path begins with a dot segment, if encoded slashes count.
func isDots(path string, encoded bool) bool {
	dots, rest := cutDots(path, encoded)
	return (dots == 1 || dots == 2) && (rest == "" || rest[0] == '/' || encoded && hasEscape(rest, "%2f"))
}

// cutDots cuts off the dots that a text begins with, which may be spelled with escapes if it is encoded, and counts them.
func cutDots(text string, encoded bool) (dots int, rest string) {
	for ; ; dots++ {
		switch {
		case strings.HasPrefix(text, "."):
			text = text[len("."):]
		case encoded && hasEscape(text, "%2e"):
			text = text[len("%2e"):]
		default:
			return dots, text
		}
	}
}

// hasEscape reports whether a text begins with an escape, in upper or lower case.
func hasEscape(text, escape string) bool {
	return len(text) >= len(escape) && text[0] == '%' && strings.EqualFold(text[:len(escape)], escape)
}

// SegmentEnd returns where the first segment of the path ends.
func SegmentEnd(path string) int {
	for i := range len(path) {
		if path[i] == '/' {
			return i
		}
	}
	return len(path)
}

// Location returns a clean path as the Location of a redirect, with all bytes encoded that must be (RFC 3986, section 3.3).
// It begins with one slash and so stays on this host. An encoded path keeps the escapes that it has.
func Location(path string, encoded bool) string {
	if encoded {
		return Escape(path, "\"#<>?\\^`{|}")
	}
	return (&url.URL{Path: path}).EscapedPath()
}

// Escape encodes all bytes that do not belong in a header: controls, spaces, bytes that are not ASCII, and the listed ones.
func Escape(s, listed string) string {
	const digits = "0123456789ABCDEF"
	must := func(c byte) bool { return c <= ' ' || c >= 0x7f || strings.IndexByte(listed, c) >= 0 }
	n := 0
	for i := range len(s) {
		if must(s[i]) {
			n++
		}
	}
	if n == 0 {
		return s
	}
	escaped := make([]byte, 0, len(s)+2*n)
	for i := range len(s) {
		if c := s[i]; must(c) {
			escaped = append(escaped, '%', digits[c>>4], digits[c&15])
		} else {
			escaped = append(escaped, c)
		}
	}
	return string(escaped)
}
