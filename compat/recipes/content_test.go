package recipes

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"testing"

	"github.com/guregu/kami"
	"github.com/stretchr/testify/assert"
)

//go:embed static
var static embed.FS

func Example_staticFiles() {
	hash := sha256.New()
	if err := tar.NewWriter(hash).AddFS(static); err != nil {
		panic(err)
	}
	tag := fmt.Sprintf(`"%x"`, hash.Sum(nil)) // one for all files: they change when the program does
	files := http.FileServerFS(static)
	mux := kami.New()
	mux.Get("/static/*path", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", tag)
		files.ServeHTTP(w, r)
	})

	w := get(mux, "/static/style.css")
	show(w, "Content-Type")
	show(get(mux, "/static/style.css", "If-None-Match", w.Header().Get("ETag")))
	show(get(mux, "/static/style.css", "Range", "bytes=0-3"), "Content-Range")
	show(get(mux, "/static/nothing.css"), "ETag")
	show(get(mux, "/static/../middleware_test.go"), "Location")
	// Output:
	// 200 | Content-Type: text/css; charset=utf-8 | body { font-family: sans-serif; }
	// 304
	// 206 | Content-Range: bytes 0-3/34 | body
	// 404 | 404 page not found
	// 404 | 404 page not found
}

// A catch-all matches no empty rest, so the listing of the top needs a route of its own; those below it do not.
func TestStaticListings(t *testing.T) {
	mux := kami.New()
	mux.Get("/static/*path", http.FileServerFS(static))
	assert.Equal(t, http.StatusNotFound, get(mux, "/static/").Code)
	w := get(mux, "/static/fonts/")
	assert.Equal(t, http.StatusOK, w.Code)
	assert.Contains(t, w.Body.String(), "LICENSE.txt")
	w = get(mux, "/static/fonts")
	assert.Equal(t, http.StatusMovedPermanently, w.Code)
	assert.Equal(t, "fonts/", w.Header().Get("Location"))
	mux.Get("/static/", http.FileServerFS(static))
	assert.Contains(t, get(mux, "/static/").Body.String(), "style.css")
}

//go:embed templates
var templates embed.FS

func Example_htmlTemplate() {
	pages := template.Must(template.ParseFS(templates, "templates/*.html"))
	render := func(w http.ResponseWriter, name string, data any) {
		var page bytes.Buffer // so that an error in the middle is a 500, not half a page
		if err := pages.ExecuteTemplate(&page, name, data); err != nil {
			panic(err) // for PanicHandler
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = page.WriteTo(w)
	}
	mux := kami.New()
	mux.PanicHandler = func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		http.Error(w, "sorry", http.StatusInternalServerError)
	}
	mux.Get("/hello/:name", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		render(w, "hello.html", struct{ Name string }{kami.Param(ctx, "name")})
	})

	mux.Get("/mistake", func(w http.ResponseWriter, r *http.Request) { render(w, "hello.html", "no struct") })
	show(get(mux, "/hello/%3Cb%3Egreg"), "Content-Type")
	show(get(mux, "/mistake"), "Content-Type")
	// Output:
	// 200 | Content-Type: text/html; charset=utf-8 | <!DOCTYPE html>
	// <title>&lt;b&gt;greg</title>
	// <p>Hello, &lt;b&gt;greg!</p>
	// 500 | Content-Type: text/plain; charset=utf-8 | sorry
}
