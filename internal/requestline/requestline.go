// Package requestline checks what the first line of a request can have: a method and a target (RFC 9112, section 3).
package requestline

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// CheckMethod returns an error if no request can have the method.
func CheckMethod(method string) error {
	const others = "!#$%&'*+-.^_`|~"
	valid := method != ""
	for _, c := range []byte(method) {
		letter, digit := 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9'
		valid = valid && (letter || digit || strings.IndexByte(others, c) >= 0)
	}
	if !valid {
		return errors.New("a method must be a token (RFC 9110, section 5.6.2)")
	}
	return nil
}

// Parse returns the URL of a request with this first line, as net/http reads it.
func Parse(method, path string) (*url.URL, error) {
	if err := CheckMethod(method); err != nil {
		return nil, fmt.Errorf("%.100q: %w", method, err)
	}
	if strings.Contains(path, " ") {
		return nil, fmt.Errorf("%.100q is no path of a request (RFC 9112, section 3.2): it ends at a space, which is %%20 in it", path)
	}
	if method == http.MethodConnect && !strings.HasPrefix(path, "/") { // it is host:port
		path = "http://" + path
	}
	u, err := url.ParseRequestURI(path)
	if err != nil {
		return nil, fmt.Errorf("%.100q is no path of a request (RFC 9112, section 3.2): %w", path, errors.Unwrap(err))
	}
	return u, nil
}
