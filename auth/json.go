package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// maxDepth is how deep values may be nested. Neither tokens nor keys need more.
const maxDepth = 32

var (
	errNoJSON    = errors.New("it is not JSON in UTF-8")
	errNoObject  = errors.New("it is no JSON object")
	errDepth     = fmt.Errorf("it is nested deeper than %d levels", maxDepth)
	errDuplicate = errors.New("an object has a member twice")
	errNoStrings = errors.New("neither a string nor a list of strings")
)

// decodeObject decodes a JSON object, with numbers as json.Number. A member that comes twice is an error (RFC 7515, 4 and
// 5.2), because another program may read the other one. Names are compared as they are.
func decodeObject(data []byte) (map[string]any, error) {
	if !utf8.Valid(data) || !json.Valid(data) {
		return nil, errNoJSON
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := decodeValue(d, maxDepth)
	if err != nil {
		return nil, err
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, errNoObject
	}
	return object, nil
}

// decodeValue decodes a value of JSON that is known to be valid.
func decodeValue(d *json.Decoder, depth int) (any, error) {
	v, err := d.Token()
	if err != nil || v != json.Delim('{') && v != json.Delim('[') {
		return v, err
	}
	if depth == 0 {
		return nil, errDepth
	}
	if v == json.Delim('[') {
		v, err = decodeList(d, depth-1)
	} else {
		v, err = decodeMembers(d, depth-1)
	}
	if err == nil {
		_, err = d.Token() // the closing delimiter
	}
	return v, err
}

func decodeList(d *json.Decoder, depth int) (any, error) {
	list := []any{}
	for d.More() {
		v, err := decodeValue(d, depth)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func decodeMembers(d *json.Decoder, depth int) (any, error) {
	object := make(map[string]any)
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		if _, ok := object[name.(string)]; ok {
			return nil, errDuplicate
		}
		if object[name.(string)], err = decodeValue(d, depth); err != nil {
			return nil, err
		}
	}
	return object, nil
}

// stringsOf returns the strings of a member that is a string or a list of strings. A member that is missing has none.
func stringsOf(v any) ([]string, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		return []string{v}, nil
	case []any:
		list := make([]string, len(v))
		for i := range v {
			s, ok := v[i].(string)
			if !ok {
				return nil, errNoStrings
			}
			list[i] = s
		}
		return list, nil
	}
	return nil, errNoStrings
}
