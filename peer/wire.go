package peer

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// subprotocol is offered and chosen, and not needed.
const subprotocol = "kami.jsonrpc"

// The codes of JSON-RPC's own errors, and LSP's code of a cancelled call.
const (
	codeParse     = -32700
	codeInvalid   = -32600
	codeNoMethod  = -32601
	codeParams    = -32602
	codeCancelled = -32800
)

// maxBatch is how many messages one frame may have.
const maxBatch = 100

// frame is one message of JSON-RPC. Its members are undecoded slices of the bytes that have come. A missing member is nil.
type frame struct {
	version, id, method, params, result, failure []byte
	headers, timeout, stream, seq, status        []byte
}

// scanFrame finds the members of an object, which must be valid JSON. As with encoding/json, the last of several members with one
// name counts.
func scanFrame(object []byte) (f frame) {
	scanObject(object, func(name, value []byte) {
		switch string(name) {
		case "jsonrpc":
			f.version = value
		case "id":
			f.id = value
		case "method":
			f.method = value
		case "params":
			f.params = value
		case "result":
			f.result = value
		case "error":
			f.failure = value
		case "headers":
			f.headers = value
		case "timeout":
			f.timeout = value
		case "stream":
			f.stream = value
		case "seq":
			f.seq = value
		case "status":
			f.status = value
		}
	})
	return f
}

// scanObject calls member for each member of an object, which must be valid JSON. The name is decoded, the value is not.
func scanObject(object []byte, member func(name, value []byte)) {
	rest := skipSpace(object[1:])
	for rest[0] != '}' {
		name, after := cutValue(rest)
		name = plain(name)
		after = skipSpace(after)
		value, after := cutValue(skipSpace(after[1:]))
		member(name, value)
		if rest = skipSpace(after); rest[0] == ',' {
			rest = skipSpace(rest[1:])
		}
	}
}

// scanArray returns the elements of an array, which must be valid JSON, and at most the first most.
func scanArray(array []byte, most int) (elements [][]byte) {
	rest := skipSpace(array[1:])
	for rest[0] != ']' && len(elements) < most {
		var element []byte
		element, rest = cutValue(rest)
		elements = append(elements, element)
		if rest = skipSpace(rest); rest[0] == ',' {
			rest = skipSpace(rest[1:])
		}
	}
	return elements
}

func skipSpace(data []byte) []byte {
	for i, b := range data {
		if b > ' ' {
			return data[i:]
		}
	}
	return nil
}

