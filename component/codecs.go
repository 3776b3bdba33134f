package component

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/guregu/kami/internal/jsonbody"
	"github.com/guregu/kami/message"
)

// codecs are the codecs of a component. The first one is for JSON.
type codecs []message.Codec

// with returns the codecs with one more. A codec for JSON replaces message.JSON.
func (all codecs) with(c message.Codec) (codecs, error) {
	if c == nil {
		return all, errors.New("a codec of WithCodecs must not be nil")
	}
	kind := mediaType(c.ContentType())
	switch {
	case kind == "":
		return all, fmt.Errorf("the codec %T has no content type", c)
	case strings.EqualFold(kind, "application/json") && all[0] == message.JSON:
		all = slices.Clone(all)
		all[0] = c
		return all, nil
	}
	for _, other := range all {
		if strings.EqualFold(kind, mediaType(other.ContentType())) {
			return all, fmt.Errorf("the codecs %T and %T are both for %q", other, c, kind)
		}
	}
	return append(slices.Clip(all), c), nil
}

// of returns the codec of a request, or nil if there is none for its Content-Type.
func (all codecs) of(r *http.Request) message.Codec {
	contentType := jsonbody.First(r.Header, "Content-Type")
	if contentType == "" || len(all) == 1 && jsonbody.IsJSON(contentType) { // optimization: most requests
		return all[0]
	}
	kind := mediaType(contentType)
	for _, c := range all {
		if strings.EqualFold(kind, mediaType(c.ContentType())) {
			return c
		}
	}
	if jsonbody.IsJSON(contentType) {
		return all[0]
	}
	return nil
}

// mediaType returns a content type without its parameters.
func mediaType(contentType string) string {
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.TrimSpace(kind)
}
