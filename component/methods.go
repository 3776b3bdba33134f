package component

import (
	"context"
	"errors"
	"fmt"
	"go/token"
	"net/url"
	"reflect"
	"strings"

	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/internal/jsonbody"
	"github.com/guregu/kami/internal/where"
	"github.com/guregu/kami/message"
)

var (
	contextType = reflect.TypeFor[context.Context]()
	bytesType   = reflect.TypeFor[[]byte]()
	errorType   = reflect.TypeFor[error]()
)

const acceptedMethods = "a handler takes (context.Context), (context.Context, *T) or (context.Context, []byte), " +
	"and returns nothing, error, (*R, error) or ([]byte, error)"

// newComponent makes a component of a struct.
func newComponent(c any, place where.Place, opts []Option) (*component, error) {
	o, err := newOptions(opts)
	if err != nil {
		return nil, err
	}
	v := reflect.ValueOf(c)
	typeName, err := typeNameOf(v)
	if err != nil {
		return nil, err
	}
	own := &component{typeName: v.Type().String(), place: place}
	if own.path, err = o.segments(typeName); err != nil {
		return nil, err
	}
	if own.hooks, err = hooksOf(v); err != nil {
		return nil, err
	}
	return own, own.find(v, typeName, &o)
}

// typeNameOf returns the name of the struct type that v points to, without type arguments.
func typeNameOf(v reflect.Value) (string, error) {
	if !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return "", errors.New("the component must not be nil")
	}
	t := v.Type()
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct || !token.IsExported(t.Elem().Name()) {
		return "", errors.New("a component must be a pointer to a struct of an exported type, such as *Room")
	}
	name, _, _ := strings.Cut(t.Elem().Name(), "[")
	return name, nil
}

// find finds the handlers among the methods of v.
func (c *component) find(v reflect.Value, typeName string, o *options) error {
	unavailable := endpoint.Error(503, "component: "+c.name()+" has not started, or stops")
	for i := range v.NumMethod() {
		name := v.Type().Method(i).Name
		if isHook(name) || !takesContext(v.Method(i).Type()) {
			continue
		}
		h, err := newHandler(v.Method(i), o.codecs)
		if err != nil {
			return fmt.Errorf("method %s is a %s: %w", name, v.Method(i).Type(), err)
		}
		h.gate, h.unavailable = &c.gate, unavailable
		h.method.Name = fmt.Sprintf("(*%s).%s", typeName, name)
		if err := h.locate(c.path, o.nameFunc(name)); err != nil {
			return fmt.Errorf("method %s: %w", name, err)
		}
		for _, other := range c.handlers {
			if other.pattern == h.pattern {
				return fmt.Errorf("the methods %s and %s have the same path %q: see component.WithNameFunc", other.method.Name, h.method.Name, h.pattern)
			}
		}
		c.handlers = append(c.handlers, h)
	}
	if len(c.handlers) == 0 {
		return errors.New("it has no handler: " + acceptedMethods)
	}
	return nil
}

// locate sets the path and the route of the handler.
func (h *handler) locate(above []string, name string) error {
	if err := checkSegment(name); err != nil {
		return err
	}
	var path string
	for _, segment := range append(above[:len(above):len(above)], name) {
		h.pattern += "/" + literal(segment)
		path += "/" + url.PathEscape(segment)
	}
	if h.method.Route = message.Route(path); h.method.Route == "" {
		return fmt.Errorf("the path %.300q is that of no route: it is too long, see message.Path", h.pattern)
	}
	return nil
}

// literal returns the segment of a pattern that matches only the text.
func literal(text string) string {
	if strings.IndexByte(":*", text[0]) >= 0 || text[0] == '\\' && len(text) > 1 && strings.IndexByte(`:*\`, text[1]) >= 0 {
		return `\` + text
	}
	return text
}

// takesContext reports whether a method's first parameter is a context.Context.
func takesContext(t reflect.Type) bool { return t.NumIn() > 0 && t.In(0) == contextType }

// newHandler returns the handler of a method, or an error that says which methods are accepted.
func newHandler(method reflect.Value, all codecs) (*handler, error) {
	t := method.Type()
	h := &handler{function: method, codecs: all}
	ok := !t.IsVariadic() && t.NumIn() <= 2 && t.NumOut() <= 2
	if ok && t.NumIn() == 2 {
		h.method.Request = t.In(1)
		ok = isPayload(t.In(1))
	}
	if ok && t.NumOut() > 0 {
		ok = t.Out(t.NumOut()-1) == errorType
		h.fails = true
	}
	if ok && t.NumOut() == 2 {
		h.method.Response = t.Out(0)
		ok = isPayload(t.Out(0))
	}
	if !ok {
		return nil, errors.New(acceptedMethods)
	}
	h.keeps = h.method.Request != nil && jsonbody.KeepsText(h.method.Request)
	return h, nil
}

// isPayload reports whether values of the type are decoded or encoded.
func isPayload(t reflect.Type) bool { return t == bytesType || t.Kind() == reflect.Pointer }
