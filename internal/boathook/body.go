package boathook

import (
	"bytes"
	"sync"
)

// Body is the input of a run, or what a delivery sends. Queues and the store hold it
// packed; package compress knows how. A Body keeps the packed bytes and the plain
// ones, so that neither is made twice. It never changes, and its copies share both.
//
// The zero Body is one that is lost.
type Body struct{ forms *forms }

type forms struct {
	mu     sync.Mutex
	plain  []byte
	packed []byte                     // nil: not made yet
	open   func(packed []byte) []byte // nil: plain is known
}

// NewBody makes the Body of plain bytes, which must not change any more. It is lost if
// plain is nil.
func NewBody(plain []byte) Body {
	if plain == nil {
		return Body{}
	}
	return Body{&forms{plain: plain}}
}

// PackedBody makes a Body of its packed bytes. open unpacks them when the plain bytes
// are asked for first; it gives nil if it can't, and the Body is then lost.
func PackedBody(packed []byte, open func(packed []byte) []byte) Body {
	return Body{&forms{packed: packed, open: open}}
}

// Bytes are the plain bytes, which must not be changed; nil if they are lost.
func (b Body) Bytes() []byte {
	if b.forms == nil {
		return nil
	}
	b.forms.mu.Lock()
	defer b.forms.mu.Unlock()
	return b.forms.bytes()
}

// bytes is called with f locked.
func (f *forms) bytes() []byte {
	if f.open != nil {
		if f.plain = f.open(f.packed); f.plain == nil {
			f.packed = nil
		}
		f.open = nil
	}
	return f.plain
}

// Packed are the packed bytes, which must not be changed. pack makes them of the
// plain ones if nobody has yet. A Body that is lost is packed as an empty one: what
// can't be opened goes no further.
func (b Body) Packed(pack func(plain []byte) []byte) []byte {
	if b.forms == nil {
		return pack(nil)
	}
	b.forms.mu.Lock()
	defer b.forms.mu.Unlock()
	if plain := b.forms.bytes(); b.forms.packed == nil {
		b.forms.packed = pack(plain)
	}
	return b.forms.packed
}

// Len is how many plain bytes there are.
func (b Body) Len() int { return len(b.Bytes()) }

// Lost reports whether there are no bytes to be had.
func (b Body) Lost() bool { return b.Bytes() == nil }

func (b Body) String() string { return string(b.Bytes()) }

// Equal reports whether both have the same plain bytes, or are both lost.
func (b Body) Equal(other Body) bool {
	return b.Lost() == other.Lost() && bytes.Equal(b.Bytes(), other.Bytes())
}
