// Package dynamo keeps the [store.Store] in two DynamoDB tables.
//
// keys.go draws the layout: every key, index and attribute name. What the
// domain calls one object may be several items; each method writes them in the
// order in which a crash leaves nothing wrong, without transactions. The table
// in package store's documentation tells what each method costs.
//
// Each stored object has an item type, with a name of its own for each attribute: a
// field of the domain can be renamed, and what is stored stays. Items of the config
// table have the names in full. Items of the records table are many, so their
// attributes have names of one or two letters and their long texts are compressed:
// the first successful attempt of a delivery is one item of at most 1 KiB, which is
// one write unit.
package dynamo

import (
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"boathook/internal/store"
)

// Store is a [store.Store] in DynamoDB. Make it with [New]; it may be used by
// several goroutines at once.
type Store struct {
	client guarded
	config Config
}

var _ store.Store = (*Store)(nil)

// Config says where and for how long a [Store] keeps things.
type Config struct {
	ConfigTable  string // as [Tables] makes it; required
	RecordsTable string // as [Tables] makes it, with [TTLAttribute] as its time to live; required

	// Retention is how long records are kept: whole seconds, and longer than
	// any message lives in a queue and its dead-letter queue (15 days).
	Retention time.Duration

	Now func() time.Time // nil: time.Now
	Log *slog.Logger     // nil: slog.Default()
}

// New makes a Store. The client's own retries are relied on: give it the
// SDK's standard retryer or a more patient one.
func New(client *dynamodb.Client, c Config) *Store {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return &Store{guarded{client}, c}
}

// Tables describes the config and the records table, in this order, for set-ups
// that make them by API. Time to live on [TTLAttribute] is to be switched on
// once the records table is there.
func Tables(configTable, recordsTable string) []*dynamodb.CreateTableInput {
	return []*dynamodb.CreateTableInput{
		{
			TableName:            &configTable,
			BillingMode:          types.BillingModePayPerRequest,
			AttributeDefinitions: texts(pkAttr, skAttr, placeAttr),
			KeySchema:            keySchema(pkAttr, skAttr),
			LocalSecondaryIndexes: []types.LocalSecondaryIndex{{
				IndexName:  aws.String(byPlace),
				KeySchema:  keySchema(pkAttr, placeAttr),
				Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll},
			}},
		},
		{
			TableName:            &recordsTable,
			BillingMode:          types.BillingModePayPerRequest,
			AttributeDefinitions: texts(pkAttr, skAttr, parentAttr, placeAttr, workspaceAttr, activeAttr),
			KeySchema:            keySchema(pkAttr, skAttr),
			GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{
				sorted(byParent, parentAttr, projected), sorted(byWorkspace, workspaceAttr, runColumns), sorted(activeRuns, activeAttr, runColumns),
			},
		},
	}
}

// sorted is a global index that sorts what has the same value of an attribute by
// place, and copies some of its attributes.
func sorted(index, by string, columns []string) types.GlobalSecondaryIndex {
	return types.GlobalSecondaryIndex{
		IndexName:  &index,
		KeySchema:  keySchema(by, placeAttr),
		Projection: &types.Projection{ProjectionType: types.ProjectionTypeInclude, NonKeyAttributes: columns},
	}
}

func texts(names ...string) (defs []types.AttributeDefinition) {
	for _, name := range names {
		defs = append(defs, types.AttributeDefinition{AttributeName: &name, AttributeType: types.ScalarAttributeTypeS})
	}
	return defs
}

func keySchema(partition, sort string) []types.KeySchemaElement {
	return []types.KeySchemaElement{
		{AttributeName: &partition, KeyType: types.KeyTypeHash},
		{AttributeName: &sort, KeyType: types.KeyTypeRange},
	}
}

// expiry is when a record written now expires, in epoch seconds.
func (s *Store) expiry() int64 { return s.config.Now().Add(s.config.Retention).Unix() }

// now is the instant against which expiry is compared.
func (s *Store) now() int64 { return s.config.Now().Unix() }
