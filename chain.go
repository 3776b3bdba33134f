package kami

import (
	"github.com/guregu/kami/internal/scopes"
)

// chain is all middleware that runs for a request, in order.
type chain = scopes.Chain[*middleware]

// scopesOf finds the middleware and the afterware for a request.
func (p *plan) scopesOf(d *decision) (before *chain, after *scopes.Chain[*afterware]) {
	// optimization: a call less where there is no scope but "/" (BenchmarkServe/Observed)
	if before, after = &p.middleware.Top, &p.afterware.Top; p.depth > 0 {
		before, after = p.scopesBelow(d)
	}
	return before, after
}

// scopesBelow is scopesOf where there are scopes below "/".
func (p *plan) scopesBelow(d *decision) (*chain, *scopes.Chain[*afterware]) {
	if d.decode == nil && d.clean == "" {
		var only [1]scopes.Reading // optimization: set in place, not copied (bench, outside a wildcard scope)
		only[0].Text, only[0].Plain, only[0].Split, only[0].Own = d.path, d.path, len(d.path), d.listed.own()
		return p.middleware.Chain(only[:], false), p.afterware.Chain(only[:], true)
	}
	all := p.readings(d)
	return p.middleware.Chain(all, false), p.afterware.Chain(all, true)
}

// readings returns all readings of the path decided about.
func (p *plan) readings(d *decision) []scopes.Reading {
	return scopes.Readings(d.path, d.clean, d.listed.own(), d.decode != nil, p.depth)
}

// own returns the pattern of a route "/p", which is one of its own, so that the scope "/p/" leaves it out. It returns "" for other
// routes and for nil.
func (r *route) own() string {
	if r == nil || r.slash || r.either {
		return ""
	}
	return r.path
}
