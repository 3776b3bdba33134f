package main

import "github.com/guregu/kami/treemux"

// This file is compiled with the treemux of older revisions too, see -compare.
func init() { trees[now] = rawKami }

// rawKami looks up in a tree whose values are the routes of each path. It looks for the method as kami does: if the best path has
// no route with the method, it asks the tree again for the best path that has one.
func rawKami(routes []*route) lookup {
	var tree treemux.Draft[[]*route]
	for _, rt := range routes {
		pattern, err := treemux.Parse(rt.path)
		if err != nil {
			panic(err)
		}
		err = tree.Edit(pattern, func(all []*route) ([]*route, error) { return append(all, rt), nil })
		if err != nil {
			panic(err)
		}
	}
	built := tree.Tree()
	var spans treemux.Spans
	return func(q *request) (int, bool) {
		has := func(all []*route) bool {
			for _, rt := range all {
				if rt.method == q.method {
					return true
				}
			}
			return false
		}
		best, ok := built.Lookup(q.path, &spans, nil)
		if ok && !has(best) {
			_, ok = built.Lookup(q.path, &spans, &treemux.Options[[]*route]{Accept: has})
		}
		return spans.Len(), ok
	}
}
