package message_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/message"
)

func TestM04Path(t *testing.T) {
	tests := []struct{ route, path string }{
		{"room", "/room"},
		{"room.join", "/room/join"},
		{"a%2Eb.c%2Fd", "/a.b/c%2Fd"},
		{"%24SYS.$x", "/$SYS/$x"},
		{"a$", "/a$"},
		{"50%25", "/50%25"},
		{"a%20b.%2A.%3E", "/a%20b/%2A/%3E"},
		{"%0A%7F", "/%0A%7F"},
		{"%FF", "/%FF"},
		{"é", "/%C3%A9"},
		{"\ufffd", "/%EF%BF%BD"},
		{"who?.#1:x", "/who%3F/%231:x"},
		{"a.b%2F", "/a/b%2F"},
		{strings.Repeat("a.", 31) + "a", strings.Repeat("/a", 32)},
	}
	for _, test := range tests {
		path, err := message.Path(test.route)
		require.NoError(t, err, test.route)
		assert.Equal(t, test.path, path, test.route)
		assert.Equal(t, test.route, message.Route(path), path)
	}
}

// malformed has invalid routes, and their errors.
var malformed = []struct{ route, wrong string }{
	{"", "message: the route is empty"},
	{".a", `message: route ".a": a segment is empty`},
	{"a.", `message: route "a.": a segment is empty`},
	{"a..b", `message: route "a..b": a segment is empty`},
	{"a%", `message: route "a%": invalid URL escape "%"`},
	{"a%2x", `message: route "a%2x": invalid URL escape "%2x"`},
	{"%61", `message: route "%61": "%61" is spelled "a"`},
	{"a%2eb", `message: route "a%2eb": "a%2eb" is spelled "a%2Eb"`},
	{"a/b", `message: route "a/b": "a/b" is spelled "a%2Fb"`},
	{"a.*", `message: route "a.*": "*" is spelled "%2A"`},
	{"a.>", `message: route "a.>": ">" is spelled "%3E"`},
	{"a b", `message: route "a b": "a b" is spelled "a%20b"`},
	{"a\n", `message: route "a\n": "a\n" is spelled "a%0A"`},
	{"a\xff", `message: route "a\xff": "a\xff" is spelled "a%FF"`},
	{"$SYS.a", `message: route "$SYS.a": "$SYS" is spelled "%24SYS"`},
	{"a.%24b", `message: route "a.%24b": "%24b" is spelled "$b"`},
	{"a.%2E%2E.b", `message: route "a.%2E%2E.b": its path "/a/../b" is not clean`},
	{"%2E", `message: route "%2E": its path "/." is not clean`},
	{"a.b%2F%2E%2E%2Fc", `message: route "a.b%2F%2E%2E%2Fc": its path "/a/b/../c" is not clean`},
	{"a.%2F.b", `message: route "a.%2F.b": its path "/a///b" is not clean`},
	{"%2Fa", `message: route "%2Fa": its path "//a" is not clean`},
	{strings.Repeat("a.", 32) + "a", `message: route "` + strings.Repeat("a.", 32) + `a": it has more than 32 segments`},
	{strings.Repeat("a", 256), `message: route "` + strings.Repeat("a", 256) + `": it has 256 bytes, more than 255`},
}

func TestM04MalformedRoutes(t *testing.T) {
	for _, test := range malformed {
		_, err := message.Path(test.route)
		require.EqualError(t, err, test.wrong)
		reply := message.Serve(t.Context(), nil, &message.Message{Route: test.route})
		assert.Equal(t, 400, reply.Status, test.route)
		assert.Equal(t, test.wrong+"\n", string(reply.Body))
	}
	_, err := message.Path(strings.Repeat("a", 1<<20))
	assert.Less(t, len(err.Error()), 400)
}

func TestM04PathsWithoutARoute(t *testing.T) {
	for _, path := range []string{"", "/", "room", "//", "/a//b", "/a/../b", "/a/%2E%2E/b", "/a%2F..", "/a%", strings.Repeat("/a", 33)} {
		assert.Empty(t, message.Route(path), path)
	}
	assert.Equal(t, "room.join", message.Route("/room/join/"))
	assert.Equal(t, "room.:id", message.Route("/room/:id"))
}

func TestM04Subject(t *testing.T) {
	tests := []struct{ pattern, subject string }{
		{"/room/:id/*rest", "room.*.>"},
		{"/room/join", "room.join"},
		{"/room/", "room"},
		{"/a.b/:/*", "a%2Eb.*.>"},
		{"/\\:x/$y", ":x.$y"},
		{"/$SYS", "%24SYS"},
		{"/", ""},
		{"room", ""},
		{"/a//b", ""},
	}
	for _, test := range tests {
		assert.Equal(t, test.subject, message.Subject(test.pattern), test.pattern)
	}
}

func FuzzM04Routes(f *testing.F) {
	for _, seed := range []string{"room.join", "a%2Eb.c%2Fd", "%24", "a.%2E%2E.b", "\xff", "é.\ufffd", "%FF%C3", "a..", "/a.b/c%2Fd", "/%2e/x", "/a/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if path, err := message.Path(text); err == nil {
			require.Equal(t, text, message.Route(path), "%q", path)
			u, err := url.ParseRequestURI(path)
			require.NoError(t, err)
			require.Equal(t, path, u.EscapedPath())
			require.NotContains(t, "/"+u.Path+"/", "/../")
			require.NotContains(t, u.Path, "//")
		}
		if route := message.Route(text); route != "" {
			path, err := message.Path(route)
			require.NoError(t, err)
			want, err := url.PathUnescape(strings.TrimSuffix(text, "/"))
			require.NoError(t, err)
			got, err := url.PathUnescape(path)
			require.NoError(t, err)
			require.Equal(t, want, got)
			require.Equal(t, strings.Count(strings.TrimSuffix(text, "/"), "/"), strings.Count(path, "/"))
		}
	})
}
