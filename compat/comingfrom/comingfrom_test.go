package comingfrom

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/labstack/echo/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const page = "../../docs/coming-from.md"

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode) // or it prints its routes
	os.Exit(m.Run())
}

// ours are the app on kami.
func ours() []app {
	return []app{{"kami", Kami()}, {"kami, from chi", FromChi()}, {"kami, from ServeMux", FromServeMux()}}
}

// others are the same app on other routers, in the order of the page's columns.
func others() []app {
	return []app{{"chi", Chi()}, {"ServeMux", ServeMux()}, {"echo", Echo()}, {"gin", Gin()}}
}

type app struct {
	name    string
	handler http.Handler
}

// question is a request: METHOD target, headers and a body.
type question struct {
	line   string
	header string // as Name: value
	body   string
}

// String is the question as the page shows it.
func (q question) String() string {
	text := fmt.Sprintf("`%s`", q.line)
	if q.body != "" {
		text += fmt.Sprintf(" `%s`", q.body)
	}
	switch kind, typed := strings.CutPrefix(q.header, "Content-Type: "); {
	case q.header == isJSON || q.header == "":
		return text
	case typed:
		return fmt.Sprintf("%s as `%s`", text, kind)
	default:
		return fmt.Sprintf("%s, `%s`", text, q.header)
	}
}

// answer is the part of a response that is compared: the body without a line break at its end, and the Location of a redirect.
type answer struct {
	code int
	body string
}

const (
	admin    = "X-Admin: yes"
	isJSON   = "Content-Type: application/json"
	nothing  = "nothing is here"
	isNoItem = `{"error":"that is no item"}`
)

// equal are the questions that all apps answer alike.
var equal = []struct {
	question
	want answer
}{
	{question{line: "GET /hello/greg"}, answer{200, "Hello, greg!"}},
	{question{line: "GET /hello/greg?name=other"}, answer{200, "Hello, greg!"}},
	{question{line: "GET /hello/greg", header: "Accept-Language: ja"}, answer{200, "こんにちは, greg!"}},
	{question{line: "GET /hello/a%20b"}, answer{200, "Hello, a b!"}},
	{question{line: "GET /hello/%E7%A5%9E"}, answer{200, "Hello, 神!"}},
	{question{line: "GET /hello"}, answer{404, nothing}},
	{question{line: "GET /hello/"}, answer{404, nothing}},
	{question{line: "GET /"}, answer{404, nothing}},
	{question{line: "GET /nothing"}, answer{404, nothing}},
	{question{line: "POST /nothing"}, answer{404, nothing}},
	{question{line: "OPTIONS /nothing"}, answer{404, nothing}},
	{question{line: "GET /items/7"}, answer{404, nothing}},

	{question{line: "GET /admin/stats"}, answer{403, "admins only"}},
	{question{line: "GET /admin/stats", header: "X-Admin:"}, answer{403, "admins only"}},
	{question{line: "GET /admin/stats", header: admin}, answer{200, "all is well"}},
	{question{line: "GET /admin/", header: admin}, answer{404, nothing}},
	{question{line: "GET /admin/nothing", header: admin}, answer{404, nothing}},
	{question{line: "GET /administrator"}, answer{404, nothing}},

	{question{"POST /items", isJSON, `{"name":"pen","price":3}`}, answer{201, `{"name":"pen","price":3}`}},
	{question{"POST /items", isJSON, `{"name":"pen","more":[]}`}, answer{201, `{"name":"pen","price":0}`}},
	{question{"POST /items", isJSON, `{"name":"筆"}`}, answer{201, `{"name":"筆","price":0}`}},
	{question{"POST /items", isJSON, `{"name":"pen"`}, answer{400, isNoItem}},
	{question{"POST /items", isJSON, `{"name":"pen","price":"3"}`}, answer{400, isNoItem}},
	{question{"POST /items", isJSON, `{"price":3}`}, answer{400, isNoItem}},
	{question{"POST /items", isJSON, `[]`}, answer{400, isNoItem}},
	{question{"POST /items", isJSON, ""}, answer{400, isNoItem}},
	{question{line: "POST /items"}, answer{400, isNoItem}},
}

func TestAnswersAreEqual(t *testing.T) {
	for _, a := range append(ours(), others()...) {
		t.Run(a.name, func(t *testing.T) {
			ask := serve(t, a.handler)
			for _, tt := range equal {
				assert.Equal(t, tt.want, ask(tt.question), tt)
			}
		})
	}
}

// Each old app can serve behind kami the routes that have not moved yet.
func TestHalfway(t *testing.T) {
	for _, a := range others() {
		t.Run(a.name, func(t *testing.T) {
			ask := serve(t, Halfway(a.handler))
			for _, tt := range equal {
				assert.Equal(t, tt.want, ask(tt.question), tt)
			}
		})
	}
}

