package peer

import (
	"net/http"
	"strconv"
	"time"

	"github.com/guregu/kami/message"
)

// grace is how much longer than the caller's deadline the other side may take, so that the caller's own context ends first.
const grace = 100 * time.Millisecond

const begin = `{"jsonrpc":"2.0"`

// appendCall appends the frame of a call, or of a notification if the message is one.
func appendCall(b []byte, id uint64, m *message.Message, deadline time.Time) []byte {
	b = append(b, begin...)
	if !m.Notify {
		b = append(b, `,"id":`...)
		b = strconv.AppendUint(b, id, 10)
	}
	b = append(b, `,"method":`...)
	b = appendString(b, m.Route)
	b = appendParams(b, m)
	if !deadline.IsZero() {
		left := max(time.Until(deadline), 0) + grace
		b = append(b, `,"timeout":`...)
		b = strconv.AppendInt(b, left.Milliseconds(), 10)
	}
	if m.Stream != nil && !m.Notify {
		b = append(b, `,"stream":`...)
		b = strconv.AppendInt(b, int64(windowOf(m)), 10)
	}
	return append(b, '}')
}

const defaultWindow = 64

func windowOf(m *message.Message) int {
	if m.Window < 1 {
		return defaultWindow
	}
	return m.Window
}

// appendParams appends the body and the headers.
func appendParams(b []byte, m *message.Message) []byte {
	contentType := m.Header.Get("Content-Type")
	if len(m.Body) == 0 {
		return appendHeaders(b, m.Header, contentType)
	}
	b = append(b, `,"params":`...)
	value, ok := asJSON(m.Body, contentType)
	switch {
	case !ok:
		if contentType == "" {
			contentType = "application/json" // the message says that it is JSON
		}
		b = appendBase64(b, m.Body)
	case isObject(value):
		b = append(b, value...)
	default:
		b = append(b, '[')
		b = append(b, value...)
		b = append(b, ']')
	}
	return appendHeaders(b, m.Header, contentType)
}

// bodyOf returns the body that the params carry.
func bodyOf(params []byte, header http.Header) (body []byte, ok bool) {
	switch {
	case params == nil || isNull(params):
		return nil, true
	case isObject(params):
		if header["Content-Type"] != nil {
			if data, ok := fromBase64(params); ok {
				return data, true
			}
		}
		return params, true
	case isArray(params):
		switch elements := scanArray(params, 2); len(elements) {
		case 0:
			return nil, true
		case 1:
			return elements[0], true
		}
		return params, true
	}
	return nil, false
}

// appendNotification appends a notification of one of kami's own methods.
func appendNotification(b []byte, method string, params func([]byte) []byte) []byte {
	b = append(b, begin+`,"method":"`...)
	b = append(b, method...)
	b = append(b, `","params":{`...)
	b = params(b)
	return append(b, `}}`...)
}
