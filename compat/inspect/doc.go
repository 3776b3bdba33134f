// Package inspect tests the page of kami's package inspect as people meet it: in Chromium, which Debian's package of
// that name brings. Where there is none the tests say so and skip.
//
// They also take the README's picture, docs/inspect.png, of a page that is being served; greeting's, for example:
//
//	go run ./examples/greeting
//	go test ./compat/inspect -run Screenshot -screenshot ../../docs/inspect.png -page http://localhost:8000/debug/kami
//
// Without -page the picture is of an application with hundreds of routes, to be looked at after a change:
//
//	go test ./compat/inspect -run Screenshot -screenshot /tmp/narrow.png -width 390 -scheme dark -query 'q=delete api'
package inspect
