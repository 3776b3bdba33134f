// Package restart tests that peers lose no call where their server is restarted: with real processes, by einhorn's and by systemd's
// protocol, for clients that follow a goaway and for those that know none. It goes on from the root's internal/restart.
//
//	go test ./compat/restart                    a short run
//	go test ./compat/restart -v -restarts 20    the long one
package restart
