package endpoint

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/guregu/kami/internal/jsonbody"
)

// JSONClient returns a Client of a method that [JSON] serves, for the same Req:
//
//	add := endpoint.JSONClient[addNote, note]("POST", "http://host/users/:id/notes").Endpoint()
//
// Fields with the tags path, query and header go there, and all other fields go into the body, as JSON. A param of the URL's path is
// replaced by the value of the field with that name, escaped; in a catch-all, such as *path, slashes stay slashes. Zero values of query
// and header are left out, because the server then has zero too. So is the body of a GET, HEAD or DELETE if its fields are zero. A
// segment that begins with a colon and is no param is written with %3A.
//
// The call fails with an error if a value could not arrive unchanged, such as a param that is empty or a dot segment, or a header with a
// line break. [DecodeJSONResponse] decodes the response.
//
// JSONClient panics if method or URL is invalid, if Req is a type that cannot be sent, or if the URL's path and Req do not have the same
// params. Types with a text form need both methods, MarshalText and UnmarshalText.
func JSONClient[Req, Resp any](method, target string, opts ...ClientOption) *Client[Req, Resp] {
	u, err := url.Parse(target)
	if err != nil {
		panic(fmt.Sprintf("endpoint: JSONClient: %v", err))
	}
	s, err := newSending(reflect.TypeFor[Req](), u, needsNoBody(method))
	if err != nil {
		panic(fmt.Sprintf("endpoint: JSONClient: %v", err))
	}
	encode := func(_ context.Context, r *http.Request, request Req) error {
		if err := s.encode(r, reflect.ValueOf(&request).Elem()); err != nil {
			return fmt.Errorf("endpoint: encoding %T: %w", request, err)
		}
		setHeaders(r, request)
		return nil
	}
	return NewClient(method, u, encode, DecodeJSONResponse[Resp], opts...)
}

// sending puts the fields of a request type where its binding looks for them.
type sending struct {
	*binding
	texts    []texter // of the binding's fields
	segments []string // of the path, escaped; a colon or an asterisk begins a param
	besides  []string // names of fields in the JSON that do not belong in the body
	zero     []byte   // the body that is left out
}

// newSending returns the sending of a type to the URL.
func newSending(t reflect.Type, u *url.URL, needsNoBody bool) (*sending, error) {
	b, err := knownBinding(t)
	if err != nil {
		return nil, err
	}
	s := &sending{binding: b, segments: strings.Split(u.EscapedPath(), "/")}
	var names, params []string
	for _, f := range b.fields {
		text, err := texterOf(f.kind)
		if err != nil {
			return nil, fmt.Errorf("%s has the tag %s: %w", f.label, f.source, err)
		}
		s.texts = append(s.texts, text)
		if f.source == "path" {
			names = append(names, f.name)
		}
	}
	for _, segment := range s.segments {
		if isParam(segment) {
			params = append(params, segment[1:])
		}
	}
	slices.Sort(names)
	slices.Sort(params)
	if !slices.Equal(slices.Compact(names), slices.Compact(params)) {
		return nil, fmt.Errorf("the path has the params %q, and the fields of %s with the tag path have %q", params, t, names)
	}
	if s.besides, err = besides(structOf(t)); err == nil && needsNoBody && b.body {
		s.zero, err = s.encodeBody(reflect.Zero(t))
	}
	return s, err
}

// structOf returns the type, or the type that it points to.
func structOf(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// isParam reports whether a segment stands for a value.
func isParam(segment string) bool { return segment != "" && (segment[0] == ':' || segment[0] == '*') }

// besides returns the names that tagged fields have in the JSON of a type, unless another field has the same name.
func besides(t reflect.Type) (names []string, err error) {
	if p := reflect.PointerTo(t); jsonbody.DecodesItself(t) || p.Implements(jsonMarshaler) || p.Implements(textMarshaler) {
		return nil, nil
	}
	fields := jsonFields{tagged: make(map[string]bool), others: make(map[string]bool), seen: make(map[reflect.Type]bool)}
	err = fields.add(t)
	for name := range fields.tagged {
		if !fields.others[name] {
			names = append(names, name)
		}
	}
	return names, err
}

// jsonFields are the names of a struct's fields in its JSON, those of embedded structs included.
type jsonFields struct {
	tagged, others map[string]bool
	seen           map[reflect.Type]bool
}

func (j *jsonFields) add(t reflect.Type) error {
	if j.seen[t] || t.Kind() != reflect.Struct {
		return nil
	}
	j.seen[t] = true
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		tagged := sourceOf(f) != ""
		switch {
		case f.Tag.Get("json") == "-":
		case f.Anonymous && !tagged && structOf(f.Type).Kind() == reflect.Struct:
			within := jsonFields{make(map[string]bool), j.others, j.seen}
			if name == "" {
				within.tagged = j.tagged
			}
			if err := within.add(structOf(f.Type)); err != nil {
				return err
			}
			if name != "" && len(within.tagged) > 0 {
				return fmt.Errorf("field %s of %s is embedded, and has fields with tags of path, query or header, but a name in the JSON", f.Name, t)
			}
		case tagged:
			j.tagged[cmp.Or(name, f.Name)] = true
		case f.IsExported():
			j.others[cmp.Or(name, f.Name)] = true
		}
	}
	return nil
}

