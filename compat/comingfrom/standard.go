// Package comingfrom has one small app for each of several routers, and for kami. It is the code of
// docs/coming-from.md; its tests ask all of them the same questions and compare the answers.
package comingfrom

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
)

// greetingKey is the context key for how the app greets.
type greetingKey struct{}

// item is what is posted.
type item struct {
	Name  string `json:"name"`
	Price int    `json:"price"`
}

// What follows knows net/http alone.

// requestID gives each answer an id.
func requestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", rand.Text())
		next.ServeHTTP(w, r)
	})
}

// greeting puts a word into the context.
func greeting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		word := "Hello"
		if r.Header.Get("Accept-Language") == "ja" {
			word = "こんにちは"
		}
		ctx := context.WithValue(r.Context(), greetingKey{}, word)
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// adminOnly refuses everybody else.
func adminOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Admin") == "" {
			http.Error(w, "admins only", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func hello(w http.ResponseWriter, r *http.Request) {
	word := r.Context().Value(greetingKey{})
	fmt.Fprintf(w, "%s, %s!", word, r.PathValue("name"))
}

func stats(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "all is well") }

func createItem(w http.ResponseWriter, r *http.Request) {
	var in item
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Name == "" {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "that is no item"})
		return
	}
	writeJSON(w, http.StatusCreated, in)
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

func notFound(w http.ResponseWriter, r *http.Request) {
	http.Error(w, "nothing is here", http.StatusNotFound)
}
