// Package secret reads secrets of Secrets Manager.
package secret

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"boathook/internal/cache"
)

// ttl bounds how long a secret that was rotated is still good.
const ttl = time.Minute

// Reader reads secrets.
type Reader struct{ client *secretsmanager.Client }

// New makes a Reader.
func New(sdk aws.Config) Reader { return Reader{secretsmanager.NewFromConfig(sdk)} }

// Text gives the text of a secret, which is never empty. It is read when it is
// first asked for, and again every minute.
func (r Reader) Text(id string) func(context.Context) (string, error) {
	texts := cache.Cache[string]{TTL: ttl, Size: 1}
	return func(ctx context.Context) (string, error) {
		return texts.Get(ctx, id, func(ctx context.Context) (string, error) {
			out, err := r.client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id})
			if err != nil {
				return "", fmt.Errorf("read secret %s: %w", id, err)
			}
			if aws.ToString(out.SecretString) == "" {
				return "", fmt.Errorf("secret %s is empty", id)
			}
			return *out.SecretString, nil
		})
	}
}
