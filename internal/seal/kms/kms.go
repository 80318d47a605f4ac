// Package kms wraps data keys with a key in AWS KMS. A wrapped key is bound to
// its workspace by the encryption context {"workspace": id}, which CloudTrail
// shows and a key policy may ask for.
package kms

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// Client is the part of the SDK's client that is used.
type Client interface {
	GenerateDataKey(context.Context, *kms.GenerateDataKeyInput, ...func(*kms.Options)) (*kms.GenerateDataKeyOutput, error)
	Decrypt(context.Context, *kms.DecryptInput, ...func(*kms.Options)) (*kms.DecryptOutput, error)
}

// Keys is the key service of package seal. KeyID is the key's id, ARN or
// alias.
type Keys struct {
	Client Client
	KeyID  string
}

// NewDataKey makes a key by one GenerateDataKey.
func (k Keys) NewDataKey(ctx context.Context, workspaceID string) (plain, wrapped []byte, err error) {
	out, err := k.Client.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{
		KeyId: &k.KeyID, KeySpec: types.DataKeySpecAes256, EncryptionContext: bind(workspaceID),
	})
	if err != nil {
		return nil, nil, fmt.Errorf("generate data key: %w", err)
	}
	return out.Plaintext, out.CiphertextBlob, nil
}

// Unwrap decrypts a key by one Decrypt, which refuses one that another KMS key
// has wrapped.
func (k Keys) Unwrap(ctx context.Context, workspaceID string, wrapped []byte) ([]byte, error) {
	out, err := k.Client.Decrypt(ctx, &kms.DecryptInput{
		KeyId: &k.KeyID, CiphertextBlob: wrapped, EncryptionContext: bind(workspaceID),
	})
	if err != nil {
		return nil, fmt.Errorf("unwrap data key: %w", err)
	}
	return out.Plaintext, nil
}

func bind(workspaceID string) map[string]string { return map[string]string{"workspace": workspaceID} }
