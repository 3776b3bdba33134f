// Package list splits the lists in header fields (RFC 9110, section 5.6.1).
package list

import (
	"iter"
	"strings"
)

// Backward returns the elements of a list, the last one first and without the space around them. A separator in a quoted
// string does not split, and empty elements are ignored.
//
// It goes backwards, because the elements that a proxy has added at the end must not depend on text that a client has sent before them, such
// as a quote that is never closed. If the quotes are in order that makes no difference.
func Backward(text string, separator byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		for {
			end := len(text)
			for end > 0 && (text[end-1] == separator || isSpace(text[end-1])) {
				end--
			}
			if end == 0 {
				return
			}
			text = text[:end]
			at := lastUnquoted(text, separator)
			if !yield(strings.TrimLeft(text[at+1:], " \t")) || at < 0 {
				return
			}
			text = text[:at]
		}
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// lastUnquoted returns where the last separator is that is in no quoted string, or -1.
func lastUnquoted(text string, separator byte) int {
	quoted := false
	for i := len(text) - 1; i >= 0; i-- {
		switch text[i] {
		case separator:
			if !quoted {
				return i
			}
		case '"':
			if !quoted || !isEscaped(text, i) {
				quoted = !quoted
			}
		}
	}
	return -1
}

// isEscaped reports whether the character at i has a backslash before it that escapes it.
func isEscaped(text string, i int) bool {
	before := strings.TrimRight(text[:i], `\`)
	return (i-len(before))%2 == 1
}
