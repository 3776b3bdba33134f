package endpoint

import (
	"cmp"
	"context"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/internal/jsonbody"
)

// binding sets the fields of a request type that do not come from the body.
type binding struct {
	fields  []field
	pointer bool // the type is a pointer to the struct
	body    bool // some fields come from the body
	query   bool // some fields come from the query
	keeps   bool // the type may keep the text that it was decoded from
}

// field is one field and its source.
type field struct {
	index        []int
	source, name string // "path", "query" or "header", and the name there
	label        string // names the field for people
	kind         reflect.Type
	empty        bool // an empty text is a valid value
	set          setter
}

// setter sets a value from texts, of which there is at least one.
type setter func(v reflect.Value, texts []string) error

// sources are the tags that name a source.
var sources = []string{"path", "query", "header"}

// bindingOf returns the binding of a type. A tag that can never be served is an error.
func bindingOf(t reflect.Type) (*binding, error) {
	b := &binding{keeps: jsonbody.KeepsText(t)}
	if t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
		b.pointer, t = true, t.Elem()
	}
	if jsonbody.DecodesItself(t) {
		b.body = true
	}
	if t.Kind() != reflect.Struct {
		b.body = true
		return b, decodable(t)
	}
	return b, b.add(t, nil, true)
}

// decodable returns an error for a type that cannot be decoded from JSON, and for tags at the wrong place: only tags of the request type
// itself, and of structs embedded in it, count.
func decodable(t reflect.Type) error { return decodableWithin(t, make(map[reflect.Type]bool)) }

// decodableField is decodable for a field.
func decodableField(f reflect.StructField, seen map[reflect.Type]bool) error {
	if f.Anonymous && !f.IsExported() && f.Type.Kind() == reflect.Pointer && !jsonbody.DecodesItself(f.Type.Elem()) {
		return fmt.Errorf("%s cannot be set: it is an embedded pointer to a type that is not exported", f.Type)
	}
	return decodableWithin(f.Type, seen)
}

func isInteger(t reflect.Type) bool { return t.Kind() >= reflect.Int && t.Kind() <= reflect.Uintptr }

func decodableWithin(t reflect.Type, seen map[reflect.Type]bool) error {
	if seen[t] || jsonbody.DecodesItself(t) {
		return nil
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return fmt.Errorf("%s cannot be decoded", t)
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return fmt.Errorf("%s cannot be decoded", t)
		}
	case reflect.Map:
		if k := t.Key(); !reflect.PointerTo(k).Implements(textUnmarshaler) && k.Kind() != reflect.String && !isInteger(k) {
			return fmt.Errorf("%s cannot be decoded: its keys are neither strings nor integers", t)
		}
		return decodableWithin(t.Elem(), seen)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return decodableWithin(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			for _, s := range sources {
				if _, ok := f.Tag.Lookup(s); ok {
					return fmt.Errorf("field %s of %s has the tag %s, which counts only in the request type and in structs embedded in it", f.Name, t, s)
				}
			}
			if !f.IsExported() && !f.Anonymous || f.Tag.Get("json") == "-" {
				continue
			}
			if err := decodableField(f, seen); err != nil {
				return fmt.Errorf("field %s of %s: %w", f.Name, t, err)
			}
		}
	}
	return nil
}

// add adds the fields of a struct and of the structs embedded in it. Only tagged fields count if the struct is not in the body.
func (b *binding) add(t reflect.Type, at []int, inBody bool) error {
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(append([]int(nil), at...), i)
		label := fmt.Sprintf("field %s of %s", f.Name, t)
		var source, name string
		for _, s := range sources {
			value, ok := f.Tag.Lookup(s)
			switch {
			case ok && source != "":
				return fmt.Errorf("%s has the tags %s and %s: a value has one source", label, source, s)
			case ok && (value == "" || strings.ContainsAny(value, ", ")):
				return fmt.Errorf("%s: its tag %s has %q, which is no name", label, s, value)
			case ok:
				source, name = s, value
			}
		}
		fieldInBody := inBody && f.Tag.Get("json") != "-"
		switch {
		case source == "" && f.Anonymous && f.Type.Kind() == reflect.Struct:
			if err := b.add(f.Type, index, fieldInBody); err != nil {
				return err
			}
			continue
		case source == "" && (f.IsExported() || f.Anonymous) && fieldInBody:
			if err := decodableField(f, make(map[reflect.Type]bool)); err != nil {
				return fmt.Errorf("%s: %w", label, err)
			}
			b.body = true
			continue
		case source == "":
			continue
		case !f.IsExported():
			return fmt.Errorf("%s has the tag %s, but is not exported", label, source)
		}
		set, err := setterOf(f.Type, source != "path")
		if err != nil {
			return fmt.Errorf("%s has the tag %s: %w", label, source, err)
		}
		if source == "header" {
			name = http.CanonicalHeaderKey(name)
		}
		b.query = b.query || source == "query"
		empty := source == "path" || takesEmpty(f.Type)
		b.fields = append(b.fields, field{index, source, name, label, f.Type, empty, set})
	}
	return nil
}

