// Messaging measures peers and clusters beside the same exchange written by hand, the floor, and beside other packages that do it:
//
//	go run ./bench/messaging                                         prints the page
//	go run ./bench/messaging -write docs/performance-messaging.md  writes it
//	go run ./bench/messaging -rows 'calls' -turns 20               measures some rows, faster
//
// Contestants take turns, so that whatever else the machine does slows all of them down. A ratio is the median of those of the turns. Let
// the machine rest meanwhile.
package main
