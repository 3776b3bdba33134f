package recipes

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"

	"github.com/guregu/kami"
)

// conflict is an error with a status and a text for the client.
type conflict struct{}

func (conflict) Error() string   { return "somebody else has changed it" }
func (conflict) StatusCode() int { return http.StatusConflict }

func Example_oneFormatForErrors() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: untimed}))

	mux := kami.New()
	mux.ErrorHandler = func(ctx context.Context, w http.ResponseWriter, r *http.Request, err error) {
		code, text := http.StatusInternalServerError, "something went wrong"
		var coder interface{ StatusCode() int }
		if errors.As(err, &coder) && coder.StatusCode() < 500 {
			code, text = coder.StatusCode(), err.Error()
		} else { // nobody else logs it
			logger.ErrorContext(ctx, "request failed", "method", r.Method, "pattern", r.Pattern, "err", err)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(map[string]any{"code": code, "error": text})
	}

	mux.Put("/notes/:id", func(context.Context, http.ResponseWriter, *http.Request) error { return conflict{} })
	mux.Get("/notes/:id", func(context.Context, http.ResponseWriter, *http.Request) error { return io.ErrUnexpectedEOF })
	show(ask(mux, http.MethodPut, "/notes/7", ""))
	show(get(mux, "/nothing"))
	show(ask(mux, http.MethodPost, "/notes/7", ""), "Allow")
	show(get(mux, "/notes/7"))
	// Output:
	// 409 | {"code":409,"error":"somebody else has changed it"}
	// 404 | {"code":404,"error":"no resource has this path"}
	// 405 | Allow: GET, HEAD, OPTIONS, PUT | {"code":405,"error":"the resource does not have this method"}
	// level=ERROR msg="request failed" method=GET pattern=/notes/:id err="unexpected EOF"
	// 500 | {"code":500,"error":"something went wrong"}
}

func untimed(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}
