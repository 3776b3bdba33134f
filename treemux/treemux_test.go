package treemux_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/treemux"
)

type tree = treemux.Tree[string]

func parse(t testing.TB, path string) treemux.Pattern {
	pattern, err := treemux.Parse(path)
	require.NoError(t, err, path)
	return pattern
}

// add returns the tree with each path as a pattern, and as the pattern's value.
func add(t testing.TB, to tree, paths ...string) tree {
	for _, path := range paths {
		var err error
		to, err = to.With(parse(t, path), func(string) (string, error) { return path, nil })
		require.NoError(t, err)
	}
	return to
}

// look returns the value and the params that Lookup finds, such as "/a/:x x=1", or "" if it finds none.
func look(t testing.TB, in tree, path string, decode func(string) string) string {
	var spans treemux.Spans
	found, ok := in.Lookup(path, &spans, &treemux.Options[string]{Decode: decode})
	if !ok {
		assert.Empty(t, found)
		assert.Zero(t, spans.Len())
		return ""
	}
	return bound(t, found, path, all(&spans))
}

func all(spans *treemux.Spans) (list []treemux.Span) {
	for i := range spans.Len() {
		list = append(list, spans.At(i))
	}
	return list
}

func bound(t testing.TB, pattern, path string, spans []treemux.Span) string {
	names := parse(t, pattern).Names()
	require.Len(t, spans, len(names))
	for i, span := range spans {
		pattern += fmt.Sprintf(" %s=%s", names[i], path[span.Start:span.End])
	}
	return pattern
}

func unescape(s string) string {
	plain, err := url.PathUnescape(s)
	if err != nil {
		return s
	}
	return plain
}

