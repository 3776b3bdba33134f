package jsonbody

import "unicode/utf8"

// MaxQuoted is how many bytes of a client's text an error quotes.
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

// Brief is an error with a shorter text, which quotes only a part of the client's text.
type Brief struct {
	Text  string
	Cause error
}

// Error returns the text.
func (b Brief) Error() string { return b.Text }

// Unwrap returns the cause.
func (b Brief) Unwrap() error { return b.Cause }

// Briefly returns a short error for an error about an input of that length, whose text may quote all of the input.
func Briefly(err error, length int) error {
	if length <= MaxQuoted {
		return err
	}
	return Brief{Excerpt(err.Error()), err}
}
