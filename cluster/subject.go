package cluster

import (
	"fmt"
	"strings"
)

// tree is one of the two that clients and servers call, so that no route of the one can reach the other.
type tree string

const (
	handlersTree tree = "h"
	remotesTree  tree = "r"
)

// alone takes the place of the rest of a route that is only a type. No route has such a segment.
const alone = "%"

// maxSubject is how long a subject may be: with the subject for the answer it fits into the 4096 bytes of NATS's control line.
const maxSubject = 2048

// subjects are the names of a cluster's subjects. It is their prefix, with a dot.
type subjects string

// call is where calls of a route go, whoever serves it.
func (p subjects) call(t tree, route string) string {
	if strings.IndexByte(route, '.') < 0 {
		route += "." + alone
	}
	return string(p) + string(t) + "." + route
}

// calls is where the calls of a type's routes go.
func (p subjects) calls(t tree, serverType string) string {
	return string(p) + string(t) + "." + serverType + ".>"
}

// to is where calls of one server go.
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

// route returns the tree and the route of a subject that a call has come on.
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

// escape returns a name as one segment of a subject. Different names are different segments.
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

// checkSubject says what is wrong with a subject that NATS would not take, or take as a reason to close the connection.
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
