//go:build unix

package main

import "syscall"

// openFiles raises the limit of open files of this process as far as the system allows, and returns it.
func openFiles() uint64 {
	var files syscall.Rlimit
	must(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files))
	files.Cur = files.Max
	must(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &files))
	return files.Max
}
