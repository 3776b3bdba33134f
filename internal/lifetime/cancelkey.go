package lifetime

import "context"

// CancelKey is the key by which the context package finds the context that cancels another one. A context that answers it with
// the value of the context that ends it lets context.Cause see the cause, and contexts derive from it without a goroutine.
var CancelKey = func() any {
	p := probe{Context: context.Background()}
	context.Cause(&p)
	return p.key
}()

// probe is a context that has ended. context.Cause asks it for the context that cancels it, and it remembers the key.
type probe struct {
	context.Context
	key any
}

func (p *probe) Err() error { return context.Canceled }

func (p *probe) Value(key any) any {
	p.key = key
	return nil
}
