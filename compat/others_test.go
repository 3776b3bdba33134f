package compat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/goji/httpauth"
	"github.com/guregu/kami"
	"github.com/klauspost/compress/gzhttp"
	"github.com/rs/cors"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestC36Cors(t *testing.T) {
	const origin = "https://app.example"
	overBoth(t, func(t *testing.T, s *stack) {
		var seen journal
		ends := s.ends(t)
		s.use("/", cors.New(cors.Options{
			AllowedOrigins:   []string{origin},
			AllowedMethods:   []string{"GET", "PUT"},
			AllowedHeaders:   []string{"X-Token"},
			ExposedHeaders:   []string{"X-Count"},
			AllowCredentials: true,
			MaxAge:           60,
		}).Handler)
		s.use("/", func(ctx context.Context) context.Context { seen.add("middleware"); return ctx })
		handler := func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			seen.add("handler")
			fmt.Fprint(w, kami.Param(ctx, "id"))
		}
		s.get("/things/:id", handler)
		s.get("/own/:id", handler)
		s.handle("OPTIONS", "/own/:id", handler)
		c := serve(t, s)

		preflight := map[string]string{
			"Access-Control-Allow-Origin":      origin,
			"Access-Control-Allow-Methods":     "PUT",
			"Access-Control-Allow-Headers":     "x-token",
			"Access-Control-Allow-Credentials": "true",
			"Access-Control-Max-Age":           "60",
			"Vary":                             "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
			"Allow":                            "",
		}
		simple := map[string]string{
			"Access-Control-Allow-Origin":      origin,
			"Access-Control-Expose-Headers":    "X-Count",
			"Access-Control-Allow-Credentials": "true",
			"Vary":                             "Origin",
		}
		refused := map[string]string{"Access-Control-Allow-Origin": "", "Vary": "Origin"}
		asks := []string{"Origin", origin, "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "x-token"}
		reached, halted := []string{"middleware", "handler"}, []string(nil)
		for _, tt := range []struct {
			name, method, path string
			headers            []string
			status             int
			body               string
			want               map[string]string
			seen               []string
		}{
			{"preflight without OPTIONS route", "OPTIONS", "/things/7", asks, 204, "", preflight, halted},
			{"preflight with OPTIONS route", "OPTIONS", "/own/7", asks, 204, "", preflight, halted},
			{"preflight without any route", "OPTIONS", "/nothing", asks, 204, "", preflight, halted},
			{"simple", "GET", "/things/7", []string{"Origin", origin}, 200, "7", simple, reached},
			{"same origin", "GET", "/things/7", nil, 200, "7", refused, reached},
			{"foreign origin", "GET", "/things/7", []string{"Origin", "https://evil.example"}, 200, "7", refused, reached},
			{"simple on 404", "GET", "/nothing", []string{"Origin", origin}, 404, "404 page not found\n", simple, []string{"middleware"}},
			{"OPTIONS that asks for nothing", "OPTIONS", "/things/7", []string{"Origin", origin}, 204, "",
				map[string]string{"Allow": "GET, HEAD, OPTIONS", "Access-Control-Allow-Methods": ""}, []string{"middleware"}},
			{"the same with a route", "OPTIONS", "/own/7", []string{"Origin", origin}, 200, "7",
				map[string]string{"Allow": "", "Access-Control-Allow-Methods": ""}, reached},
		} {
			t.Run(tt.name, func(t *testing.T) {
				got := c.do(t, tt.method, tt.path, tt.headers...)
				assert.Equal(t, tt.status, got.StatusCode)
				assert.Equal(t, tt.body, got.body)
				for name, value := range tt.want {
					assert.Equal(t, value, strings.Join(got.Header.Values(name), ", "), name)
				}
				assert.Equal(t, tt.status, receive(t, ends).status)
				assert.Equal(t, tt.seen, seen.take())
			})
		}
	})
}

// The library's handler without next only sets headers, so it can be read-only middleware.
func TestC37CorsHandlerFunc(t *testing.T) {
	overBoth(t, func(t *testing.T, s *stack) {
		s.use("/", cors.AllowAll().HandlerFunc)
		s.get("/:id", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, kami.Param(ctx, "id"))
		})
		c := serve(t, s)

		got := c.get(t, "/7", "Origin", "https://app.example")
		assert.Equal(t, http.StatusOK, got.StatusCode)
		assert.Equal(t, "*", got.Header.Get("Access-Control-Allow-Origin"))
		assert.Equal(t, "7", got.body)
	})
}

