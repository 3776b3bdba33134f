// Package restart tests restarts with real processes: the worker under einhorn's and systemd's protocols, without a
// supervisor, and under systemd-socket-activate where that is installed.
//
//	go test ./internal/restart               a short run
//	go test ./internal/restart -restarts 20  the long one: 20 restarts a cell, 100 stops under churn, 40 and 10 on a blocking socket
package restart
