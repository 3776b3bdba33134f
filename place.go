package kami

import (
	"errors"
	"fmt"
	"path"
	"reflect"
	"runtime"
	"strings"
	"sync"
)

var errMethod = errors.New("a method must be a token (RFC 9110, section 5.6.2)")

// refuse panics with what is wrong about a registration.
func refuse(what string, at place, rule error) {
	panic(fmt.Sprintf("kami: %s (%s): %v", what, at, rule))
}

// place is where something was registered: the counter of a call, as runtime.Callers returns it. Zero is nowhere.
type place uintptr

// String returns the file with its directory, and the line: app/routes.go:31.
func (p place) String() string {
	frame := frameOf(uintptr(p))
	dir, file := path.Split(frame.File)
	return fmt.Sprintf("%s:%d", path.Join(path.Base(dir), file), frame.Line)
}

func frameOf(counter uintptr) runtime.Frame {
	frame, _ := runtime.CallersFrames([]uintptr{counter}).Next()
	return frame
}

// entry is what is known of a registration: for which path, of what, and where.
type entry struct {
	path, name string
	place      place
}

// nameOf names what was registered: a function, as app.login or app.(*service).login, or else its type.
func nameOf(registered any) string {
	v := reflect.ValueOf(registered)
	if v.Kind() != reflect.Func {
		return fmt.Sprintf("%T", registered)
	}
	name := runtime.FuncForPC(v.Pointer()).Name()
	return strings.TrimSuffix(path.Base(name), "-fm") // as the functions of method values end
}

// ourPrefix begins the names of this package's functions.
var ourPrefix = reflect.TypeFor[Mux]().PkgPath() + "."

// ours remembers which counters are of this package's functions.
var ours sync.Map // from uintptr to bool

func isOurs(counter uintptr) bool {
	known, ok := ours.Load(counter)
	if !ok {
		known = strings.HasPrefix(frameOf(counter).Function, ourPrefix)
		ours.Store(counter, known)
	}
	return known.(bool)
}

// caller returns the place of the call into this package: the first frame that is not its own.
//
// optimization: it walks a few frames at a time, for the stack may be deep and the place is near, and looks but once into
// the tables that say what they are (BenchmarkC27Register100000).
func caller() place {
	var counters [4]uintptr
	for skip := 2; ; skip += len(counters) {
		n := runtime.Callers(skip, counters[:])
		for _, counter := range counters[:n] {
			if !isOurs(counter) {
				return place(counter)
			}
		}
		if n == 0 {
			return 0
		}
	}
}

// isToken reports whether s is a token of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	const others = "!#$%&'*+-.^_`|~"
	for i := range len(s) {
		c := s[i]
		letter, digit := 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9'
		if !letter && !digit && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return s != ""
}
