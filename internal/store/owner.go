package store

import "context"

// Owner is what a record belongs to.
type Owner struct {
	SourceID  string
	WebhookID string // of the source; empty where it is not known, or there is none
}

type ownersKey struct{}

// WithOwners gives a context whose reads tell of owners as soon as they know them, while
// they read on: what the caller wants to know of an owner is then read beside and costs no
// round trip more. The context's earlier listener is told too.
//
// Telling is a hint. A store that has nothing to wait for tells nothing, an owner may be
// told of several times, and one of them may be of a record that is not given in the end.
// Several goroutines may tell at once, and tell must not block.
func WithOwners(ctx context.Context, tell func(Owner)) context.Context {
	if outer, ok := ctx.Value(ownersKey{}).(func(Owner)); ok {
		inner := tell
		tell = func(o Owner) { inner(o); outer(o) }
	}
	return context.WithValue(ctx, ownersKey{}, tell)
}

// TellOwner tells a context's listener, if it has one, of an owner.
func TellOwner(ctx context.Context, o Owner) {
	if tell, ok := ctx.Value(ownersKey{}).(func(Owner)); ok {
		tell(o)
	}
}
