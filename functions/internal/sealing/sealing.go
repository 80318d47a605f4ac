// Package sealing is the part of functions' configurations that names the
// stack's key. It stands apart from boot, since not every function seals secrets
// or opens them.
package sealing

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"boathook/internal/seal"
	sealkms "boathook/internal/seal/kms"
)

// Key is the part of a configuration that seals.
type Key struct {
	KeyID string `env:"BOATHOOK_KEY_ID,required,notEmpty"`
}

// Sealer seals with the data keys of workspaces, which the key wraps.
func (k Key) Sealer(sdk aws.Config, workspaces seal.WorkspaceReader) *seal.Sealer {
	return seal.New(sealkms.Keys{Client: kms.NewFromConfig(sdk), KeyID: k.KeyID}, workspaces)
}
