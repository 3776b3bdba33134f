// Package peers tests what peers promise to others: to kami's own client in Node and in Chromium, and to clients of JSON-RPC that know
// nothing of kami, as they come from npm. All of them talk to a real server over loopback. testdata has their programs and the exact
// versions.
//
//	npm --prefix compat/peers/testdata ci --ignore-scripts
//	go test ./compat/peers                    a short run
//	go test ./compat/peers -v -restarts 20    with the long run of restarts
package peers
