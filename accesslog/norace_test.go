//go:build !race

package accesslog_test

const race = false
