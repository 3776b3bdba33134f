// Package funcs converts and names the functions, and the other values, that are registered.
package funcs

import (
	"fmt"
	"path"
	"reflect"
	"runtime"
	"strings"
)

// NameOf returns the name of a function, such as app.login or app.(*service).login, or the type of another value.
func NameOf(registered any) string {
	v := reflect.ValueOf(registered)
	if v.Kind() != reflect.Func {
		return fmt.Sprintf("%T", registered)
	}
	name := runtime.FuncForPC(v.Pointer()).Name()
	return strings.TrimSuffix(path.Base(name), "-fm") // the end of method values' names
}

// As converts a function to a type with the same signature.
func As[F any](function any) (converted F, ok bool) {
	v, target := reflect.ValueOf(function), reflect.TypeFor[F]()
	if v.Kind() != reflect.Func || !v.CanConvert(target) {
		return converted, false
	}
	return v.Convert(target).Interface().(F), true
}

// IsNil reports whether v is nil, or a nil function or pointer in an interface.
func IsNil(v any) bool {
	switch value := reflect.ValueOf(v); value.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Func, reflect.Pointer:
		return value.IsNil()
	default:
		return false
	}
}
