package seal

import (
	"context"
	"crypto/rand"
)

// LocalKey is a [KeyService] for one machine, which wraps data keys by itself.
// What was sealed under a key that is gone can't be opened.
type LocalKey [KeySize]byte

// NewLocalKey makes a random key.
func NewLocalKey() (k LocalKey) {
	rand.Read(k[:])
	return k
}

// NewDataKey implements [KeyService].
func (k LocalKey) NewDataKey(_ context.Context, workspaceID string) (plain, wrapped []byte, err error) {
	gcm, err := newGCM(k[:])
	if err != nil {
		return nil, nil, err
	}
	plain = make([]byte, KeySize)
	rand.Read(plain)
	return plain, gcm.Seal(nil, nil, plain, []byte(workspaceID)), nil
}

// Unwrap implements [KeyService].
func (k LocalKey) Unwrap(_ context.Context, workspaceID string, wrapped []byte) ([]byte, error) {
	gcm, err := newGCM(k[:])
	if err != nil {
		return nil, err
	}
	plain, err := gcm.Open(nil, nil, wrapped, []byte(workspaceID))
	if err != nil {
		return nil, ErrNotAuthentic
	}
	return plain, nil
}
