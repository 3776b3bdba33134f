package peer

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/guregu/kami/message"
)

// peerHeader is the header in which both sides name themselves: name/version/id, each escaped as in a path.
const peerHeader = "Kami-Peer"

// Info describes the other side of a connection. Nothing proves what a client says of itself. Name, Version and ID are "" for a
// client that does not name itself.
type Info struct {
	Name       string `json:"name"`
	Version    string `json:"version"`
	ID         string `json:"id"`
	RemoteAddr string `json:"remoteAddr,omitempty"` // as in http.Request
}

func (i Info) header() string {
	return url.PathEscape(i.Name) + "/" + url.PathEscape(i.Version) + "/" + url.PathEscape(i.ID)
}

// infoOf parses the header.
func infoOf(header http.Header, remote string) Info {
	const most = 1 << 10
	info := Info{RemoteAddr: remote}
	text := header.Get(peerHeader)
	parts := strings.Split(text, "/")
	if len(text) > most || len(parts) != 3 {
		return info
	}
	for i, into := range []*string{&info.Name, &info.Version, &info.ID} {
		part, err := url.PathUnescape(parts[i])
		if err != nil {
			return Info{RemoteAddr: remote}
		}
		*into = part
	}
	return info
}

// version is a version of semver.org 2.0.0.
var version = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)` +
	`(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?$`)

// check says what is wrong with the Node's fields.
func (n *Node) check() error {
	switch {
	case n.Name == "":
		return fmt.Errorf("peer: the Node has no Name")
	case !version.MatchString(n.Version):
		return fmt.Errorf("peer: the Version of Node %q is %q, and should be one of semver.org, such as 1.2.3", n.Name, n.Version)
	}
	return nil
}

// builtin answers the built-in methods for which the Handler has no route.
func (n *Node) builtin(route string) *message.Reply {
	switch route {
	case methodPing:
		return &message.Reply{Status: http.StatusOK, Body: []byte(`"pong"`)}
	case methodInfo:
		body, _ := json.Marshal(n.info())
		return &message.Reply{Status: http.StatusOK, Body: body}
	}
	return nil
}