// kami can also be a part of each old app.
func TestMounted(t *testing.T) {
	r := chi.NewRouter()
	r.Handle("/hello/*", Kami())
	m := http.NewServeMux()
	m.Handle("/hello/", Kami())
	e := echo.New()
	e.Any("/hello/*", echo.WrapHandler(Kami()))
	g := gin.New()
	g.Any("/hello/*rest", gin.WrapH(Kami()))
	for _, a := range []app{{"chi", r}, {"ServeMux", m}, {"echo", e}, {"gin", g}} {
		ask := serve(t, a.handler)
		for _, tt := range equal {
			if strings.Contains(tt.line, "/hello/") {
				assert.Equal(t, tt.want, ask(tt.question), "%s: %v", a.name, tt)
			}
		}
		assert.Equal(t, answer{200, "Hello, a/b!"}, ask(question{line: "GET /hello/a%2Fb"}), a.name)
	}
}

// differences are the questions that the apps answer differently, as on the page: kami first, then the others in their order. All
// routers have their default settings.
var differences = []struct {
	question
	why  string
	want [5]string
}{
	{question{line: "GET /items"}, "ServeMux: the route / has every method; gin: HandleMethodNotAllowed is off",
		[5]string{"405", "405", "404", "405", "404"}},
	{question{line: "DELETE /hello/greg"}, "and echo: a group with middleware has a route of its own for 404s",
		[5]string{"405", "405", "404", "404", "404"}},
	{question{line: "HEAD /hello/greg"}, "kami and ServeMux: GET answers HEAD",
		[5]string{"200", "405", "200", "404", "404"}},
	{question{line: "OPTIONS /items"}, "kami and echo: Allow says which methods there are",
		[5]string{"204", "405", "404", "204", "404"}},
	{question{line: "GET /hello/greg/"}, "kami and gin redirect; echo: a param at the end takes slashes",
		[5]string{"redirect", "404", "404", "200 `greg/`", "redirect"}},
	{question{line: "GET /hello/a/b"}, "echo: the same",
		[5]string{"404", "404", "404", "200 `a/b`", "404"}},
	{question{line: "GET /hello/a%2Fb"}, "kami and ServeMux decode values, chi and echo do not; gin decodes the path",
		[5]string{"200 `a/b`", "200 `a%2Fb`", "200 `a/b`", "200 `a%2Fb`", "404"}},
	{question{line: "GET //hello/greg"}, "kami and ServeMux clean paths, by a redirect",
		[5]string{"redirect", "404", "redirect", "404", "404"}},
	{question{line: "GET /admin//stats"}, "ServeMux: the redirect comes first",
		[5]string{"403", "403", "redirect", "403", "404"}},
	{question{line: "GET /admin//stats", header: admin}, "as //hello/greg",
		[5]string{"redirect", "404", "redirect", "404", "404"}},
	{question{line: "GET /admin"}, "ServeMux: /admin/ makes /admin redirect; gin: a group's middleware is its routes'",
		[5]string{"403", "403", "redirect", "403", "404"}},
	{question{line: "GET /admin/nothing"}, "gin: the same",
		[5]string{"403", "403", "403", "403", "404"}},
	{question{"POST /items", "Content-Type: text/plain", `{"name":"pen"}`}, "echo: Bind goes by the type",
		[5]string{"201", "201", "201", "400", "201"}},
	{question{"POST /items", isJSON, `{"name":"pen"} x`}, "echo: Bind reads all; json.Decoder stops after the value",
		[5]string{"201", "201", "201", "400", "201"}},
}

func TestDifferences(t *testing.T) {
	for i, a := range append(ours(), others()...) {
		column := max(0, i-len(ours())+1) // all of ours are in the first
		t.Run(a.name, func(t *testing.T) {
			ask := serve(t, a.handler)
			for _, tt := range differences {
				got := ask(tt.question)
				assert.Equal(t, tt.want[column], got.short(), "%v: %s", tt.question, tt.why)
				if got.code == http.StatusNotFound && !strings.HasPrefix(tt.line, "HEAD") {
					assert.Equal(t, nothing, got.body, tt.question)
				}
			}
		})
	}
}