// cutValue splits data after its first value. data must be valid JSON.
func cutValue(data []byte) (value, rest []byte) {
	i := 0
	switch data[0] {
	case '"':
		i = endOfString(data, 0)
	case '{', '[':
		for depth := 0; ; i++ {
			switch data[i] {
			case '"':
				i = endOfString(data, i) - 1
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
			if depth == 0 {
				i++
				break
			}
		}
	default:
		for i < len(data) && data[i] > ' ' && data[i] != ',' && data[i] != '}' && data[i] != ']' {
			i++
		}
	}
	return data[:i:i], data[i:]
}

// endOfString returns the end of the string that begins at data[at].
func endOfString(data []byte, at int) int {
	for i := at + 1; ; i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// plain decodes a string that is valid JSON.
func plain(text []byte) []byte {
	inner := text[1 : len(text)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	var s string
	_ = json.Unmarshal(text, &s) // text is valid
	return []byte(s)
}

func isString(value []byte) bool { return len(value) > 0 && value[0] == '"' }
func isObject(value []byte) bool { return len(value) > 0 && value[0] == '{' }
func isArray(value []byte) bool  { return len(value) > 0 && value[0] == '[' }
func isNull(value []byte) bool   { return len(value) > 0 && value[0] == 'n' }

// isID reports whether a value may be an id: a string, a number or null.
func isID(value []byte) bool {
	return len(value) > 0 && (value[0] == '"' || value[0] == 'n' || value[0] == '-' || value[0] >= '0' && value[0] <= '9')
}

// number returns a whole number above zero.
func number(value []byte) (n int64, ok bool) {
	n, err := strconv.ParseInt(string(value), 10, 64)
	return n, err == nil && n > 0
}

// appendString appends a string of JSON.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			quoted, _ := json.Marshal(s) // a string has no error
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

const base64Member = `{"$base64":`

// appendBase64 appends data that is not JSON as an object.
func appendBase64(b, data []byte) []byte {
	b = append(b, base64Member+`"`...)
	b = base64.StdEncoding.AppendEncode(b, data)
	return append(b, `"}`...)
}

// fromBase64 returns the data of an object that appendBase64 has made.
func fromBase64(value []byte) (data []byte, ok bool) {
	if !isObject(value) {
		return nil, false
	}
	members := 0
	scanObject(value, func(name, value []byte) {
		members++
		if string(name) == "$base64" && isString(value) {
			var err error
			data, err = base64.StdEncoding.DecodeString(string(plain(value)))
			ok = err == nil
		}
	})
	return data, ok && members == 1
}

// asJSON returns a body as a value of JSON. A body of another type must come back unchanged: it may have no space around it, and
// must not look like an object of appendBase64.
func asJSON(body []byte, contentType string) (value []byte, ok bool) {
	value = bytes.Trim(body, " \t\r\n")
	if !isValid(value) {
		return nil, false
	}
	if contentType == "" {
		return value, true
	}
	_, confusing := fromBase64(value)
	return value, !confusing && (isJSONType(contentType) || len(value) == len(body))
}

// isValid reports whether a value is JSON, and UTF-8.
func isValid(value []byte) bool { return json.Valid(value) && utf8.Valid(value) }

// isJSONType reports whether a body with the content type is JSON. A body without one is.
func isJSONType(contentType string) bool {
	if contentType == "" || contentType == "application/json" { // the common case, without parsing
		return true
	}
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	return kind == "application/json" || kind == "application/x-ndjson" || strings.HasSuffix(kind, "+json")
}

// isTold reports whether a header travels. Headers of the connection or of the form of the body do not.
func isTold(name string) bool {
	switch name {
	case "Content-Length", "X-Content-Type-Options", "Connection", "Transfer-Encoding":
		return false
	}
	return !strings.HasPrefix(name, "Kami-")
}

// appendHeaders appends the member headers, unless there is nothing to tell. It tells the Content-Type only with another header, or
// if contentType is set. Several values of a header are joined by line feeds, which no value has.
func appendHeaders(b []byte, header http.Header, contentType string) []byte {
	names, more := make([]string, 0, 4), false
	for name, values := range header {
		if len(values) > 0 && isTold(name) {
			names = append(names, name)
			more = more || name != "Content-Type"
		}
	}
	if !more && contentType == "" {
		return b
	}
	if contentType != "" {
		header = maps.Clone(header)
		if header == nil {
			header = make(http.Header, 1)
		}
		if _, ok := header["Content-Type"]; !ok {
			names = append(names, "Content-Type")
		}
		header["Content-Type"] = []string{contentType}
	}
	slices.Sort(names)
	b = append(b, `,"headers":{`...)
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, name), ':')
		b = appendString(b, strings.Join(header[name], "\n"))
	}
	return append(b, '}')
}

var errHeaders = fmt.Errorf("headers must be an object of strings, with names and values as in HTTP, and at most %d values", maxHeaders)

// maxHeaders is how many values the headers of a message may have. Many short values would take many times the memory of the
// message.
const maxHeaders = 100

// headerOf returns the headers that a frame tells. It drops headers that begin with Kami-.
func headerOf(value []byte) (header http.Header, err error) {
	switch {
	case value == nil || isNull(value):
		return nil, nil
	case !isObject(value):
		return nil, errHeaders
	}
	header = make(http.Header)
	count := 0
	scanObject(value, func(name, value []byte) {
		if err != nil || !isString(value) || !isToken(name) {
			err = errHeaders
			return
		}
		text := plain(value)
		if count += 1 + bytes.Count(text, []byte("\n")); count > maxHeaders {
			err = errHeaders
			return
		}
		for _, c := range text {
			if c < ' ' && c != '\t' && c != '\n' || c == 0x7f {
				err = errHeaders
			}
		}
		if key := textproto.CanonicalMIMEHeaderKey(string(name)); !strings.HasPrefix(key, "Kami-") {
			header[key] = strings.Split(string(text), "\n")
		}
	})
	return header, err
}

// isToken reports whether a name may name a header: it is a token of RFC 9110, section 5.6.2.
func isToken(name []byte) bool {
	for _, c := range name {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return len(name) > 0
}
