package main

import "context"

// carried is the context that an app writes for itself on a router that hands the params to its handlers alone: it has them,
// and the app's base value, in one allocation.
type carried[P any] struct {
	context.Context
	params P
}

type paramsKey struct{}

func (c *carried[P]) Value(key any) any {
	switch key {
	case paramsKey{}:
		return c
	case keys[0]:
		return values[0]
	}
	return c.Context.Value(key)
}

// paramsIn returns the params that the context carries. Handlers look for them once, and then take each by the means of the router.
func paramsIn[P any](ctx context.Context) (params P) {
	c, ok := ctx.(*carried[P])
	if !ok {
		c, ok = ctx.Value(paramsKey{}).(*carried[P])
	}
	if ok {
		return c.params
	}
	return params
}
