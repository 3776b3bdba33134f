// Package where finds the line of the program that has called kami.
package where

import (
	"fmt"
	"path"
	"runtime"
	"strings"
	"sync"
)

// Place is where something was registered: the counter of a call, as runtime.Callers returns it. Zero is nowhere.
type Place uintptr

// String returns the file with its directory, and the line: app/routes.go:31.
func (p Place) String() string {
	frame := frameOf(uintptr(p))
	dir, file := path.Split(frame.File)
	return fmt.Sprintf("%s:%d", path.Join(path.Base(dir), file), frame.Line)
}

func frameOf(counter uintptr) runtime.Frame {
	frame, _ := runtime.CallersFrames([]uintptr{counter}).Next()
	return frame
}

// ourPrefixes begin the names of the functions that register, or have others register.
var ourPrefixes = []string{
	"github.com/guregu/kami.",
	"github.com/guregu/kami/component.",
	"github.com/guregu/kami/internal/where.",
}

// ours remembers which counters are of these functions.
var ours sync.Map // from uintptr to bool

func isOurs(counter uintptr) bool {
	known, ok := ours.Load(counter)
	if !ok {
		name := frameOf(counter).Function
		own := false
		for _, prefix := range ourPrefixes {
			own = own || strings.HasPrefix(name, prefix)
		}
		known = own
		ours.Store(counter, known)
	}
	return known.(bool)
}

// Caller returns the place of the call into kami or package component: the first frame that is not their own.
//
// optimization: it walks a few frames at a time, because the stack may be deep and the place is near, and looks up each function only once
// (kami's BenchmarkC27Register100000).
func Caller() Place {
	var counters [4]uintptr
	for skip := 2; ; skip += len(counters) {
		n := runtime.Callers(skip, counters[:])
		for _, counter := range counters[:n] {
			if !isOurs(counter) {
				return Place(counter)
			}
		}
		if n == 0 {
			return 0
		}
	}
}
