package dynamo

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"
)

// DynamoDB's limits of one batch.
const (
	maxBatchGet   = 100
	maxBatchWrite = 25
)

// tableKey is an item's key and the table it is in.
type tableKey struct {
	table string
	key
}

func (s *Store) recordKey(k key) tableKey { return tableKey{s.config.RecordsTable, k} }
func (s *Store) configKey(k key) tableKey { return tableKey{s.config.ConfigTable, k} }

// readBatch reads items consistently. Those that are absent or expired are left
// out. Each 100 are one request, and all requests are made at once. No key may be
// given twice.
func (s *Store) readBatch(ctx context.Context, keys ...tableKey) (map[key]item, error) {
	found := make(map[key]item, len(keys))
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for chunk := range slices.Chunk(keys, maxBatchGet) {
		group.Go(func() error {
			return s.readChunk(ctx, chunk, func(it item) {
				mu.Lock()
				defer mu.Unlock()
				found[keyOf(it)] = it
			})
		})
	}
	return found, group.Wait()
}

// readChunk reads what one request can.
func (s *Store) readChunk(ctx context.Context, keys []tableKey, found func(item)) error {
	wanted := make(map[string]types.KeysAndAttributes)
	for _, k := range keys {
		w := wanted[k.table]
		w.ConsistentRead = aws.Bool(true)
		w.Keys = append(w.Keys, k.item())
		wanted[k.table] = w
	}
	return untilDone(ctx, func() (left int, err error) {
		out, err := s.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: wanted})
		if err != nil {
			return 0, err
		}
		for _, items := range out.Responses {
			for _, it := range items {
				if !s.expired(it) {
					found(it)
				}
			}
		}
		wanted = out.UnprocessedKeys
		for _, w := range wanted {
			left += len(w.Keys)
		}
		return left, nil
	})
}

// writeBatch makes puts and deletes of one table in no particular order. No key
// may be in it twice.
func (s *Store) writeBatch(ctx context.Context, table string, writes []types.WriteRequest) error {
	for chunk := range slices.Chunk(writes, maxBatchWrite) {
		err := untilDone(ctx, func() (left int, err error) {
			out, err := s.client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{
				RequestItems: map[string][]types.WriteRequest{table: chunk},
			})
			if err != nil {
				return 0, err
			}
			chunk = out.UnprocessedItems[table]
			return len(chunk), nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// maxIdle is how many times in a row a batch may get nothing done before it
// fails: about half a minute.
const maxIdle = 8

// untilDone repeats a batch until nothing of it is left: DynamoDB leaves undone
// what is too much for one answer, and what it throttles. It waits where a
// repeat got nothing done.
func untilDone(ctx context.Context, batch func() (left int, err error)) error {
	delays := retry.NewExponentialJitterBackoff(10 * time.Second)
	before, idle := 0, 0
	for {
		left, err := batch()
		if left == 0 || err != nil {
			return err
		}
		if left < before {
			idle = 0
		}
		before = left
		if idle == maxIdle {
			return fmt.Errorf("throttled: %d items of a batch are left", left)
		}
		delay, err := delays.BackoffDelay(idle, nil)
		if err != nil {
			return err
		}
		idle++
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(delay):
		}
	}
}