// TestSettings tries the settings that the page names for other answers.
func TestSettings(t *testing.T) {
	c := chi.NewRouter()
	c.Use(middleware.GetHead, middleware.RedirectSlashes)
	c.Get("/hello/{name}", chiHello)
	router := echo.NewRouter(echo.RouterConfig{AutoHandleHEAD: true, UnescapePathParamValues: true})
	e := echo.NewWithConfig(echo.Config{NoGroupAutoRegister404Routes: true, Router: router})
	e.Group("/hello", echoGreeting).GET("/:name", echoHello)
	g := gin.New()
	g.HandleMethodNotAllowed, g.UseRawPath = true, true
	g.GET("/hello/:name", ginGreeting, ginHello)
	for _, tt := range []struct {
		app  http.Handler
		line string
		want string
	}{
		{c, "HEAD /hello/greg", "200"},
		{c, "GET /hello/greg/", "redirect"},
		{e, "HEAD /hello/greg", "200"},
		{e, "DELETE /hello/greg", "405"},
		{e, "GET /hello/a%2Fb", "200 `a/b`"},
		{g, "DELETE /hello/greg", "405"},
		{g, "GET /hello/a%2Fb", "200 `a/b`"},
	} {
		ask := serve(t, requestID(tt.app))
		assert.Equal(t, tt.want, ask(question{line: tt.line}).short(), "%T: %s", tt.app, tt.line)
	}
}

// short is an answer as the page shows it: with the name that was greeted, if any.
func (a answer) short() string {
	if a.code/100 == 3 {
		return "redirect"
	}
	if name, found := strings.CutPrefix(a.body, "Hello, "); found {
		return fmt.Sprintf("%d `%s`", a.code, strings.TrimSuffix(name, "!"))
	}
	return fmt.Sprint(a.code)
}

// TestPageDifferences checks that the page's table is the test's.
func TestPageDifferences(t *testing.T) {
	_, section, found := strings.Cut(readPage(t), "## Where the answers differ\n")
	require.True(t, found)
	_, table, found := strings.Cut(section, "| request")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n\n")
	lines := strings.Split(table, "\n")[2:]
	var got, want []string
	for _, line := range lines {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	for _, tt := range differences {
		want = append(want, fmt.Sprintf("| %v | %s |", tt.question, strings.Join(tt.want[:], " | ")))
	}
	assert.Equal(t, want, got)
}

// sources are the files whose code the page shows.
var sources = []string{"standard.go", "chi.go", "servemux.go", "echo.go", "gin.go", "kami.go"}

// TestPageCode checks that the page shows only code that is compiled here, and every function of it.
func TestPageCode(t *testing.T) {
	var code string
	for _, path := range sources {
		source, err := os.ReadFile(path)
		require.NoError(t, err)
		code += string(source)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(readPage(t), -1)
	require.NotEmpty(t, blocks)
	var shown string
	for _, block := range blocks {
		require.NotEmpty(t, strings.TrimSpace(block[1]))
		assert.Contains(t, "\n"+code, "\n"+block[1], "whole lines of %v", sources)
		shown += block[1]
	}
	for _, path := range sources {
		for _, function := range functions(t, path) {
			assert.Contains(t, shown, function, path)
		}
	}
}

// TestSources checks that no file is left out.
func TestSources(t *testing.T) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	assert.ElementsMatch(t, append([]string{"comingfrom_test.go"}, sources...), files)
}

// functions returns the source of each function of a file, without its comment.
func functions(t *testing.T, path string) (all []string) {
	source, err := os.ReadFile(path)
	require.NoError(t, err)
	positions := token.NewFileSet()
	file, err := parser.ParseFile(positions, path, source, 0)
	require.NoError(t, err)
	for _, declaration := range file.Decls {
		if f, ok := declaration.(*ast.FuncDecl); ok {
			all = append(all, string(source[positions.Position(f.Pos()).Offset:positions.Position(f.End()).Offset]))
		}
	}
	return all
}

func readPage(t *testing.T) string {
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	return string(text)
}

// serve serves an app, and returns a function that asks it.
func serve(t *testing.T, app http.Handler) (ask func(question) answer) {
	server := httptest.NewServer(app)
	t.Cleanup(server.Close)
	client := server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	ids := make(map[string]bool)
	return func(q question) answer {
		method, target, _ := strings.Cut(q.line, " ")
		r, err := http.NewRequest(method, server.URL+target, strings.NewReader(q.body))
		require.NoError(t, err)
		if name, value, found := strings.Cut(q.header, ":"); found {
			r.Header.Set(name, strings.TrimSpace(value))
		}
		response, err := client.Do(r)
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		got := answer{response.StatusCode, strings.TrimSuffix(string(body), "\n")}
		if got.code/100 == 3 {
			return answer{got.code, response.Header.Get("Location")} // gin's has no id
		}
		id := response.Header.Get("X-Request-Id")
		assert.NotEmpty(t, id, q)
		assert.False(t, ids[id], "%v: the id %s has been given before", q, id)
		ids[id] = true
		return got
	}
}
