// Package supervise runs programs that serve, as their supervisors do, for tests with real processes and signals. It has
// stand-ins for the two supervisors that kami knows through goji/bind, and keeps to their protocols byte for byte:
//
//	              socket inherited as     ready when       a new process
//	[Einhorn]     $EINHORN_FD_0           its ACK came     starts before the old one ends
//	[Systemd]     3                       READY=1 came     starts after the old one has ended
//	[StartBound]  (none: -bind)           it logged where
//
// A connection that comes while no process accepts waits in the queue of the socket, which the supervisor keeps open.
package supervise
