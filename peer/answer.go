package peer

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/guregu/kami/message"
)

// maxErrorText is how many bytes of an answer are the message of an error.
const maxErrorText = 64 << 10

const problemType = "application/problem+json"

// statusClientGone is the status of a call that its caller has cancelled, and of a request whose client has left.
const statusClientGone = 499

var null = []byte("null")

// appendID appends the beginning of an answer.
func appendID(b, id []byte) []byte {
	if id == nil {
		id = null
	}
	b = append(b, begin+`,"id":`...)
	return append(b, id...)
}

// appendFailure appends the frame of an error that this package answers.
func appendFailure(b, id []byte, code int, text string) []byte {
	b = appendID(b, id)
	b = append(b, `,"error":{"code":`...)
	b = strconv.AppendInt(b, int64(code), 10)
	b = append(b, `,"message":`...)
	b = appendString(b, text)
	return append(b, `}}`...)
}

// appendReply appends the frame of an answer. typed says that the call came with a Content-Type, so its caller reads the
// Content-Type of the answer.
func appendReply(b, id []byte, r *message.Reply, typed bool) []byte {
	if r.Status >= 400 {
		return appendError(b, id, r)
	}
	contentType := r.Header.Get("Content-Type")
	b = appendID(b, id)
	b = append(b, `,"result":`...)
	told := ""
	if typed && !isJSONType(contentType) {
		told = contentType
	}
	value, ok := asJSON(r.Body, told)
	switch {
	case len(r.Body) == 0:
		b = append(b, `null`...)
	case ok && (told == "" || !isString(value)):
		b = append(b, value...)
	case isText(r.Body):
		b = appendString(b, string(r.Body))
	default:
		if contentType == "" {
			contentType = "application/octet-stream"
		}
		told = contentType
		b = appendBase64(b, r.Body)
	}
	b = appendHeaders(b, r.Header, told)
	if r.Status != http.StatusOK {
		b = append(b, `,"status":`...)
		b = strconv.AppendInt(b, int64(r.Status), 10)
	}
	return append(b, '}')
}

// isText reports whether a body is text: UTF-8 without a zero byte.
func isText(body []byte) bool {
	return utf8.Valid(body) && strings.IndexByte(string(body), 0) < 0
}

// appendError appends the frame of an answer with a status of 400 or more.
func appendError(b, id []byte, r *message.Reply) []byte {
	code := r.Status
	if r.Pattern == "" && (code == http.StatusNotFound || code == http.StatusMethodNotAllowed) {
		code = codeNoMethod
	}
	text, data := strings.TrimSpace(string(r.Body[:min(len(r.Body), maxErrorText)])), []byte(nil)
	if value, ok := asJSON(r.Body, ""); ok && isObject(value) && strings.HasPrefix(r.Header.Get("Content-Type"), problemType) {
		text, data = textOfProblem(value, r.Status), value
	}
	b = appendID(b, id)
	b = append(b, `,"error":{"code":`...)
	b = strconv.AppendInt(b, int64(code), 10)
	b = append(b, `,"message":`...)
	b = appendString(b, text)
	switch {
	case data != nil:
		b = append(b, `,"data":`...)
		b = append(b, data...)
	case statusOf(code) != r.Status:
		b = append(b, `,"data":{"status":`...)
		b = strconv.AppendInt(b, int64(r.Status), 10)
		b = append(b, '}')
	}
	b = append(b, '}')
	return append(appendHeaders(b, withoutType(r.Header), ""), '}')
}

// withoutType returns the headers of an error without its Content-Type: the members of the error tell it.
func withoutType(header http.Header) http.Header {
	if len(header) > 0 {
		header = maps.Clone(header)
		delete(header, "Content-Type")
	}
	return header
}

// textOfProblem returns the detail of problem details, or else their title, or the status text.
func textOfProblem(value []byte, status int) string {
	var problem struct{ Title, Detail string }
	_ = json.Unmarshal(value, &problem)
	switch {
	case problem.Detail != "":
		return problem.Detail
	case problem.Title != "":
		return problem.Title
	}
	return http.StatusText(status)
}

// statusOf returns the status of an error with the code.
func statusOf(code int) int {
	switch {
	case code == codeNoMethod:
		return http.StatusNotFound
	case code == codeInvalid, code == codeParams, code == codeParse:
		return http.StatusBadRequest
	case code == codeCancelled:
		return statusClientGone
	case code >= 400 && code <= 599:
		return code
	}
	return http.StatusInternalServerError
}

// replyOf makes a reply of the frame of an answer.
func replyOf(f *frame) *message.Reply {
	header, err := headerOf(f.headers)
	if err != nil {
		header = nil // the answer is good without them
	}
	if f.failure != nil && !isNull(f.failure) {
		return failureOf(f.failure, header)
	}
	r := &message.Reply{Status: http.StatusOK, Header: header}
	if status, ok := number(f.status); ok && status >= 200 && status < 400 {
		r.Status = int(status)
	}
	switch {
	case isNull(f.result):
	case isJSONType(header.Get("Content-Type")):
		r.Body = f.result
	case isString(f.result):
		r.Body = plain(f.result)
	default:
		var ok bool
		if r.Body, ok = fromBase64(f.result); !ok {
			r.Body = f.result
		}
	}
	return r
}

// failureOf makes a reply of the error in a frame.
func failureOf(failure []byte, header http.Header) *message.Reply {
	var e struct {
		Code    json.Number     `json:"code"`
		Message json.RawMessage `json:"message"`
		Data    json.RawMessage `json:"data"`
	}
	if json.Unmarshal(failure, &e) != nil {
		e.Code = "0"
	}
	code, _ := strconv.Atoi(e.Code.String())
	r := &message.Reply{Status: statusOf(code), Header: header}
	if isString(e.Message) {
		r.Body = plain(e.Message)
	}
	contentType := "text/plain; charset=utf-8"
	if isObject(e.Data) {
		members, status := 0, int64(0)
		scanObject(e.Data, func(name, value []byte) {
			if members++; string(name) == "status" {
				status, _ = number(value)
			}
		})
		if status >= 400 && status <= 999 {
			r.Status = int(status)
		}
		if members != 1 || status == 0 {
			contentType, r.Body = problemType, e.Data
		}
	}
	if header == nil {
		r.Header = make(http.Header, 1)
	}
	r.Header["Content-Type"] = []string{contentType}
	return r
}

// appendItem appends an item of a stream.
func appendItem(b, id, item []byte) []byte {
	return appendNotification(b, methodItem, func(b []byte) []byte {
		b = append(b, `"id":`...)
		b = append(b, id...)
		b = append(b, `,"value":`...)
		if value, ok := asJSON(item, "application/json"); ok {
			return append(b, value...)
		}
		return appendBase64(b, item)
	})
}

// itemOf returns the item that a value carries.
func itemOf(value []byte) []byte {
	if data, ok := fromBase64(value); ok {
		return data
	}
	return value
}
