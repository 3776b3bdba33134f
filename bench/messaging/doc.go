// Messaging measures peers and clusters. It compares them with the same exchange written by hand, the floor, and with other packages:
//
//	go run ./bench/messaging                                         prints the page
//	go run ./bench/messaging -write docs/performance-messaging.md  writes it
//	go run ./bench/messaging -rows 'calls' -turns 20               measures some rows, faster
//
// Contestants take turns, so that other work on the machine slows all of them down alike. A ratio is the median of the ratios of the
// turns. Let the machine rest meanwhile.
package main
