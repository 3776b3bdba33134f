package endpoint

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"reflect"
	"sync"
)

// jsonBuffer is a buffer, what encodes into it, and what decodes from it.
type jsonBuffer struct {
	bytes.Buffer
	encoder *json.Encoder
	decoder *json.Decoder    // of text; nil after an error, which would stay with it
	text    bytes.Reader     // that is being decoded
	limited io.LimitedReader // of the body that is being read
	kept    bool             // not to be reused
}

// jsonBuffers are those that are not in use.
//
// optimization: responses are encoded in reused buffers, of which nobody keeps anything: a writer must not keep what it is
// given. Bodies are read into them and decoded by what comes with them, unless a type decodes itself, which may keep its
// text (BenchmarkServer and BenchmarkClient in compat/).
var jsonBuffers = sync.Pool{New: func() any {
	b := new(jsonBuffer)
	b.encoder = json.NewEncoder(&b.Buffer)
	return b
}}

// maxReused is the size above which a buffer is not reused, lest one large body be kept for ever.
const maxReused = 64 << 10

func getBuffer() *jsonBuffer { return jsonBuffers.Get().(*jsonBuffer) }

// bodyBuffer returns a buffer for a body that is decoded into a type, which keeps its text or does not.
func bodyBuffer(keeps bool) *jsonBuffer {
	if keeps {
		return &jsonBuffer{kept: true}
	}
	return getBuffer()
}

// read reads a body of at most so many bytes, of any number if that is zero or less. It makes room as they come.
func (b *jsonBuffer) read(body io.Reader, limit int64) (tooLarge bool, err error) {
	if limit <= 0 || limit == math.MaxInt64 {
		limit = math.MaxInt64 - 1
	}
	b.limited = io.LimitedReader{R: body, N: limit + 1}
	_, err = b.ReadFrom(&b.limited)
	b.limited.R = nil
	return int64(b.Len()) > limit, err
}

func (b *jsonBuffer) release() {
	if b.Cap() <= maxReused && !b.kept {
		b.Reset()
		jsonBuffers.Put(b)
	}
}

// decode does what json.Unmarshal does with all that is in the buffer. If it is strict, it refuses unknown fields.
func (b *jsonBuffer) decode(into any, strict bool) error {
	if strict {
		return decodeStrictly(b.Bytes(), into)
	}
	if b.kept || b.Cap() > maxReused {
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

// decodeStrictly is json.Unmarshal, but unknown fields are errors where there is no other one.
func decodeStrictly(text []byte, into any) error {
	if err := json.Unmarshal(text, another(into)); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// keepers says for each known type whether it keepsText.
var keepers sync.Map

// keepsItsText is keepsText, which does the work but once for each type.
func keepsItsText(t reflect.Type) bool {
	keeps, known := keepers.Load(t)
	if !known {
		keeps = keepsText(t, make(map[reflect.Type]bool))
		keepers.Store(t, keeps)
	}
	return keeps.(bool)
}

// keepsText reports whether a type, or one in it, decodes itself: it may keep the text that it is given.
func keepsText(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	if decodesItself(t) || t.Implements(jsonUnmarshaler) || t.Implements(textUnmarshaler) {
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