func TestC36HTTPAuth(t *testing.T) {
	overBoth(t, func(t *testing.T, s *stack) {
		var seen journal
		ends := s.ends(t)
		s.use("/admin/", httpauth.SimpleBasicAuth("greg", "secret"))
		s.use("/admin/", func(ctx context.Context) context.Context { seen.add("middleware"); return ctx })
		s.after("/", func(ctx context.Context) context.Context { seen.add("afterware"); return ctx })
		s.get("/admin/*page", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			seen.add("handler")
			fmt.Fprint(w, kami.Param(ctx, "page"))
		})
		s.get("/:page", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			seen.add("handler")
			fmt.Fprint(w, kami.Param(ctx, "page"))
		})
		c := serve(t, s)

		const good, bad = "Basic Z3JlZzpzZWNyZXQ=", "Basic Z3JlZzpndWVzcw=="
		for _, tt := range []struct {
			path, auth string
			status     int
			body       string
			seen       []string
		}{
			{"/admin/users", "", 401, "Unauthorized\n", []string{"afterware"}},
			{"/admin/users", bad, 401, "Unauthorized\n", []string{"afterware"}},
			{"/admin/users", good, 200, "users", []string{"middleware", "handler", "afterware"}},
			{"/public", "", 200, "public", []string{"handler", "afterware"}},
			{"/admin", "", 401, "Unauthorized\n", []string{"afterware"}},
			{"/%61dmin/users", "", 401, "Unauthorized\n", []string{"afterware"}},
			{"/admin%2Fusers", "", 401, "Unauthorized\n", []string{"afterware"}},
			{"//admin/users", "", 401, "Unauthorized\n", []string{"afterware"}},
			{"/public/../admin/users", "", 401, "Unauthorized\n", []string{"afterware"}},
		} {
			headers := []string{"Authorization", tt.auth}
			got := c.get(t, tt.path, headers...)
			assert.Equal(t, tt.status, got.StatusCode, tt.path)
			assert.Equal(t, tt.body, got.body, tt.path)
			assert.Equal(t, tt.status == 401, got.Header.Get("WWW-Authenticate") == `Basic realm="Restricted"`, tt.path)
			assert.Equal(t, tt.status, receive(t, ends).status, tt.path)
			assert.Equal(t, tt.seen, seen.take(), tt.path)
		}
	})
}

// The check reads the param, so it must see every value that a handler may see (C35).
func TestC36HTTPAuthByParam(t *testing.T) {
	overBoth(t, func(t *testing.T, s *stack) {
		ends := s.ends(t)
		s.use("/users/:id/", httpauth.BasicAuth(httpauth.AuthOptions{
			Realm: "users",
			AuthFunc: func(user, _ string, r *http.Request) bool {
				return user == kami.Param(r.Context(), "id")
			},
		}))
		s.get("/users/:name/*page", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			fmt.Fprintln(w, kami.Param(ctx, "id"), kami.Param(ctx, "name"), kami.Param(ctx, "page"))
		})
		c := serve(t, s)

		for _, tt := range []struct {
			path   string
			status int
			body   string
		}{
			{"/users/greg/notes", 200, "greg greg notes\n"},
			{"/users/gr%65g/notes", 200, "greg greg notes\n"},
			{"/users/kate/notes", 401, "Unauthorized\n"},
			{"/users/greg/../kate/notes", 401, "Unauthorized\n"},
			{"/users/greg/%2e%2e/kate/notes", 401, "Unauthorized\n"},
			{"/users/kate", 401, "Unauthorized\n"},
		} {
			got := c.get(t, tt.path, "Authorization", "Basic Z3JlZzo=") // greg, without a password
			assert.Equal(t, tt.status, got.StatusCode, tt.path)
			assert.Equal(t, tt.body, got.body, tt.path)
			assert.Equal(t, tt.status, receive(t, ends).status, tt.path)
		}
	})
}

// gzipper is a defined type of standard middleware.
type gzipper func(http.Handler) http.HandlerFunc

