package message

import (
	"encoding/json"
	"strings"
)

// Codec encodes values as bodies and decodes bodies. It may be used by many goroutines at once. Both of its functions get a pointer
// to the value.
type Codec interface {
	// ContentType is the type of the bodies, such as "application/json".
	ContentType() string
	Marshal(v any) ([]byte, error)
	Unmarshal(data []byte, v any) error
}

// JSON is the Codec of encoding/json.
var JSON Codec = jsonCodec{}

type jsonCodec struct{}

func (jsonCodec) ContentType() string                { return "application/json" }
func (jsonCodec) Marshal(v any) ([]byte, error)      { return json.Marshal(v) }
func (jsonCodec) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

// mediaType returns a content type without its parameters, in lower case.
func mediaType(contentType string) string {
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

// isJSON reports whether a body with the content type is JSON. A body without a content type is.
func isJSON(contentType string) bool {
	kind := mediaType(contentType)
	return kind == "" || kind == "application/json" || kind == lines || strings.HasSuffix(kind, "+json")
}