func TestC20Parse(t *testing.T) {
	const static, param, catchAll = treemux.Static, treemux.Param, treemux.CatchAll
	type segments = []treemux.Segment
	for _, test := range []struct {
		path  string
		want  segments
		slash bool
		names []string
	}{
		{"/", nil, true, nil},
		{"/a", segments{{static, "a"}}, false, nil},
		{"/a/", segments{{static, "a"}}, true, nil},
		{"/:x/b/*rest", segments{{param, "x"}, {static, "b"}, {catchAll, "rest"}}, false, []string{"x", "rest"}},
		{"/:/:/*", segments{{param, ""}, {param, ""}, {catchAll, ""}}, false, []string{"", "", ""}},
		{`/\:x/\*y/\\z`, segments{{static, ":x"}, {static, "*y"}, {static, `\z`}}, false, nil},
		{`/\/\x/a\:`, segments{{static, `\`}, {static, `\x`}, {static, `a\:`}}, false, nil},
		{"/a/*rest/", segments{{static, "a"}, {catchAll, "rest"}}, false, []string{"rest"}},
		{"/*/", segments{{catchAll, ""}}, false, []string{""}},
		{"/a:b/c*d", segments{{static, "a:b"}, {static, "c*d"}}, false, nil},
	} {
		got, err := treemux.Parse(test.path)
		require.NoError(t, err, test.path)
		assert.Equal(t, treemux.Pattern{Segments: test.want, Slash: test.slash}, got, test.path)
		assert.Equal(t, test.names, got.Names(), test.path)
		assert.Equal(t, len(test.names) > 0, got.Wild(), test.path)
		assert.Equal(t, strings.Contains(test.path, "/*"), got.CatchAll(), test.path)
	}
}

func TestC26ParseErrors(t *testing.T) {
	for path, want := range map[string]string{
		"":             `a path must begin with "/"`,
		"a/b":          `a path must begin with "/"`,
		"*":            `a path must begin with "/"`,
		"//":           `a path must have no empty segment ("//")`,
		"/a//b":        `a path must have no empty segment ("//")`,
		"//a":          `a path must have no empty segment ("//")`,
		"/a//":         `a path must have no empty segment ("//")`,
		"/a/*rest/b":   `nothing may follow the catch-all "*rest"`,
		"/a/*rest//":   `nothing may follow the catch-all "*rest"`,
		"/:id/b/:id":   `the name "id" must not be used twice in one path`,
		"/:id/b/*id":   `the name "id" must not be used twice in one path`,
		"/*a/*b":       `nothing may follow the catch-all "*a"`,
		"/:id//:id/*r": `a path must have no empty segment ("//")`,
		"/a/./b":       `a path must have no dot segment ("."): it is resolved before anything matches`,
		"/a/..":        `a path must have no dot segment (".."): it is resolved before anything matches`,
	} {
		_, err := treemux.Parse(path)
		assert.EqualError(t, err, want, path)
	}
}

func TestC20Lookup(t *testing.T) {
	all := add(t, tree{}, "/", "/a", "/a/b", "/a/:x", "/a/:x/c", "/:y/b/d", "/a/*rest", "/files/*path", `/\:e/\*f`, "/:y/:z/:w")
	for path, want := range map[string]string{
		"/":            "/",
		"/a":           "/a",
		"/a/b":         "/a/b",
		"/a/bb":        "/a/:x x=bb",
		"/a/b/c":       "/a/:x/c x=b",
		"/a/b/d":       "/a/*rest rest=b/d", // the static a goes before :y, even if only a catch-all follows
		"/c/b/d":       "/:y/b/d y=c",
		"/c/c/d":       "/:y/:z/:w y=c z=c w=d",
		"/c":           "",
		"/c/d":         "",
		"/a/":          "", // neither a param nor a catch-all matches nothing
		"/a//":         "", // no pattern matches a path that is not clean
		"/a//x":        "",
		"/a/x//y":      "",
		"/a/..":        "",
		"/a/./c":       "",
		"/a/x/..":      "",
		"/a/x/./y":     "",
		"/./b/d":       "",
		"/../b/d":      "",
		"/a/.../c":     "/a/:x/c x=...",
		"/.x/b/d":      "/:y/b/d y=.x",
		"/a/..x/.y":    "/a/*rest rest=..x/.y",
		"/files":       "",
		"/files/":      "",
		"/files/a/b/":  "",
		"//":           "",
		"//b/d":        "",
		"/:e/*f":       `/\:e/\*f`,
		"/a/b/c/d/e/f": "/a/*rest rest=b/c/d/e/f",
	} {
		assert.Equal(t, want, look(t, all, path, nil), path)
	}
	assert.False(t, all.Empty())
	assert.True(t, tree{}.Empty())
	assert.Equal(t, "", look(t, tree{}, "/a", nil))
	assert.Equal(t, "", look(t, tree{}, "/", nil))
}

func TestC20LookupTriesTheNextBest(t *testing.T) {
	six := add(t, tree{}, "/a/b", "/a/:x", "/:y/b", "/:y/:x", "/a/*c", "/*c")
	var tried []string
	var spans treemux.Spans
	_, ok := six.Lookup("/a/b", &spans, &treemux.Options[string]{Accept: func(pattern string) bool {
		tried = append(tried, pattern)
		return false
	}})
	assert.False(t, ok)
	assert.Equal(t, []string{"/a/b", "/a/:x", "/a/*c", "/:y/b", "/:y/:x", "/*c"}, tried)

	found, ok := six.Lookup("/a/b", &spans, &treemux.Options[string]{Accept: func(pattern string) bool { return pattern == "/:y/:x" }})
	assert.True(t, ok)
	assert.Equal(t, "/:y/:x y=a x=b", bound(t, found, "/a/b", all(&spans)))
}

func TestC23LookupDecodesSegments(t *testing.T) {
	all := add(t, tree{}, "/a b", "/a/b", "/:x/c", "/100%25", "/100%")
	for path, want := range map[string]string{
		"/a%20b":   "/a b",
		"/%61/%62": "/a/b",
		"/a%2Fb":   "",
		"/a%2Fb/c": "/:x/c x=a%2Fb",
		"/100%25":  "/100%",
		"/100%":    "/100%", // not a valid escape, so it is not decoded
	} {
		assert.Equal(t, want, look(t, all, path, unescape), path)
	}
}

func TestC30VisitGoesFromTheLeastSpecific(t *testing.T) {
	all := add(t, tree{}, "/", "/a", "/a/b", "/a/b/c", "/:x", "/:x/b", "/a/:y", "/*r", "/a/*s", "/:x/*t", "/:x/:y/:z")
	visited := func(path string) (names []string) {
		all.Visit(plainPath(path), func(pattern string, ended bool, spans []treemux.Span) {
			names = append(names, bound(t, pattern, path, spans)+map[bool]string{true: "."}[ended])
		})
		return names
	}
	want := []string{"/", "/*r r=a/b", "/:x x=a", "/:x/*t x=a t=b", "/:x/b x=a.", "/a", "/a/*s s=b", "/a/:y y=b.", "/a/b."}
	assert.Equal(t, want, visited("/a/b"))
	assert.Equal(t, want, visited("/a/b/"))
	assert.Equal(t, want, visited("/a/b//"))
	assert.Equal(t, []string{"/", "/*r r=a//b", "/:x x=a", "/:x/*t x=a t=b", "/:x/b x=a.", "/a", "/a/*s s=b", "/a/:y y=b.", "/a/b."},
		visited("//a//b"), "slashes in a row are one")
	assert.Equal(t, []string{"/.", "/*r r=."}, visited("/"))
	assert.Equal(t, []string{"/.", "/*r r=."}, visited("//"))
	assert.Equal(t, []string{"/", "/*r r=a", "/:x x=a.", "/:x/*t x=a t=.", "/a.", "/a/*s s=."}, visited("/a"))
	tree{}.Visit(plainPath("/a"), func(string, bool, []treemux.Span) { t.Error("the empty tree has something to visit") })

	var patterns []treemux.Pattern
	all.Visit(plainPath("/a/b/c"), func(pattern string, _ bool, _ []treemux.Span) {
		patterns = append(patterns, parse(t, pattern))
	})
	assert.True(t, slices.IsSortedFunc(patterns, treemux.Compare))
	assert.Zero(t, treemux.Compare(parse(t, "/a/:x"), parse(t, "/b/:y")), "texts and names are not compared")
}

func TestC27TreesAreImmutable(t *testing.T) {
	before := add(t, tree{}, "/a", "/a/b", "/:x")
	after := add(t, before, "/a/c", "/:x/d", "/a/b/*e", "/")
	changed, err := after.With(parse(t, "/a"), func(old string) (string, error) { return old + "'", nil })
	require.NoError(t, err)

	assert.Equal(t, "", look(t, before, "/a/c", nil))
	assert.Equal(t, "", look(t, before, "/a/b/c", nil))
	assert.Equal(t, "", look(t, before, "/", nil))
	assert.Equal(t, "/a/b/*e e=c", look(t, after, "/a/b/c", nil))
	assert.Equal(t, "/a", look(t, after, "/a", nil))
	value, ok := changed.Get(parse(t, "/a"))
	assert.Equal(t, "/a'", value)
	assert.True(t, ok)

	same, err := after.With(parse(t, "/new"), func(old string) (string, error) {
		assert.Empty(t, old)
		return "new", errors.New("refused")
	})
	assert.EqualError(t, err, "refused")
	_, ok = same.Get(parse(t, "/new"))
	assert.False(t, ok)
}

func TestC27DraftsLeaveTheirTreesAlone(t *testing.T) {
	var d treemux.Draft[string]
	edit := func(path, value string) {
		require.NoError(t, d.Edit(parse(t, path), func(string) (string, error) { return value, nil }))
	}
	var trees []tree
	paths := func(i int) []string { // children in a small table, in pages, a param and a catch-all
		return []string{"/few", fmt.Sprintf("/items/%d", i%1000), fmt.Sprintf("/items/%d/:id", i), "/:a/b", "/files/*rest"}
	}
	for i := range 3000 {
		for _, path := range paths(i) {
			edit(path, fmt.Sprint(i))
		}
		trees = append(trees, d.Tree())
	}
	for i, then := range trees {
		for _, path := range paths(i) {
			value, ok := then.Get(parse(t, path))
			assert.True(t, ok, path)
			assert.Equal(t, fmt.Sprint(i), value, path)
		}
		_, ok := then.Get(parse(t, fmt.Sprintf("/items/%d/:id", i+1)))
		assert.False(t, ok)
	}

	last := trees[len(trees)-1]
	d = last.Draft()
	edit("/few", "new")
	edit("/few", "newer")
	assert.EqualError(t, d.Edit(parse(t, "/none/:x"), func(string) (string, error) { return "", errors.New("refused") }), "refused")
	value, _ := last.Get(parse(t, "/few"))
	assert.Equal(t, "2999", value)
	next := d.Tree()
	value, _ = next.Get(parse(t, "/few"))
	assert.Equal(t, "newer", value)
	_, ok := next.Get(parse(t, "/none/:x"))
	assert.False(t, ok)
}

// plainPath is a path without escapes.
func plainPath(path string) treemux.Path {
	return treemux.Path{Text: path, Plain: path, Split: len(path)}
}

// TestC35EncodedSlashes checks the visits for a path with encoded slashes, with each way to split it.
func TestC35EncodedSlashes(t *testing.T) {
	all := add(t, tree{}, "/a", "/a/b", "/a/:x/c", "/:x", "/:x/c", "/:x/c/d", "/:x/:y", "/a/*r", "/:x/*s")
	const text, plain = "/%61%2Fb/%63%2fd%2F", "/a/b/c/d/"
	for _, test := range []struct {
		split   int
		visited []string
		deepest string
	}{
		{len(text), []string{"/:x x=a/b", "/:x/*s x=a/b s=c/d/", "/:x/:y x=a/b y=c/d/."}, ""},
		{9, []string{"/:x x=a/b", "/:x/*s x=a/b s=c/d", "/:x/:y x=a/b y=c", "/:x/c x=a/b", "/:x/c/d x=a/b."}, ""},
		{0, []string{"/:x x=a", "/:x/*s x=a s=b/c/d", "/:x/:y x=a y=b", "/a", "/a/*r r=b/c/d", "/a/:x/c x=b", "/a/b"}, "/a/b"},
	} {
		path := treemux.Path{Text: text, Plain: plain, Split: test.split}
		var visited []string
		all.Visit(path, func(pattern string, ended bool, spans []treemux.Span) {
			visited = append(visited, bound(t, pattern, plain, spans)+map[bool]string{true: "."}[ended])
		})
		assert.Equal(t, test.visited, visited, test.split)
		deepest, ended, _ := all.Deepest(path)
		assert.Equal(t, test.deepest, deepest, test.split)
		assert.False(t, ended)
	}
}

func TestDeepest(t *testing.T) {
	all := add(t, tree{}, "/a", "/a/b", "/a/b/c/d", "/:x", "/a/:y/z", "/*r")
	for path, want := range map[string]string{
		"/": "", "/x": "", "/a": "/a.", "/a/": "/a.", "/a//": "/a.", "/a/x/z": "/a", "/a/b": "/a/b.", "/a/b/c": "/a/b",
		"/a/b/c/d": "/a/b/c/d.", "/a/b/c/d/e": "/a/b/c/d", "/a//b": "/a/b.", "//a": "/a.", "/%61": "", "/ab": "", "/a/./b": "/a",
	} {
		found, ended, ok := all.Deepest(plainPath(path))
		assert.Equal(t, want != "", ok, path)
		assert.Equal(t, want, found+map[bool]string{true: "."}[ended], path)
	}
	found, ended, ok := all.Deepest(treemux.Path{Text: "/%61/%62/x", Plain: "/a/b/x", Split: 10})
	assert.Equal(t, "/a/b false true", fmt.Sprint(found, " ", ended, " ", ok))
	_, _, ok = tree{}.Deepest(plainPath("/a"))
	assert.False(t, ok)
	found, ended, ok = add(t, tree{}, "/").Deepest(plainPath("/a/b"))
	assert.Equal(t, "/ false true", fmt.Sprint(found, " ", ended, " ", ok))
}

// TestLongSegmentsAreNotDecoded checks that segments that are longer than any name are not decoded, because each node would make a copy.
func TestLongSegmentsAreNotDecoded(t *testing.T) {
	var decoded []string
	decode := func(segment string) string {
		decoded = append(decoded, segment)
		return unescape(segment)
	}
	for _, all := range []tree{add(t, tree{}, "/a/b"), add(t, tree{}, "/a/b", "/a/c", "/x/b")} {
		for path, want := range map[string][]string{
			"/a/%62": {"a", "%62"}, "/a/%62b": {"a"}, "/a/bbbb": {"a"}, "/%61%61/b": nil,
		} {
			decoded = nil
			all.Lookup(path, new(treemux.Spans), &treemux.Options[string]{Decode: decode})
			assert.Equal(t, want, decoded, path)
		}
	}
}

func TestManyParams(t *testing.T) {
	pattern, path, want := "", "", ""
	for i := range 12 {
		pattern, path = fmt.Sprintf("%s/:p%d", pattern, i), fmt.Sprintf("%s/v%d", path, i)
		want += fmt.Sprintf(" p%d=v%d", i, i)
	}
	assert.Equal(t, pattern+want, look(t, add(t, tree{}, pattern, "/:p0/:p1/x"), path, nil))
	assert.Equal(t, pattern+"/*rest"+want+" rest=x/y", look(t, add(t, tree{}, pattern+"/*rest"), path+"/x/y", nil))
}

func TestGetGoesByShapeNotByNames(t *testing.T) {
	all := add(t, tree{}, "/a/:x/*y")
	for path, want := range map[string]bool{
		"/a/:other/*names": true, "/a/:x": false, "/a": false, "/": false, "/a/x/*y": false, "/b/:x/*y": false, "/a/:x/:y": false,
	} {
		_, got := all.Get(parse(t, path))
		assert.Equal(t, want, got, path)
	}
	_, ok := tree{}.Get(parse(t, "/a"))
	assert.False(t, ok)
}

func TestAlike(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"/", "/", true}, {"/a", "/a/", true}, {"/:x/*y", "/:other/*", true}, {"/a", "/b", false}, {"/a", "/a/b", false},
		{"/a", "/:a", false}, {"/:a", "/*a", false}, {`/\:a`, "/:a", false},
	} {
		assert.Equal(t, test.want, parse(t, test.a).Alike(parse(t, test.b)), test)
		assert.Equal(t, test.want, parse(t, test.a).Is(test.b), test)
		assert.Equal(t, test.want, parse(t, test.b).Is(test.a), test)
	}
}

func TestRewrittenGoesDown(t *testing.T) {
	all := add(t, tree{}, "/", "/a", "/a/b/c", "/a/:x", "/a/*y", "/d")
	join := func(above, value string) string { return above + "<" + value }
	got := all.Rewritten(parse(t, "/a"), join)
	for path, want := range map[string]string{
		"/": "/", "/d": "/d", "/a": "/</a", "/a/b/c": "/</a</a/b/c", "/a/:x": "/</a</a/:x", "/a/*y": "/</a</a/*y",
	} {
		value, ok := got.Get(parse(t, path))
		assert.True(t, ok, path)
		assert.Equal(t, want, value, path)
	}
	value, _ := all.Get(parse(t, "/a/:x"))
	assert.Equal(t, "/a/:x", value, "the old tree stays")

	got = got.Rewritten(parse(t, "/a/b/c"), func(above, value string) string { return above + "!" })
	value, _ = got.Get(parse(t, "/a/b/c"))
	assert.Equal(t, "/</a!", value, "above is the nearest value, not the nearest node")
}

// TestWideNodes checks a node with so many children that its table has pages.
func TestWideNodes(t *testing.T) {
	const n = 20_000
	var all tree
	for i := range n {
		all = add(t, all, fmt.Sprintf("/items/%d", i))
	}
	for i := range n {
		path := fmt.Sprintf("/items/%d", i)
		assert.Equal(t, path, look(t, all, path, nil))
	}
	assert.Equal(t, "", look(t, all, "/items/x", nil))
	again := all.Rewritten(parse(t, "/items"), func(_, value string) string { return value + "!" })
	found, _ := again.Lookup("/items/777", new(treemux.Spans), nil)
	assert.Equal(t, "/items/777!", found)
	same := add(t, all, "/items/777")
	assert.Equal(t, "/items/777", look(t, same, "/items/777", nil))
}

// TestC24VisitsAreBounded has a tree of all patterns of static and param segments, and the path for which Lookup tries the most nodes.
// It checks that Lookup visits each node only once.
func TestC24VisitsAreBounded(t *testing.T) {
	const depth = 10
	var all tree
	for i := range 1 << depth {
		var b strings.Builder
		for bit := range depth {
			b.WriteString([]string{"/a", fmt.Sprintf("/:p%d", bit)}[i>>bit&1])
		}
		all = add(t, all, b.String()+"/end")
	}
	visits := 0
	_, ok := all.Lookup(strings.Repeat("/a", depth)+"/other", new(treemux.Spans), &treemux.Options[string]{
		Decode: func(segment string) string { visits++; return segment },
	})
	assert.False(t, ok)
	assert.Equal(t, 1<<(depth+1)-1, visits, "one visit for each node but the leaves")

	visits = 0
	all.Visit(plainPath(strings.Repeat("/a", depth)+"/end"+strings.Repeat("/a", 5000)), func(string, bool, []treemux.Span) { visits++ })
	assert.Equal(t, 1<<depth, visits, "one for each pattern")
}

func TestLookupDoesNotAllocate(t *testing.T) {
	all := add(t, tree{}, "/a", "/users/:id", "/users/:id/posts/:post", "/files/*path")
	var spans treemux.Spans
	for _, path := range []string{"/a", "/users/7", "/users/7/posts/8", "/files/a/b/c", "/none/at/all"} {
		count := 0
		allocs := testing.AllocsPerRun(100, func() {
			all.Lookup(path, &spans, nil)
			all.Lookup(path, &spans, &treemux.Options[string]{Accept: func(string) bool { count++; return true }})
			all.Deepest(plainPath(path))
		})
		assert.Zero(t, allocs, path)
	}
}

// matches reports whether a pattern matches a path. It compares the segments one by one.
func matches(p treemux.Pattern, path string) bool {
	parts := strings.Split(path[1:], "/")
	if path == "/" {
		parts = nil
	}
	if slices.ContainsFunc(parts, func(part string) bool { return part == "" || part == "." || part == ".." }) {
		return false
	}
	for i, segment := range p.Segments {
		if segment.Kind == treemux.CatchAll {
			return i < len(parts)
		}
		if i >= len(parts) || segment.Kind == treemux.Static && segment.Text != parts[i] {
			return false
		}
	}
	return len(parts) == len(p.Segments)
}

func FuzzLookup(f *testing.F) {
	f.Add(uint64(1), "/a/b")
	f.Add(uint64(2), "/b//a/")
	f.Add(uint64(3), "/b/../a")
	f.Fuzz(func(t *testing.T, seed uint64, path string) {
		if !strings.HasPrefix(path, "/") {
			t.Skip()
		}
		r := rand.New(rand.NewPCG(seed, 0))
		var all tree
		var patterns []treemux.Pattern
		for range 12 {
			pattern := ""
			for i := range r.IntN(4) {
				pattern += []string{"/a", "/b", "/0", fmt.Sprintf("/:p%d", i)}[r.IntN(4)]
			}
			pattern += []string{"", "/*c", "/b"}[r.IntN(3)]
			if pattern == "" {
				pattern = "/"
			}
			all = add(t, all, pattern)
			patterns = append(patterns, parse(t, pattern))
		}
		var want, got []treemux.Pattern
		for _, pattern := range patterns {
			shape := func(p treemux.Pattern) bool { return fmt.Sprint(p.Segments) == fmt.Sprint(pattern.Segments) }
			if matches(pattern, path) && !slices.ContainsFunc(want, shape) {
				want = append(want, pattern)
			}
		}
		slices.SortStableFunc(want, func(a, b treemux.Pattern) int { return treemux.Compare(b, a) })
		all.Lookup(path, new(treemux.Spans), &treemux.Options[string]{Accept: func(pattern string) bool {
			got = append(got, parse(t, pattern))
			return false
		}})
		assert.Equal(t, want, got, "all that match, the most specific first")
	})
}

func FuzzParse(f *testing.F) {
	for _, path := range []string{"/", "/a/:b/*c", `/\:a`, "//", "/:a/:a", "/*a/b", "a", ""} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		pattern, err := treemux.Parse(path)
		if err != nil {
			return
		}
		assert.True(t, strings.HasPrefix(path, "/"))
		assert.NotContains(t, path, "//")
		with, _ := tree{}.With(pattern, func(string) (string, error) { return "found", nil })
		concrete := ""
		for _, segment := range pattern.Segments {
			concrete += "/" + map[bool]string{true: segment.Text, false: "x"}[segment.Kind == treemux.Static]
		}
		var spans treemux.Spans
		found, ok := with.Lookup(max(concrete, "/"), &spans, nil)
		assert.True(t, ok, "what a pattern stands for is found by it")
		assert.Equal(t, "found", found)
		assert.Equal(t, len(pattern.Names()), spans.Len())
	})
}

func BenchmarkLookup(b *testing.B) {
	all := add(b, tree{}, "/a", "/users/:id", "/users/:id/posts/:post", "/files/*path")
	var spans treemux.Spans
	for _, path := range []string{"/a", "/users/7", "/users/7/posts/8", "/files/a/b/c"} {
		b.Run(path[1:], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				all.Lookup(path, &spans, nil)
			}
		})
	}
}

// BenchmarkDraft adds a thousand patterns to a draft, and to a tree.
func BenchmarkDraft(b *testing.B) {
	var patterns []treemux.Pattern
	for i := range 1000 {
		patterns = append(patterns, parse(b, fmt.Sprintf("/g%d/i%d/:id", i%31, i/31)))
	}
	same := func(string) (string, error) { return "", nil }
	b.Run("draft", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var d treemux.Draft[string]
			for _, p := range patterns {
				_ = d.Edit(p, same)
			}
			d.Tree()
		}
	})
	b.Run("tree", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var all tree
			for _, p := range patterns {
				all, _ = all.With(p, same)
			}
		}
	})
}

// BenchmarkInsertWide adds a child to a node with up to 100,000 children.
func BenchmarkInsertWide(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var all tree
			for i := range n {
				all = add(b, all, fmt.Sprintf("/%d", i))
			}
			pattern := parse(b, "/new")
			b.ReportAllocs()
			for b.Loop() {
				_, _ = all.With(pattern, func(string) (string, error) { return "", nil })
			}
		})
	}
}

func TestAllVisitsEveryValueOnce(t *testing.T) {
	var empty tree
	for range empty.All {
		t.Error("there is nothing")
	}
	want := []string{"/", "/:p", "/:p/x", "/*rest", "/a/*rest"}
	for i := range 200 { // so that nodes have tables
		want = append(want, fmt.Sprintf("/static%d", i), fmt.Sprintf("/a/%d", i))
	}
	full := add(t, tree{}, want...)
	assert.ElementsMatch(t, want, slices.Collect(full.All))
	for stop := range len(want) {
		seen := 0
		for range full.All {
			if seen++; seen > stop {
				break
			}
		}
		assert.Equal(t, stop+1, seen)
	}
}