// bindings are the known bindings, by type.
var bindings sync.Map

// knownBinding is bindingOf, which runs only once for each type.
func knownBinding(t reflect.Type) (*binding, error) {
	if b, ok := bindings.Load(t); ok {
		return b.(*binding), nil
	}
	b, err := bindingOf(t)
	if err == nil {
		bindings.Store(t, b)
	}
	return b, err
}

// bodyRules say which bodies are accepted.
type bodyRules struct {
	max      int64
	optional bool // it may be empty
	strict   bool // it must not have unknown fields
}

// decode decodes a request into the value that the pointer points to.
func (b *binding) decode(ctx context.Context, r *http.Request, rules bodyRules, into any) error {
	if b.body {
		if err := b.decodeBody(r, rules, into); err != nil {
			return err
		}
	}
	if len(b.fields) == 0 && !b.pointer {
		return nil
	}
	return b.bind(ctx, reflect.ValueOf(into), r)
}

func (b *binding) decodeBody(r *http.Request, rules bodyRules, into any) error {
	body := jsonbody.For(b.keeps)
	defer body.Release()
	if err := readJSON(body, r, rules.max); err != nil {
		return err
	}
	if body.Len() == 0 && rules.optional {
		return nil
	}
	if err := body.Decode(into, rules.strict); err != nil {
		return jsonbody.Explain(body.Bytes(), err)
	}
	return nil
}

// bind sets the fields of the value that v points to. A field gets its value only from its source: values in the body are dropped.
func (b *binding) bind(ctx context.Context, v reflect.Value, r *http.Request) error {
	if b.pointer {
		if v.Elem().IsNil() { // there was no body, or null
			v.Elem().Set(reflect.New(v.Elem().Type().Elem()))
		}
		v = v.Elem()
	}
	var query url.Values
	if b.query {
		var err error
		if query, err = b.parseQuery(r.URL.RawQuery); err != nil {
			return err
		}
	}
	for _, f := range b.fields {
		target := v.Elem().FieldByIndex(f.index)
		target.SetZero()
		texts := f.texts(ctx, r, query)
		if f.misspelt(r, texts) {
			return fmt.Errorf("endpoint: the route %q has no param %q", r.Pattern, f.name)
		}
		if !f.empty {
			texts = nonEmpty(texts)
		}
		if len(texts) == 0 {
			continue
		}
		if err := f.set(target, texts); err != nil {
			return badRequest("%s %q: %w", f.source, f.name, err)
		}
	}
	return nil
}

// maxValues is how many values of one name a query may have. It is net/url's limit too.
const maxValues = 10_000

// parseQuery returns the values of the fields' names. It ignores pairs with other names, malformed or not.
//
// It does not use url.ParseQuery, which makes a map of all that a client sends.
func (b *binding) parseQuery(raw string) (url.Values, error) {
	query := make(url.Values)
	for _, f := range b.fields {
		if f.source == "query" {
			query[f.name] = nil
		}
	}
	for pair := range strings.SplitSeq(raw, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if key == "" {
			continue
		}
		name, err := url.QueryUnescape(key)
		values, wanted := query[name]
		if err != nil || !wanted {
			continue
		}
		text, err := url.QueryUnescape(value)
		switch {
		case err != nil:
			return nil, badRequest("query %q: %w", name, err)
		case strings.Contains(value, ";"): // some servers take it for an ampersand
			return nil, badRequest("query %q: a semicolon must be escaped", name)
		case len(values) == maxValues:
			return nil, badRequest("query %q: more than %d values", name, maxValues)
		}
		query[name] = append(values, text)
	}
	return query, nil
}

// nonEmpty returns the texts that are not empty.
func nonEmpty(texts []string) []string {
	isEmpty := func(text string) bool { return text == "" }
	if !slices.ContainsFunc(texts, isEmpty) {
		return texts
	}
	return slices.DeleteFunc(slices.Clone(texts), isEmpty)
}

// texts returns the field's texts in the request.
func (f *field) texts(ctx context.Context, r *http.Request, query url.Values) []string {
	switch f.source {
	case "query":
		return query[f.name]
	case "header":
		if f.name == "Host" && r.Host != "" { // net/http keeps it apart
			return []string{r.Host}
		}
		return r.Header[f.name]
	}
	if value := kami.Param(ctx, f.name); value != "" {
		return []string{value}
	}
	return []string{r.PathValue(f.name)}
}

// misspelt reports whether a param has no value because the route has no param of that name, in kami's notation or in net/http's. (A
// param of an outer mux has a value.)
func (f *field) misspelt(r *http.Request, texts []string) bool {
	if f.source != "path" || r.Pattern == "" || texts[0] != "" {
		return false
	}
	for segment := range strings.SplitSeq(r.Pattern, "/") {
		switch segment {
		case ":" + f.name, "*" + f.name, "{" + f.name + "}", "{" + f.name + "...}":
			return false
		}
	}
	return true
}

