package dynamo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"boathook/internal/store"
)

// dueItem is what is due.
type dueItem struct {
	record
	At      time.Time     `dynamodbav:"du"`
	Kind    store.DueKind `dynamodbav:"ki"`
	Payload []byte        `dynamodbav:"pl,omitempty"`
}

func newDueItem(d store.Due, expires int64) dueItem {
	return dueItem{record{dueKey(d), expires}, d.At, d.Kind, d.Payload}
}

func (it dueItem) due() store.Due {
	_, id, _ := strings.Cut(it.SK, "#")
	return store.Due{At: it.At, ID: id, Kind: it.Kind, Payload: it.Payload}
}

// PutDue implements [store.Schedule].
func (s *Store) PutDue(ctx context.Context, d store.Due) error {
	// The retention begins when the row is due, not when it is written.
	expires := max(s.expiry(), d.At.Add(s.config.Retention).Unix())
	if _, err := s.putRecord(ctx, newDueItem(d, expires), "", nil); err != nil {
		return fmt.Errorf("put scheduled item %s: %w", d.ID, err)
	}
	return nil
}

// Due implements [store.Schedule].
func (s *Store) Due(ctx context.Context, shard int, after store.Due, until time.Time, limit int) (rows []store.Due, err error) {
	first, last := dueAfter(after), position(until, highest)
	if first > last {
		return nil, nil
	}
	for it, err := range s.items(ctx, &dynamodb.QueryInput{
		TableName: &s.config.RecordsTable, ConsistentRead: aws.Bool(true), Limit: aws.Int32(int32(limit) + 1),
		KeyConditionExpression: aws.String("pk = :pk AND sk BETWEEN :first AND :last"),
		ExpressionAttributeValues: item{
			":pk": str(duePartition(shard)), ":first": str(first), ":last": str(last),
		},
	}) {
		if err != nil {
			return nil, fmt.Errorf("get what is due in shard %d: %w", shard, err)
		}
		d, err := decode[dueItem](it)
		if err != nil {
			return nil, err
		}
		if d.SK == first {
			continue
		}
		rows = append(rows, d.due())
		if len(rows) == limit {
			break
		}
	}
	return rows, nil
}

// DeleteDue implements [store.Schedule].
func (s *Store) DeleteDue(ctx context.Context, d store.Due) error {
	if err := s.deleteRecord(ctx, dueKey(d)); err != nil {
		return fmt.Errorf("delete scheduled item %s: %w", d.ID, err)
	}
	return nil
}
