package kami

import (
	"fmt"
	"net/url"
	"path"
	"slices"
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

// cutSlash cuts off one trailing slash, but not the root's.
func cutSlash(path string) (rest string, had bool) {
	if len(path) > 1 {
		return strings.CutSuffix(path, "/")
	}
	return path, false
}

// cleaned returns the shortest equivalent of a path. It keeps a trailing slash, and gets one where the path ends with one
// of the suffixes.
//
// optimization: most are clean, which is faster to see than to do (BenchmarkServe/NotFound and Redirect).
func cleaned(p string, suffixes ...string) string {
	if strings.HasPrefix(p, "/") && isClean(p) {
		return p
	}
	clean := path.Clean(p)
	ends := func(suffix string) bool { return strings.HasSuffix(p, suffix) }
	if clean == "/" || !strings.HasSuffix(p, "/") && !slices.ContainsFunc(suffixes, ends) {
		return clean
	}
	return clean + "/"
}

// cleanPath cleans a path as github.com/dimfeld/httptreemux/v5 does.
func cleanPath(p string) string { return cleaned(p, "/.") }

// cleanReading returns a path as most who decode and clean one read it (RFC 3986, section 5.2.4). It is encoded as the
// path was.
func cleanReading(p string, decode func(string) string) string {
	if decode != nil {
		clean := url.URL{Path: cleanReading(decode(p), nil)}
		return clean.EscapedPath()
	}
	return cleaned(p, "/.", "/..")
}

// isClean reports whether a path has no segment that cleaning would remove.
func isClean(p string) bool {
	for i := 1; i < len(p); i++ {
		if p[i-1] == '/' && (p[i] == '/' || p[i] == '.' && isDots(p[i:])) {
			return false
		}
	}
	return true
}

// isDots reports whether the first segment of a path, which has no slash before it, is one of dots that cleaning would
// remove.
func isDots(rest string) bool {
	segment := rest[:segmentEnd(rest)]
	return segment == "." || segment == ".."
}

// literalDots returns an encoded path with its dot segments in plain text, whatever their spelling.
func literalDots(p string, decode func(string) string) string {
	if decode == nil {
		return p
	}
	segments := strings.Split(p, "/")
	for i, segment := range segments {
		if plain := decode(segment); plain == "." || plain == ".." {
			segments[i] = plain
		}
	}
	return strings.Join(segments, "/")
}

// location returns a path as the Location of a redirect: clean, encoded, and sure to stay on this host. It cleans as
// http.Redirect does, which leaves alone what it cannot parse.
func location(p string, decode func(string) string) string {
	return cleaned(encoded(literalDots(p, decode), decode))
}

// encoded returns a path with all bytes encoded that must be (RFC 3986, section 3.3). One that is to be decoded keeps
// the escapes that it has.
func encoded(p string, decode func(string) string) string {
	if decode == nil {
		return (&url.URL{Path: p}).EscapedPath()
	}
	return escape(p, "\"#<>?\\^`{|}")
}

// visible returns a query with all bytes encoded that do not belong into one in a header.
func visible(query string) string { return escape(query, "#") }

// escape encodes controls, spaces and the bytes listed. http.Redirect encodes what is not ASCII.
func escape(s, listed string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == 0x7f || strings.IndexByte(listed, c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