func TestC36Gzhttp(t *testing.T) {
	small, large := "kami", strings.Repeat("kami and the gods of paper ", 5000)
	wrapper, err := gzhttp.NewWrapper(gzhttp.MinSize(100))
	require.NoError(t, err)
	for name, mw := range map[string]kami.MiddlewareType{
		"GzipHandler":                     gzhttp.GzipHandler,
		"NewWrapper":                      wrapper,
		"a defined type":                  gzipper(wrapper),
		"func(http.Handler) http.Handler": func(next http.Handler) http.Handler { return wrapper(next) },
		"func(http.HandlerFunc) http.HandlerFunc": func(next http.HandlerFunc) http.HandlerFunc {
			return wrapper(next)
		},
		"func(ContextHandler) ContextHandler": func(next kami.ContextHandler) kami.ContextHandler {
			h := wrapper(next.(http.Handler))
			return kami.HandlerFunc(func(_ context.Context, w http.ResponseWriter, r *http.Request) { h(w, r) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			overBoth(t, func(t *testing.T, s *stack) {
				ends := s.ends(t)
				s.use("/", mw)
				write := func(body string) func(context.Context, http.ResponseWriter, *http.Request) {
					return func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
						one(t, ctx, r)
						w.Header().Set("Content-Length", fmt.Sprint(len(body)))
						fmt.Fprint(w, body)
					}
				}
				s.get("/small", write(small))
				s.get("/large", write(large))
				c := serve(t, s)

				for _, tt := range []struct{ path, accept, encoding, plain string }{
					{"/small", "gzip", "", small},
					{"/large", "gzip", "gzip", large},
					{"/large", "identity", "", large},
					{"/nothing", "gzip", "", "404 page not found\n"},
				} {
					got := c.get(t, tt.path, "Accept-Encoding", tt.accept)
					assert.Equal(t, tt.path == "/nothing", got.StatusCode == http.StatusNotFound)
					assert.Equal(t, tt.encoding, got.Header.Get("Content-Encoding"), tt.path)
					assert.Equal(t, "Accept-Encoding", got.Header.Get("Vary"))
					assert.EqualValues(t, len(got.body), got.ContentLength, tt.path)
					plain := got.body
					if tt.encoding == "gzip" {
						assert.Less(t, len(got.body), len(large)/10)
						plain = gunzip(t, got.body)
					}
					assert.True(t, plain == tt.plain, "the body of %s", tt.path)
					assert.Equal(t, len(got.body), receive(t, ends).bytes, tt.path)
				}
			})
		})
	}
}

// net/http's own middleware.
func TestC36StandardLibrary(t *testing.T) {
	overBoth(t, func(t *testing.T, s *stack) {
		ends := s.ends(t)
		s.use("/", http.NewCrossOriginProtection().Handler)
		s.use("/upload", func(next http.Handler) http.Handler { return http.MaxBytesHandler(next, 4) })
		s.use("/files/", func(next http.Handler) http.Handler { return http.StripPrefix("/files", next) })
		s.handle("POST", "/upload", func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if tooMuch := new(http.MaxBytesError); errors.As(err, &tooMuch) {
				http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
				return
			}
			assert.NoError(t, err)
			w.Write(body)
		})
		s.get("/files/*path", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			one(t, ctx, r)
			fmt.Fprint(w, r.URL.Path, " ", kami.Param(ctx, "path"), " ", r.Pattern)
		})
		c := serve(t, s)

		for _, tt := range []struct {
			method, path, send string
			headers            []string
			status             int
			body               string
		}{
			{"POST", "/upload", "1234", nil, 200, "1234"},
			{"POST", "/upload", "12345", nil, 413, "http: request body too large\n"},
			{"POST", "/upload", "1234", []string{"Sec-Fetch-Site", "cross-site"}, 403,
				"cross-origin request detected from Sec-Fetch-Site header\n"},
			{"GET", "/files/a/b", "", nil, 200, "/a/b a/b /files/*path"},
		} {
			response, err := c.send(tt.method, tt.path, strings.NewReader(tt.send), tt.headers...)
			require.NoError(t, err)
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			require.NoError(t, err)
			assert.Equal(t, tt.status, response.StatusCode, tt)
			assert.Equal(t, tt.body, string(body), tt)
			assert.Equal(t, tt.status, receive(t, ends).status, tt)
		}
	})
}
