// Package pathvalues knows where net/http keeps the path values of a request.
package pathvalues

import (
	"net/http"
	"reflect"
)

// Shared reports whether the request has path values. Plain copies of it share them.
func Shared(r *http.Request) bool {
	for _, field := range fields {
		if reflect.ValueOf(r).Elem().FieldByIndex(field).Len() > 0 {
			return true
		}
	}
	return len(fields) < 2
}

// fields are the fields in which net/http keeps path values, which no method lists. If another release lacks them, all
// requests count as having path values.
var fields = func() (indices [][]int) {
	for _, name := range []string{"matches", "otherValues"} {
		field, ok := reflect.TypeFor[http.Request]().FieldByName(name)
		if ok && (field.Type.Kind() == reflect.Map || field.Type.Kind() == reflect.Slice) {
			indices = append(indices, field.Index)
		}
	}
	return indices
}()
