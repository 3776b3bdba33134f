// Package jsonbody reads bodies of requests and decodes JSON, for packages endpoint and component: within limits, with errors that
// have a status, say what is wrong and where, and quote only a part of the client's text.
package jsonbody

import (
	"bytes"
	"encoding"
	"encoding/json"
	"io"
	"math"
	"reflect"
	"sync"
)

// Buffer is a buffer with its encoder and its decoder. It is for one goroutine at a time.
type Buffer struct {
	bytes.Buffer
	Encoder *json.Encoder
	decoder *json.Decoder    // of text; nil after an error, which would stay with it
	text    bytes.Reader     // the text that is being decoded
	limited io.LimitedReader // the body that is being read
	kept    bool             // not to be reused
}

// buffers are the buffers that are not in use.
//
// optimization: responses are encoded in reused buffers, because writers must not keep the bytes that they get. Bodies are read into them,
// and decoded by their decoders, unless a type decodes itself, because it may keep its text (BenchmarkServer and BenchmarkClient in
// compat/).
var buffers = sync.Pool{New: func() any {
	b := new(Buffer)
	b.Encoder = json.NewEncoder(&b.Buffer)
	return b
}}

// MaxReused is the size above which a buffer is not reused, so that one large body is not kept for ever.
const MaxReused = 64 << 10

// Get returns an empty buffer, for bytes that no other code keeps.
func Get() *Buffer { return buffers.Get().(*Buffer) }

// For returns a buffer for a body that is decoded into a type, which keeps its text or does not.
func For(keeps bool) *Buffer {
	if keeps {
		return &Buffer{kept: true}
	}
	return Get()
}

// ReadUpTo reads a body of at most so many bytes, of any number if that is zero or less. It makes room as they come.
func (b *Buffer) ReadUpTo(body io.Reader, limit int64) (tooLarge bool, err error) {
	if limit <= 0 || limit == math.MaxInt64 {
		limit = math.MaxInt64 - 1
	}
	b.limited = io.LimitedReader{R: body, N: limit + 1}
	_, err = b.ReadFrom(&b.limited)
	b.limited.R = nil
	return int64(b.Len()) > limit, err
}

// Release gives the buffer back. Its bytes must not be used any more, unless it is for a type that keeps its text.
func (b *Buffer) Release() {
	if b.Cap() <= MaxReused && !b.kept {
		b.Reset()
		buffers.Put(b)
	}
}

// Decode is json.Unmarshal of the whole buffer. If strict, it refuses unknown fields.
func (b *Buffer) Decode(into any, strict bool) error {
	if strict {
		return decodeStrictly(b.Bytes(), into)
	}
	if b.kept || b.Cap() > MaxReused {
		return json.Unmarshal(b.Bytes(), into)
	}
	if b.decoder == nil {
		b.decoder = json.NewDecoder(&b.text)
	}
	text := bytes.Trim(b.Bytes(), " \t\r\n")
	b.text.Reset(text)
	start := b.decoder.InputOffset()
	if b.decoder.Decode(into) == nil && b.decoder.InputOffset()-start == int64(len(text)) {
		return nil
	}
	b.decoder = nil
	return json.Unmarshal(b.Bytes(), another(into))
}

// another returns a pointer to a zero value of the type that the pointer points to.
func another(pointer any) any { return reflect.New(reflect.TypeOf(pointer).Elem()).Interface() }

// decodeStrictly is json.Unmarshal that returns an error for unknown fields if there is no other error.
func decodeStrictly(text []byte, into any) error {
	if err := json.Unmarshal(text, another(into)); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

var (
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// DecodesItself reports whether the type has a method that decodes it, whatever its fields are.
func DecodesItself(t reflect.Type) bool {
	t = reflect.PointerTo(t)
	return t.Implements(jsonUnmarshaler) || t.Implements(textUnmarshaler)
}

// keepers says for each known type whether it keepsText.
var keepers sync.Map

// KeepsText reports whether a type, or one in it, decodes itself: such a type may keep its text. It does the work only once for each type.
func KeepsText(t reflect.Type) bool {
	keeps, known := keepers.Load(t)
	if !known {
		keeps = keepsText(t, make(map[reflect.Type]bool))
		keepers.Store(t, keeps)
	}
	return keeps.(bool)
}

// keepsText is KeepsText, without its memory.
func keepsText(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	if DecodesItself(t) || t.Implements(jsonUnmarshaler) || t.Implements(textUnmarshaler) {
		return true
	}
	switch t.Kind() {
	case reflect.Map:
		return keepsText(t.Key(), seen) || keepsText(t.Elem(), seen)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return keepsText(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if keepsText(t.Field(i).Type, seen) {
				return true
			}
		}
	}
	return false
}
