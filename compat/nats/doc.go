// Package nats tests that the tools of NATS see and call the servers of a cluster: the command line tool, and the client for JavaScript.
//
//	GOBIN=$PWD/compat/nats/testdata/bin GOWORK=off go install github.com/nats-io/natscli/nats@v0.5.0
//	npm --prefix compat/nats/testdata ci --ignore-scripts
//	go test ./compat/nats
package nats
