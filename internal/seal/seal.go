// Package seal encrypts the secrets that are stored: signing secrets and
// headers that hold credentials. Each workspace has a data key of its own,
// which a key service wraps (package kms, or a [LocalKey]) and the workspace's
// record holds. Sealing itself happens here, without a call to anyone.
package seal

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/cache"
)

// KeyService makes data keys of [KeySize] bytes and unwraps them. A key that
// was wrapped for one workspace does not unwrap for another.
type KeyService interface {
	NewDataKey(ctx context.Context, workspaceID string) (plain, wrapped []byte, err error)
	Unwrap(ctx context.Context, workspaceID string, wrapped []byte) (plain []byte, err error)
}

// KeySize is the size of keys in bytes: AES-256.
const KeySize = 32

// WorkspaceReader finds a workspace and in it the wrapped data key.
type WorkspaceReader interface {
	Workspace(ctx context.Context, id string) (boathook.Workspace, error)
}

// ErrNotAuthentic is what was not sealed for this workspace and subject, or
// was altered since.
var ErrNotAuthentic = errors.New("seal: not authentic")

const (
	// keyLifetime is how long an unwrapped data key is used before the key
	// service is asked again, and so may refuse.
	keyLifetime = time.Hour
	maxKeys     = 1000 // workspaces whose keys are held at once

	unwrapTimeout = 10 * time.Second
)

// Sealer seals and opens with the workspaces' data keys. It is safe for
// concurrent use.
type Sealer struct {
	keys       KeyService
	workspaces WorkspaceReader
	ciphers    cache.Cache[cipher.AEAD]
}

// New makes a sealer.
func New(keys KeyService, workspaces WorkspaceReader) *Sealer {
	return &Sealer{keys: keys, workspaces: workspaces, ciphers: cache.Cache[cipher.AEAD]{TTL: keyLifetime, Size: maxKeys}}
}

// NewDataKey makes the data key of a new workspace, wrapped, for its record.
func (s *Sealer) NewDataKey(ctx context.Context, workspaceID string) (wrapped []byte, err error) {
	_, wrapped, err = s.keys.NewDataKey(ctx, workspaceID)
	if err != nil {
		return nil, fmt.Errorf("new data key of %s: %w", workspaceID, err)
	}
	return wrapped, nil
}

// What is sealed is format, a random nonce of 12 bytes, the ciphertext, and a
// tag of 16 bytes.
const format = 1

// Seal encrypts plain for a subject of a workspace, such as an [OutgoingSecret].
func (s *Sealer) Seal(ctx context.Context, workspaceID, subject string, plain []byte) ([]byte, error) {
	aead, err := s.cipher(ctx, workspaceID)
	if err != nil {
		return nil, err
	}
	return aead.Seal([]byte{format}, nil, plain, bind(workspaceID, subject)), nil
}

// Open decrypts what [Sealer.Seal] made for the same subject and workspace;
// [ErrNotAuthentic] for anything else.
func (s *Sealer) Open(ctx context.Context, workspaceID, subject string, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != format {
		return nil, ErrNotAuthentic
	}
	aead, err := s.cipher(ctx, workspaceID)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nil, sealed[1:], bind(workspaceID, subject))
	if err != nil {
		return nil, ErrNotAuthentic
	}
	return plain, nil
}

// cipher is a workspace's, by its unwrapped data key.
func (s *Sealer) cipher(ctx context.Context, workspaceID string) (cipher.AEAD, error) {
	return s.ciphers.Get(ctx, workspaceID, func(ctx context.Context) (cipher.AEAD, error) {
		// Others may wait for this load whose callers have not gone away.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unwrapTimeout)
		defer cancel()
		workspace, err := s.workspaces.Workspace(ctx, workspaceID)
		if err != nil {
			return nil, fmt.Errorf("data key of %s: %w", workspaceID, err)
		}
		key, err := s.keys.Unwrap(ctx, workspaceID, workspace.DataKey)
		if err != nil {
			return nil, fmt.Errorf("data key of %s: %w", workspaceID, err)
		}
		return newGCM(key)
	})
}

// bind is the additional data that ties a ciphertext to where it belongs. The
// length keeps ("ab", "c") and ("a", "bc") apart.
func bind(workspaceID, subject string) []byte {
	data := binary.BigEndian.AppendUint32([]byte{format}, uint32(len(workspaceID)))
	return append(append(data, workspaceID...), subject...)
}

// newGCM is AES-GCM that puts a random nonce before the ciphertext.
func newGCM(key []byte) (cipher.AEAD, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("a data key of %d bytes, not %d", len(key), KeySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