var (
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	duration        = reflect.TypeFor[time.Duration]()
	number          = reflect.TypeFor[json.Number]()
)

// takesEmpty reports whether an empty text is a valid value of the type. For example, it is no number, and it makes a bool true.
func takesEmpty(t reflect.Type) bool {
	switch {
	case reflect.PointerTo(t).Implements(textUnmarshaler), t.Kind() == reflect.Bool:
		return true
	case t.Kind() == reflect.Pointer:
		return t.Elem().Kind() == reflect.Bool
	case t.Kind() == reflect.Slice:
		return takesEmpty(t.Elem())
	}
	return t.Kind() == reflect.String && t != number
}

// setterOf returns the setter of a type. A slice takes several texts.
func setterOf(t reflect.Type, several bool) (setter, error) {
	if reflect.PointerTo(t).Implements(textUnmarshaler) {
		return unmarshalText, nil
	}
	switch {
	case t.Kind() == reflect.Pointer:
		set, err := setterOf(t.Elem(), false)
		if err != nil {
			return nil, err
		}
		return func(v reflect.Value, texts []string) error {
			v.Set(reflect.New(t.Elem()))
			return set(v.Elem(), texts)
		}, nil
	case t.Kind() == reflect.Slice && several && t.Elem().Kind() != reflect.Uint8:
		set, err := setterOf(t.Elem(), false)
		if err != nil {
			return nil, err
		}
		return func(v reflect.Value, texts []string) error {
			v.Set(reflect.MakeSlice(t, len(texts), len(texts)))
			for i := range texts {
				if err := set(v.Index(i), texts[i:]); err != nil {
					return err
				}
			}
			return nil
		}, nil
	}
	if t.Kind() == reflect.String && t != number {
		return func(v reflect.Value, texts []string) error {
			v.SetString(texts[0])
			return nil
		}, nil
	}
	parse, kind, err := parserOf(t)
	if err != nil {
		return nil, err
	}
	return func(v reflect.Value, texts []string) error {
		err := parse(v, strings.TrimSpace(texts[0]))
		switch {
		case errors.Is(err, strconv.ErrRange):
			return fmt.Errorf("%q is out of the range of %s", jsonbody.Excerpt(texts[0]), t)
		case err != nil:
			return fmt.Errorf("%q is not %s", jsonbody.Excerpt(texts[0]), kind)
		}
		return nil
	}, nil
}

// unmarshalText sets a value that implements encoding.TextUnmarshaler.
func unmarshalText(v reflect.Value, texts []string) error {
	err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(texts[0]))
	switch {
	case err == nil:
		return nil
	case len(texts[0]) > jsonbody.MaxQuoted: // the error's text may quote it more than once
		return jsonbody.Brief{Text: fmt.Sprintf("%q is no %s", jsonbody.Excerpt(texts[0]), v.Type()), Cause: err}
	}
	return fmt.Errorf("%q: %w", texts[0], err)
}

// parserOf returns the parser of a type, and the name of such a text for errors.
func parserOf(t reflect.Type) (parse func(v reflect.Value, text string) error, kind string, err error) {
	switch t {
	case duration:
		return func(v reflect.Value, text string) error {
			d, err := time.ParseDuration(text)
			v.SetInt(int64(d))
			return err
		}, "a duration", nil
	case number:
		return func(v reflect.Value, text string) error {
			if !isNumber(text) {
				return strconv.ErrSyntax
			}
			v.SetString(text)
			return nil
		}, "a number", nil
	}
	switch t.Kind() {
	case reflect.Bool:
		return func(v reflect.Value, text string) error {
			switch text {
			case "", "on":
				text = "true"
			case "off":
				text = "false"
			}
			b, err := strconv.ParseBool(text)
			v.SetBool(b)
			return err
		}, "true or false", nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(v reflect.Value, text string) error {
			n, err := strconv.ParseInt(text, 10, t.Bits())
			v.SetInt(n)
			return err
		}, "an integer", nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return func(v reflect.Value, text string) error {
			n, err := strconv.ParseUint(text, 10, t.Bits())
			v.SetUint(n)
			return err
		}, "an integer from 0 on", nil
	case reflect.Float32, reflect.Float64:
		return func(v reflect.Value, text string) error {
			n, err := strconv.ParseFloat(text, t.Bits())
			if math.IsNaN(n) || math.IsInf(n, 0) {
				err = cmp.Or(err, strconv.ErrSyntax) // JSON has no such numbers
			}
			v.SetFloat(n)
			return err
		}, "a number", nil
	}
	return nil, "", fmt.Errorf("%s cannot be made of a text: it must be a string, a bool, a number, a time.Duration, an encoding.TextUnmarshaler, or a pointer to such or (in query and header) a slice of such", t)
}

// isNumber reports whether a text is a JSON number.
func isNumber(text string) bool {
	return strings.Trim(text, "+-.0123456789eE") == "" && json.Valid([]byte(text))
}
