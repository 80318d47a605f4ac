package dynamo

import (
	"boathook/internal/store"
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// guarded is DynamoDB for keys that may be such as no item can have, because an
// id from outside is no id (see [part]). A request for one is not made: a read
// finds nothing, a change or a deletion finds nothing to change or delete, and
// what would create an item is refused with [store.ErrNoID].
type guarded struct{ *dynamodb.Client }

// hasNone reports whether one of the attributes of a key that are there is one
// that no item has.
func hasNone(it item) bool {
	for _, name := range []string{pkAttr, skAttr, parentAttr, placeAttr} {
		if _, ok := it[name]; ok && textIn(it, name) == "" {
			return true
		}
	}
	return false
}

// GetItem is DynamoDB's, guarded.
func (g guarded) GetItem(ctx context.Context, in *dynamodb.GetItemInput, options ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	if hasNone(in.Key) {
		return &dynamodb.GetItemOutput{}, nil
	}
	return g.Client.GetItem(ctx, in, options...)
}

// BatchGetItem is DynamoDB's, guarded.
func (g guarded) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, options ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	wanted := make(map[string]types.KeysAndAttributes, len(in.RequestItems))
	for table, w := range in.RequestItems {
		var keys []item
		for _, k := range w.Keys {
			if !hasNone(k) {
				keys = append(keys, k)
			}
		}
		if w.Keys = keys; len(keys) > 0 {
			wanted[table] = w
		}
	}
	if len(wanted) == 0 {
		return &dynamodb.BatchGetItemOutput{}, nil
	}
	in.RequestItems = wanted
	return g.Client.BatchGetItem(ctx, in, options...)
}

// Query is DynamoDB's, guarded. Its condition begins with that of the partition,
// such as "pk = :pk".
func (g guarded) Query(ctx context.Context, in *dynamodb.QueryInput, options ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	_, behind, _ := strings.Cut(aws.ToString(in.KeyConditionExpression), " = ")
	partition, _, _ := strings.Cut(behind, " ")
	if textIn(in.ExpressionAttributeValues, partition) == "" {
		return &dynamodb.QueryOutput{}, nil
	}
	return g.Client.Query(ctx, in, options...)
}

// PutItem is DynamoDB's, guarded.
func (g guarded) PutItem(ctx context.Context, in *dynamodb.PutItemInput, options ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	if hasNone(in.Item) {
		return nil, store.ErrNoID
	}
	return g.Client.PutItem(ctx, in, options...)
}

// UpdateItem is DynamoDB's, guarded. One that gives an item another parent calls
// that :parent. An id may also be the name of an attribute.
func (g guarded) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, options ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	parent, moved := in.ExpressionAttributeValues[":"+parentAttr]
	none := hasNone(in.Key)
	for _, name := range in.ExpressionAttributeNames {
		none = none || name == ""
	}
	switch {
	case none && in.ConditionExpression != nil:
		return nil, &types.ConditionalCheckFailedException{Message: aws.String("there can be no such item")}
	case none, moved && hasNone(item{parentAttr: parent}):
		return nil, store.ErrNoID
	}
	return g.Client.UpdateItem(ctx, in, options...)
}

// DeleteItem is DynamoDB's, guarded.
func (g guarded) DeleteItem(ctx context.Context, in *dynamodb.DeleteItemInput, options ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error) {
	switch {
	case hasNone(in.Key) && in.ConditionExpression != nil:
		return nil, &types.ConditionalCheckFailedException{Message: aws.String("there can be no such item")}
	case hasNone(in.Key):
		return &dynamodb.DeleteItemOutput{}, nil
	}
	return g.Client.DeleteItem(ctx, in, options...)
}

// BatchWriteItem is DynamoDB's, guarded.
func (g guarded) BatchWriteItem(ctx context.Context, in *dynamodb.BatchWriteItemInput, options ...func(*dynamodb.Options)) (*dynamodb.BatchWriteItemOutput, error) {
	for _, writes := range in.RequestItems {
		for _, w := range writes {
			if w.PutRequest != nil && hasNone(w.PutRequest.Item) || w.DeleteRequest != nil && hasNone(w.DeleteRequest.Key) {
				return nil, store.ErrNoID
			}
		}
	}
	return g.Client.BatchWriteItem(ctx, in, options...)
}
