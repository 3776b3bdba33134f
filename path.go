package kami

import (
	"bytes"
	"net/url"
	"strings"
)

// routedPath returns the path that routes and scopes see: as it was sent if it has escapes that matter, with the
// function that decodes a segment of it, else decoded. An encoded slash so never splits a segment.
func routedPath(u *url.URL) (routed string, decode func(string) string) {
	if u.RawPath != "" {
		if plain, err := url.PathUnescape(u.RawPath); err == nil && plain == u.Path {
			return u.RawPath, unescape
		}
	}
	if u.Path == "" {
		return "/", nil
	}
	return u.Path, nil
}

func unescape(segment string) string {
	if plain, err := url.PathUnescape(segment); err == nil {
		return plain
	}
	return segment
}

// cutSlash cuts off one trailing slash, but not the root's, nor that of "//", which is another spelling of the root.
func cutSlash(path string) (rest string, had bool) {
	if len(path) > len("//") {
		return strings.CutSuffix(path, "/")
	}
	return path, false
}

// slashes decodes encoded slashes.
var slashes = strings.NewReplacer("%2F", "/", "%2f", "/")

// decoded returns a path in which every encoded slash is a slash, if it is encoded. Its other escapes stay.
func decoded(path string, encoded bool) string {
	if !encoded {
		return path
	}
	return slashes.Replace(path)
}

// cleaned returns a path without empty segments and dot segments, resolved as RFC 3986, section 5.2.4, does: "/a/./b/.." is
// "/a/". Dot segments may be spelled with escapes if it is encoded.
func cleaned(path string, encoded bool) string {
	clean := make([]byte, 0, len(path))
	slash := false
	for segment := range strings.SplitSeq(path, "/") {
		dots := dotsOf(segment, encoded)
		if slash = dots > 0 || segment == ""; !slash {
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

// dotsOf returns 1 if the first segment is ".", 2 for "..", and 0 for any other. There is no slash before it.
func dotsOf(rest string, encoded bool) (dots int) {
	for ; rest != "" && rest[0] != '/'; dots++ {
		switch {
		case dots == 2:
			return 0
		case rest[0] == '.':
			rest = rest[1:]
		case encoded && len(rest) >= len("%2e") && strings.EqualFold(rest[:len("%2e")], "%2e"):
			rest = rest[len("%2e"):]
		default:
			return 0
		}
	}
	return dots
}

// isClean reports whether a path has no empty segment and, with its encoded slashes decoded too, no dot segment.
func isClean(path string, encoded bool) bool {
	if strings.Contains(path, "//") {
		return false
	}
	path = decoded(path, encoded)
	for i := 1; i < len(path); i++ {
		if path[i-1] == '/' && dotsOf(path[i:], encoded) > 0 {
			return false
		}
	}
	return true
}

// segmentEnd returns where the first segment of the path ends.
func segmentEnd(path string) int {
	for i := range len(path) {
		if path[i] == '/' {
			return i
		}
	}
	return len(path)
}

// location returns a clean path as the Location of a redirect, with all bytes encoded that must be (RFC 3986, section 3.3).
// It begins with one slash and so stays on this host. An encoded path keeps the escapes that it has.
func location(path string, encoded bool) string {
	if encoded {
		return escape(path, "\"#<>?\\^`{|}")
	}
	return (&url.URL{Path: path}).EscapedPath()
}

// visible returns a query with all bytes encoded that do not belong into one in a header.
func visible(query string) string { return escape(query, "#") }

// escape encodes controls, spaces and the bytes listed. http.Redirect encodes what is not ASCII.
func escape(s, listed string) string {
	const digits = "0123456789ABCDEF"
	must := func(c byte) bool { return c <= ' ' || c == 0x7f || strings.IndexByte(listed, c) >= 0 }
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
