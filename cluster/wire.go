package cluster

import (
	"context"
	"fmt"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/guregu/kami/message"
)

// Headers of messages between servers. Other headers of a message that begin like these, or that NATS would take for its own, travel with
// keptHeader before their names.
const (
	timeoutHeader = "Kami-Timeout"     // how long the caller waits
	statusHeader  = "Kami-Status"      // of an answer that is neither 200 nor an error
	remoteHeader  = "Kami-Remote-Addr" // Message.RemoteAddr
	returnsHeader = "Kami-Returns"     // Message.Returns
	sessionHeader = "Kami-Session"     // the snapshot of the client's session
	streamHeader  = "Kami-Stream"      // the window of a call that streams
	keptHeader    = "Kami-Header-"
)

// plainJSON is the Content-Type that endpoint.JSON sets. An answer that has only this header travels without headers.
const plainJSON = "application/json; charset=utf-8"

// isOwn reports whether NATS or this package would take a header for its own.
func isOwn(name string) bool {
	switch {
	case len(name) >= 5 && (strings.EqualFold(name[:5], "Kami-") || strings.EqualFold(name[:5], "Nats-")):
		return true
	}
	return strings.EqualFold(name, "Status") || strings.EqualFold(name, "Description")
}

// encodeHeader adds the headers of a message to into, which may be nil.
func encodeHeader(header http.Header, into nats.Header) (nats.Header, error) {
	for name, values := range header {
		if !isToken(name) {
			return nil, fmt.Errorf("%w: %.80q is no name of a header", errBadMessage, name)
		}
		if isOwn(name) {
			if name == timeoutHeader {
				continue
			}
			name = keptHeader + name
		}
		if into == nil {
			into = make(nats.Header, len(header))
		}
		into[name] = values
	}
	return into, nil
}

// isToken reports whether a name can be that of an HTTP header.
func isToken(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return name != ""
}

// decodeHeader returns the headers of a received message, by their canonical names, without this package's own.
func decodeHeader(header nats.Header) http.Header {
	if len(header) == 0 {
		return nil
	}
	decoded := make(http.Header, len(header))
	for name, values := range header {
		kept, ok := strings.CutPrefix(name, keptHeader)
		if ok {
			name = kept
		} else if isOwn(name) {
			continue
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		decoded[name] = append(decoded[name], values...)
	}
	return decoded
}

// encodeRequest returns the headers of a call to another server.
func encodeRequest(ctx context.Context, c *calling) (header nats.Header, err error) {
	m := c.message
	if len(m.Header) > 0 && !isPlain(m.Header, len(m.Body) > 0, "application/json") {
		if header, err = encodeHeader(m.Header, nil); err != nil {
			return nil, err
		}
	}
	header = with(header, timeoutHeader, timeoutIn(ctx, m.Header.Get(timeoutHeader)))
	header = with(header, remoteHeader, m.RemoteAddr)
	header = with(header, sessionHeader, c.session)
	if m.Returns != message.Method {
		header = with(header, returnsHeader, strconv.Itoa(int(m.Returns)))
	}
	if m.Stream != nil {
		header = with(header, streamHeader, strconv.Itoa(windowOf(m)))
	}
	return header, nil
}

// timeoutIn returns how long a call may take: the time until ctx ends, or the message's own timeout if that is shorter. The callee refuses
// a timeout that is no duration.
func timeoutIn(ctx context.Context, own string) string {
	end, ok := ctx.Deadline()
	if !ok {
		return own
	}
	left := max(time.Until(end), 1)
	if timeout, err := time.ParseDuration(own); own != "" && (err != nil || timeout < left) {
		return own
	}
	return left.String()
}

// with sets a header that has a value.
func with(header nats.Header, name, value string) nats.Header {
	if value == "" {
		return header
	}
	if header == nil {
		header = make(nats.Header, 1)
	}
	header[name] = []string{value}
	return header
}

// isPlain reports whether the only header is the Content-Type that an answer without headers has anyway.
func isPlain(header http.Header, body bool, contentType string) bool {
	values := header["Content-Type"]
	return body && len(header) == 1 && len(values) == 1 && values[0] == contentType
}

// maxErrorText is how many bytes of an error's text are in a header, for clients that know only NATS.
const maxErrorText = 256

// encodeReply returns the headers of an answer. An answer without them is 200, and JSON if it has a body.
func encodeReply(reply *message.Reply) (header nats.Header, err error) {
	body := len(reply.Body) > 0
	if reply.Status == http.StatusOK && (isPlain(reply.Header, body, plainJSON) || len(reply.Header) == 0 && !body) {
		return nil, nil
	}
	if header, err = encodeHeader(reply.Header, nil); err != nil {
		return nil, err
	}
	if reply.Status < 400 {
		return with(header, statusHeader, strconv.Itoa(reply.Status)), nil
	}
	text := strings.TrimSpace(string(reply.Body[:min(len(reply.Body), maxErrorText)]))
	if text == "" {
		text = http.StatusText(reply.Status)
	}
	header = with(header, micro.ErrorCodeHeader, strconv.Itoa(reply.Status))
	return with(header, micro.ErrorHeader, strings.ToValidUTF8(text, "")), nil
}

// decodeReply returns the answer in a message, which may come from a service that is not ours. Plain JSON has no Header: a Reply without a
// Content-Type is JSON.
func decodeReply(m *nats.Msg) *message.Reply {
	reply := &message.Reply{Status: http.StatusOK, Body: m.Data}
	if len(m.Header) == 0 {
		return reply
	}
	reply.Header = decodeHeader(m.Header)
	switch code := m.Header.Get(micro.ErrorCodeHeader); {
	case code != "":
		reply.Status = statusIn(code, 400)
	case m.Header.Get(micro.ErrorHeader) != "":
		reply.Status = http.StatusInternalServerError
	default:
		if code := m.Header.Get(statusHeader); code != "" {
			reply.Status = statusIn(code, 200)
		}
	}
	if reply.Status >= 400 && len(reply.Body) == 0 && m.Header.Get(statusHeader) == "" {
		reply.Body = errorText(m.Header.Get(micro.ErrorHeader), reply.Status)
	}
	return reply
}

// errorText returns the text of an error that is only in the header, or nothing if that only names the status.
func errorText(text string, status int) []byte {
	if text == http.StatusText(status) {
		return nil
	}
	return []byte(text)
}

// statusIn returns the status in a text, if that is from least to 599, or 500.
func statusIn(text string, least int) int {
	code, err := strconv.Atoi(text)
	if err != nil || code < least || code > 999 {
		return http.StatusInternalServerError
	}
	return code
}

// errorReply is an error that this package answers.
func errorReply(status int, text string) *message.Reply {
	return &message.Reply{
		Status: status,
		Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "X-Content-Type-Options": {"nosniff"}},
		Body:   []byte(text + "\n"),
	}
}

// isNoResponders reports whether a message is NATS's own, which says that no server listens. An answer's own Status header travels by
// another name.
func isNoResponders(m *nats.Msg) bool {
	return len(m.Data) == 0 && m.Header.Get("Status") == "503" && m.Header.Get(micro.ErrorCodeHeader) == ""
}
