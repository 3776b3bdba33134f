//go:build !race

package message_test

const race = false
