package jsonbody

import "unicode/utf8"

// MaxQuoted is how many bytes of what a client has sent the text of an error quotes.
const MaxQuoted = 100

// Excerpt returns the text, or its beginning if it is long, without a part of a character at its end.
func Excerpt(text string) string {
	if len(text) <= MaxQuoted {
		return text
	}
	end := MaxQuoted
	for end > MaxQuoted-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// Brief is an error with another text, which does not quote all that a client has sent.
type Brief struct {
	Text  string
	Cause error
}

// Error returns the text.
func (b Brief) Error() string { return b.Text }

// Unwrap returns the cause.
func (b Brief) Unwrap() error { return b.Cause }

// Briefly returns an error about an input of that length. Its text, which somebody else has made, may quote all of that.
func Briefly(err error, length int) error {
	if length <= MaxQuoted {
		return err
	}
	return Brief{Excerpt(err.Error()), err}
}
