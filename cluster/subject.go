package cluster

import (
	"fmt"
	"strings"
)

// tree is the tree of the clients' subjects or the tree of the servers', so that no route of one can reach the other.
type tree string

const (
	handlersTree tree = "h"
	remotesTree  tree = "r"
)

// alone is the segment after the type of a route that is only a type. No route has such a segment.
const alone = "%"

// maxSubject is how many bytes a subject may have. With the subject for the answer it fits into the 4096 bytes of NATS's control line.
const maxSubject = 2048

// subjects makes the names of a cluster's subjects. It is their prefix, with a dot.
type subjects string

// call returns the subject of calls of a route, to any server.
func (p subjects) call(t tree, route string) string {
	if strings.IndexByte(route, '.') < 0 {
		route += "." + alone
	}
	return string(p) + string(t) + "." + route
}

// calls returns the subject of all calls of a type's routes.
func (p subjects) calls(t tree, serverType string) string {
	return string(p) + string(t) + "." + serverType + ".>"
}

// to returns the subject of calls to one server.
func (p subjects) to(id string, t tree, route string) string {
	return string(p) + "to." + id + "." + string(t) + "." + route
}

func (p subjects) cancel(serverType string) string { return string(p) + "c." + serverType }
func (p subjects) presence(serverType, id string) string {
	return string(p) + "p." + serverType + "." + id
}
func (p subjects) presences() string { return string(p) + "p.>" }
func (p subjects) front(frontType, what string) string {
	return string(p) + "u." + frontType + "." + what
}
func (p subjects) group(frontType, name string) string {
	return string(p) + "g." + frontType + "." + escape(name)
}

// route returns the tree and the route of a call's subject.
func (p subjects) route(subject string) (t tree, route string) {
	rest := strings.TrimPrefix(subject, string(p))
	if own, ok := strings.CutPrefix(rest, "to."); ok {
		_, rest, _ = strings.Cut(own, ".")
		name, route, _ := strings.Cut(rest, ".")
		return tree(name), route
	}
	name, route, _ := strings.Cut(rest, ".")
	return tree(name), strings.TrimSuffix(route, "."+alone)
}

// typeOf returns the type that a route names.
func typeOf(route string) string {
	name, _, _ := strings.Cut(route, ".")
	return name
}

// escape returns a name as one segment of a subject. Different names have different segments.
func escape(name string) string {
	if nameRule.MatchString(name) {
		return name
	}
	const digits = "0123456789ABCDEF"
	b := make([]byte, 0, 3*len(name)+1)
	for i := range len(name) {
		c := name[i]
		if c == '-' || c == '_' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' {
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	if len(b) == 0 {
		return alone
	}
	return string(b)
}

// checkSubject returns an error for a subject that NATS would refuse, or for which it would close the connection.
func checkSubject(subject string) error {
	if len(subject) > maxSubject {
		return fmt.Errorf("%w: its subject %.100q… has %d bytes, more than %d", errBadMessage, subject, len(subject), maxSubject)
	}
	if strings.HasPrefix(subject, ".") || strings.HasSuffix(subject, ".") || strings.Contains(subject, "..") {
		return fmt.Errorf("%w: its subject %q has an empty segment", errBadMessage, subject)
	}
	if strings.ContainsAny(subject, " \t\r\n\x00*>") {
		return fmt.Errorf("%w: its subject %q has a space or a wildcard", errBadMessage, subject)
	}
	return nil
}
