package localaws

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"boathook/events"
	"boathook/internal/seal"
	sealkms "boathook/internal/seal/kms"
	"boathook/internal/store/dynamo"
)

// PutFixture puts what package events begins with into the stack's tables.
func (d *Cloud) PutFixture(ctx context.Context, servers events.Servers) error {
	var names [3]string
	for i, id := range []string{"ConfigTable", "RecordsTable", "Key"} {
		var err error
		if names[i], err = d.Ref(id); err != nil {
			return err
		}
	}
	store := dynamo.New(dynamodb.NewFromConfig(d.SDK()), dynamo.Config{
		ConfigTable: names[0], RecordsTable: names[1], Retention: 30 * 24 * time.Hour,
	})
	sealer := seal.New(sealkms.Keys{Client: kms.NewFromConfig(d.SDK()), KeyID: names[2]}, store)
	return events.Put(ctx, store, sealer, time.Now(), servers)
}
