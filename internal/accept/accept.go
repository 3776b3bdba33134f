// Package accept reads the header Accept (RFC 9110, section 12.5.1).
package accept

import (
	"net/http"
	"strings"

	"github.com/guregu/kami/internal/list"
)

// How exactly a media type is named in the header.
const (
	Not   = iota // not at all
	Any          // such as */*
	Range        // such as text/*
	Exact        // by itself, whatever its parameters
)

// Weight returns the weight of a media type, from 0 for refused to 1, and how exactly it is named. The range that names it most exactly
// counts. Its time is linear in the header, and it allocates nothing.
func Weight(header http.Header, mediaType string) (weight float64, named int) {
	for _, line := range header["Accept"] {
		for element := range list.Backward(line, ',') {
			accepted, params, _ := strings.Cut(element, ";")
			how := exactness(strings.TrimRight(accepted, " \t"), mediaType)
			if how == Not || how < named {
				continue
			}
			if q := weightOf(params); how > named || q > weight {
				weight, named = q, how
			}
		}
	}
	return weight, named
}

// exactness says how exactly the accepted range names the media type.
func exactness(accepted, mediaType string) int {
	kind, subtype, _ := strings.Cut(accepted, "/")
	switch {
	case strings.EqualFold(accepted, mediaType):
		return Exact
	case subtype != "*":
		return Not
	case kind == "*":
		return Any
	case len(kind) < len(mediaType) && mediaType[len(kind)] == '/' && strings.EqualFold(kind, mediaType[:len(kind)]):
		return Range
	}
	return Not
}

// weightOf returns the weight among the parameters, or 1 if there is none. An invalid weight counts as 0. Other parameters do not count, and
// may be malformed.
func weightOf(params string) float64 {
	for param := range list.Backward(params, ';') {
		name, q, _ := strings.Cut(param, "=")
		if strings.EqualFold(name, "q") {
			return parseWeight(q)
		}
	}
	return 1
}

// parseWeight parses a weight, of which three decimals count (RFC 9110, section 12.4.2). It returns 0 for an invalid one.
//
// optimization: strconv.ParseFloat allocates an error for each invalid text, and a request may have many (BenchmarkWeight).
func parseWeight(q string) float64 {
	whole, decimals, _ := strings.Cut(q, ".")
	if whole != "0" && whole != "1" || strings.Trim(decimals, "0123456789") != "" {
		return 0
	}
	thousandths, unit := 1000*int(whole[0]-'0'), 100
	for i := range min(len(decimals), 3) {
		thousandths += unit * int(decimals[i]-'0')
		unit /= 10
	}
	if thousandths > 1000 {
		return 0
	}
	return float64(thousandths) / 1000
}
