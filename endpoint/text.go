package endpoint

import (
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"

	"github.com/guregu/kami/internal/jsonbody"
)

// texter returns the texts of a value. A setter makes the same value of them again.
type texter func(v reflect.Value) ([]string, error)

var (
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

// texterOf returns the texter of a type that has a setter.
func texterOf(t reflect.Type) (texter, error) {
	switch {
	case reflect.PointerTo(t).Implements(textUnmarshaler):
		if !reflect.PointerTo(t).Implements(textMarshaler) {
			return nil, fmt.Errorf("%s has a method UnmarshalText, but no MarshalText", t)
		}
		return marshalText, nil
	case t.Kind() == reflect.Pointer:
		text, err := texterOf(t.Elem())
		return func(v reflect.Value) ([]string, error) {
			if v.IsNil() {
				return nil, nil
			}
			return text(v.Elem())
		}, err
	case t.Kind() == reflect.Slice:
		text, err := texterOf(t.Elem())
		return func(v reflect.Value) (texts []string, err error) {
			for i := range v.Len() {
				more, err := text(v.Index(i))
				if err != nil {
					return nil, err
				}
				texts = append(texts, more...)
			}
			return texts, nil
		}, err
	}
	return func(v reflect.Value) ([]string, error) {
		text, err := textOf(v)
		return []string{text}, err
	}, nil
}

func marshalText(v reflect.Value) ([]string, error) {
	pointer := reflect.New(v.Type())
	pointer.Elem().Set(v)
	text, err := pointer.Interface().(encoding.TextMarshaler).MarshalText()
	return []string{string(text)}, err
}

// textOf returns the text of a bool, a number, a duration or a string.
func textOf(v reflect.Value) (string, error) {
	switch v.Kind() {
	case reflect.Bool:
		return strconv.FormatBool(v.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if v.Type() == duration {
			return time.Duration(v.Int()).String(), nil
		}
		return strconv.FormatInt(v.Int(), 10), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.FormatUint(v.Uint(), 10), nil
	case reflect.Float32, reflect.Float64:
		if math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0) {
			return "", fmt.Errorf("%v is no number of JSON", v.Float())
		}
		return strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits()), nil
	}
	if v.Type() == number && !isNumber(v.String()) {
		return "", fmt.Errorf("%q is not a number", jsonbody.Excerpt(v.String()))
	}
	return v.String(), nil
}