// sourceOf returns the source that the field's tag names, or "".
func sourceOf(f reflect.StructField) string {
	for _, s := range sources {
		if _, ok := f.Tag.Lookup(s); ok {
			return s
		}
	}
	return ""
}

// encode makes an HTTP request of the request v.
func (s *sending) encode(r *http.Request, v reflect.Value) error {
	if s.body {
		text, err := s.encodeBody(v)
		if err != nil {
			return err
		}
		if s.zero == nil || !bytes.Equal(text, s.zero) {
			setBody(r, jsonType, text)
		}
	}
	if s.pointer {
		if v.IsNil() {
			v = reflect.New(v.Type().Elem())
		}
		v = v.Elem()
	}
	params, query := make(map[string]string), make(url.Values)
	for i, f := range s.fields {
		field := v.FieldByIndex(f.index)
		if f.source != "path" && field.IsZero() {
			continue
		}
		texts, err := s.texts[i](field)
		if err == nil && f.source == "header" {
			err = checkHeader(texts)
		}
		switch {
		case err != nil:
			return fmt.Errorf("%s %q: %w", f.source, f.name, err)
		case len(texts) == 0:
		case f.source == "query":
			query[f.name] = append(query[f.name], texts...)
		case f.source == "path":
			params[f.name] = texts[0]
		case f.name == "Host": // net/http keeps it apart
			r.Host = texts[0]
		default:
			r.Header[f.name] = append(r.Header[f.name], texts...)
		}
	}
	if len(query) > 0 {
		r.URL.RawQuery = strings.TrimPrefix(r.URL.RawQuery+"&"+query.Encode(), "&")
	}
	return s.setPath(r.URL, params)
}

// setPath sets the path, with the values of the params.
func (s *sending) setPath(u *url.URL, params map[string]string) (err error) {
	if len(params) == 0 {
		return nil
	}
	segments := slices.Clone(s.segments)
	for i, segment := range segments {
		if !isParam(segment) {
			continue
		}
		value := params[segment[1:]]
		parts := strings.Split(value, "/")
		if slices.ContainsFunc(parts, isDots) {
			return fmt.Errorf("path %q: %q has a dot segment, which servers clean away", segment[1:], jsonbody.Excerpt(value))
		}
		if value == "" || segment[0] == '*' && slices.Contains(parts, "") {
			return fmt.Errorf("path %q: %q has an empty segment", segment[1:], jsonbody.Excerpt(value))
		}
		if segments[i] = url.PathEscape(value); segment[0] == '*' {
			segments[i] = strings.ReplaceAll(segments[i], "%2F", "/")
		}
	}
	u.RawPath = strings.Join(segments, "/")
	u.Path, err = url.PathUnescape(u.RawPath)
	return err
}

func isDots(part string) bool { return part == "." || part == ".." }

// checkHeader refuses values that a header cannot have, and values with space around them, which would be lost.
func checkHeader(values []string) error {
	for _, value := range values {
		if strings.ContainsFunc(value, isControl) || strings.Trim(value, " \t") != value {
			return fmt.Errorf("%q is no value of a header", jsonbody.Excerpt(value))
		}
	}
	return nil
}

func isControl(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }

// encodeBody returns the JSON of all fields of the body.
func (s *sending) encodeBody(v reflect.Value) ([]byte, error) {
	if s.pointer && v.IsNil() {
		v = reflect.New(v.Type().Elem())
	}
	if !s.pointer { // methods of a pointer count too, as they do when it is decoded
		pointer := reflect.New(v.Type())
		pointer.Elem().Set(v)
		v = pointer
	}
	text, err := json.Marshal(v.Interface())
	if err != nil || len(s.besides) == 0 {
		return text, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	for _, name := range s.besides {
		delete(fields, name)
	}
	return json.Marshal(fields)
}
