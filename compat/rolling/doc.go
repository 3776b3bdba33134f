// Package rolling restarts a server of peers under the load of clients, with real processes, by einhorn's and by systemd's protocol.
// The program of the test is the server too: its TestMain calls Serve.
package rolling
