package cluster

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/guregu/kami/message"
)

// FuzzSubjects checks that the subject of a client's route is always below the handlers of the route's type, and that a group is one
// segment of a subject.
func FuzzSubjects(f *testing.F) {
	for _, path := range []string{"/room/match/find", "/room", "/room/a.b/*/>", "/room/%2E%2E/r", "/$SRV/PING", "/room/\r\n", "/ro.om/x", "/room//x", "/room/%25"} {
		f.Add(path, "room", "id-1", "a.b")
	}
	f.Fuzz(func(t *testing.T, path, serverType, id, group string) {
		p := subjects("kami.")
		if nameRule.MatchString(serverType) {
			g := p.group(serverType, group)
			rest, ok := strings.CutPrefix(g, "kami.g."+serverType+".")
			if !ok || rest == "" || strings.ContainsAny(rest, ".*> \r\n\t") {
				t.Errorf("the group %q is the subject %q", group, g)
			}
			if text, err := url.PathUnescape(rest); group != "" && (err != nil || text != group) {
				t.Errorf("the group %q is the segment %q", group, rest)
			}
		}
		route := message.Route((&url.URL{Path: path}).EscapedPath())
		if route == "" || !nameRule.MatchString(id) {
			return
		}
		for _, subject := range []string{p.call(handlersTree, route), p.to(id, handlersTree, route)} {
			if err := checkSubject(subject); err != nil {
				t.Errorf("%q is the subject %q: %v", path, subject, err)
			}
			in, got := p.route(subject)
			if in != handlersTree || got != route {
				t.Errorf("%q comes on %q, and is taken for %q of the tree %q", route, subject, got, in)
			}
		}
		if subject := p.call(handlersTree, route); !strings.HasPrefix(subject, "kami.h."+typeOf(route)+".") {
			t.Errorf("%q is the subject %q", route, subject)
		}
	})
}

// FuzzSnapshots checks that reading a session from any text does not panic, and returns either a session or an error.
func FuzzSnapshots(f *testing.F) {
	for _, text := range []string{`a/c/d/b/{"x":1}`, "a/c/d/%ff", "///", "", `a///{"x":}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := new(service).readSnapshot(text)
		if (s == nil) == (err == nil) {
			t.Fatalf("got %v, %v", s, err)
		}
		if err != nil {
			return
		}
		snapshot, err := s.Snapshot()
		if err != nil {
			t.Fatalf("what was read cannot travel again: %v", err)
		}
		if again, err := json.Marshal(snapshot); err != nil || !json.Valid(again) {
			t.Errorf("got %s, %v", again, err)
		}
	})
}

// FuzzFrames checks that reading a question from any bytes does not panic, and that a question that was read can be sent again.
func FuzzFrames(f *testing.F) {
	data, _ := frame(&question{Op: opPush, Route: "a.b"}, []byte("{}"))
	f.Add(data)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		q, body, err := unframe(data)
		if err != nil {
			return
		}
		again, err := frame(q, body)
		if err != nil {
			t.Fatal(err)
		}
		if _, got, err := unframe(again); err != nil || string(got) != string(body) {
			t.Errorf("got %q, %v, want %q", got, err, body)
		}
	})
}
