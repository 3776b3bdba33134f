// Package restart tests that peers lose no call where their server is restarted: with real processes, by einhorn's and by systemd's
// protocol, for clients that follow a goaway and for those that know none. It goes on from the root's internal/restart.
//
// So it does where a front of a cluster is, whose clients resume their sessions at the next one, and a back end.
//
//	go test ./compat/restart                                                         a short run
//	go test ./compat/restart -run TestP16 -v -restarts 20                            the long one
//	go test ./compat/restart -run TestFrontRestarts -v -restarts 20 -sessions 2000   that of a cluster
package restart
