package inspect_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/guregu/kami"
	"github.com/guregu/kami/inspect"
)

func ExampleHandler() {
	mux := kami.New()
	mux.Get("/debug/kami", inspect.Handler(mux))
	for _, finding := range mux.Check() {
		fmt.Println(finding.Text)
	}

	mux.Use("/debug/", func(w http.ResponseWriter, r *http.Request) context.Context {
		if r.Header.Get("Authorization") == "" { // in earnest, see whose it is
			http.Error(w, "this is for operators", http.StatusUnauthorized)
			return nil
		}
		return r.Context()
	})
	fmt.Println("findings:", len(mux.Check()))

	r := httptest.NewRequest("GET", "http://localhost/debug/kami?method=GET&path=/hello/greg", nil)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)

	r.Header.Set("Authorization", "Bearer of-an-operator")
	r.Header.Set("Accept", "application/json")
	w = httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output:
	// GET "/debug/kami" shows all routes and scopes, and only what runs for all paths may guard it
	// findings: 0
	// 401 this is for operators
	//
	// 200 {"method":"GET","path":"/hello/greg","answer":"404 Not Found","status":404,"middleware":[],"afterware":[]}
}
