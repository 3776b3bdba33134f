// Package accept reads the header Accept (RFC 9110, section 12.5.1).
package accept

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// How exactly a media type is named in the header.
const (
	Not   = iota // not at all
	Any          // as */*
	Range        // as text/*
	Exact        // as itself, whatever its parameters
)

// Weight returns the weight of a media type, from 0 for refused to 1, and how exactly it is named: what names it most
// exactly counts. What is malformed names nothing.
func Weight(header http.Header, mediaType string) (weight float64, named int) {
	kind, _, _ := strings.Cut(mediaType, "/")
	for _, line := range header["Accept"] {
		for element := range strings.SplitSeq(line, ",") {
			accepted, params, err := mime.ParseMediaType(element)
			if err != nil {
				continue
			}
			how := Not
			switch accepted {
			case mediaType:
				how = Exact
			case kind + "/*":
				how = Range
			case "*/*":
				how = Any
			}
			if how > named || how == named && how != Not && weightOf(params) > weight {
				weight, named = weightOf(params), how
			}
		}
	}
	return weight, named
}

// weightOf returns the weight that the parameters say, 1 without one. One that is none refuses.
func weightOf(params map[string]string) float64 {
	q, ok := params["q"]
	if !ok {
		return 1
	}
	weight, err := strconv.ParseFloat(q, 64)
	if err != nil || !(0 <= weight && weight <= 1) {
		return 0
	}
	return weight
}
