package dynamo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"boathook/internal/store"
)

// leaseItem is a place that is taken, or was.
type leaseItem struct {
	record
	Until time.Time `dynamodbav:"un"`
}

// TakeLease implements [store.Leases]. It looks which places are free first: where
// all are taken, as while many endpoints hang, that is all it costs.
func (s *Store) TakeLease(ctx context.Context, name string, places int, now, until time.Time) (l store.Lease, taken bool, err error) {
	busy := make([]bool, places)
	for it, err := range s.items(ctx, &dynamodb.QueryInput{
		TableName: &s.config.RecordsTable, KeyConditionExpression: aws.String("pk = :pk"),
		ExpressionAttributeValues: item{":pk": str(leaseKey(name, 0).PK)},
	}) {
		var held leaseItem
		if err == nil {
			held, err = decode[leaseItem](it)
		}
		if err != nil {
			return l, false, fmt.Errorf("look at the leases of %s: %w", name, err)
		}
		if place, err := strconv.Atoi(held.SK); err == nil && place < places && now.Before(held.Until) {
			busy[place] = true
		}
	}
	for _, place := range rand.Perm(places) { // so that several who look at once seldom want the same
		if busy[place] {
			continue
		}
		it := leaseItem{s.record(leaseKey(name, place)), until.UTC().Truncate(time.Millisecond)}
		taken, err := s.putRecord(ctx, it, absent+" OR un <= :at", item{":at": num(now.UnixMilli())})
		if taken || err != nil {
			return store.Lease{Name: name, Place: place, Until: it.Until}, taken, err
		}
	}
	return l, false, nil
}

// ReturnLease implements [store.Leases].
func (s *Store) ReturnLease(ctx context.Context, l store.Lease) error {
	_, err := s.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &s.config.RecordsTable, Key: leaseKey(l.Name, l.Place).item(),
		ConditionExpression: aws.String("un = :until"), ExpressionAttributeValues: item{":until": num(l.Until.UnixMilli())},
	})
	if _, other := errors.AsType[*types.ConditionalCheckFailedException](err); err != nil && !other {
		return fmt.Errorf("return a lease of %s: %w", l.Name, err)
	}
	return nil
}
