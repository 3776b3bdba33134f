package endpoint

import (
	"fmt"
	"path"
	"reflect"
	"regexp"
	"runtime"
	"strings"
)

// HandlerName returns the Endpoint's function with its types, without their packages: main.(*service).Sum(sumRequest)
// sumResponse. kami's Routes, Explain and Check show it as the name of the Server.
func (s *Server[Req, Resp]) HandlerName() string { return s.name() }

// makeName makes the name.
func (s *Server[Req, Resp]) makeName() string {
	name := runtime.FuncForPC(reflect.ValueOf(s.function).Pointer()).Name()
	name = strings.TrimSuffix(path.Base(name), "-fm") // the end of method values' names
	return fmt.Sprintf("%s(%s) %s", name, short(reflect.TypeFor[Req]()), short(reflect.TypeFor[Resp]()))
}

var (
	packagePath = regexp.MustCompile(`[\w./~%-]+\.|·\d+`) // and the number of a type that a function declares
	comma       = regexp.MustCompile(`, *`)
)

// short returns the type without packages, and without the content of types that have no name.
func short(t reflect.Type) string {
	if t.Name() != "" {
		return comma.ReplaceAllString(packagePath.ReplaceAllString(t.Name(), ""), ", ")
	}
	switch t.Kind() {
	case reflect.Pointer:
		return "*" + short(t.Elem())
	case reflect.Slice:
		return "[]" + short(t.Elem())
	case reflect.Array:
		return fmt.Sprintf("[%d]%s", t.Len(), short(t.Elem()))
	case reflect.Map:
		return fmt.Sprintf("map[%s]%s", short(t.Key()), short(t.Elem()))
	case reflect.Struct:
		if t.NumField() == 0 {
			return "struct{}"
		}
		return "struct{…}"
	case reflect.Interface:
		if t.NumMethod() == 0 {
			return "any"
		}
		return "interface{…}"
	default:
		return t.Kind().String()
	}
}
