//go:build unix

package main

import "syscall"

// openFiles raises the number of files that this process may open as far as it may, and returns it.
func openFiles() uint64 {
	var files syscall.Rlimit
	must(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files))
	files.Cur = files.Max
	must(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &files))
	return files.Max
}
