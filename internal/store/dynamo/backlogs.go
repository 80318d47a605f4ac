package dynamo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// backlogItem says until when nobody waits for a source's runs to start.
type backlogItem struct {
	record
	Until time.Time `dynamodbav:"un"`
}

// LookUpStart implements [store.Backlogs].
func (s *Store) LookUpStart(ctx context.Context, sourceID, runID string) (run *boathook.RunHead, backlog time.Time, err error) {
	head, mark := headKey(runID), backlogKey(sourceID)
	found, err := s.readBatch(ctx, s.recordKey(head), s.recordKey(mark))
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("look whether run %s has started: %w", runID, err)
	}
	if it, ok := found[head]; ok {
		h, err := decode[headItem](it)
		if err != nil {
			return nil, time.Time{}, err
		}
		known := h.head()
		run = &known
	}
	b, err := decode[backlogItem](found[mark])
	return run, b.Until, err
}

// MoveBacklog implements [store.Backlogs].
func (s *Store) MoveBacklog(ctx context.Context, sourceID string, from, to time.Time) (moved bool, err error) {
	k := backlogKey(sourceID)
	when, values := absent, item{}
	if !from.IsZero() {
		when, values = "un = :from AND x > :now", item{":from": num(from.UnixMilli())}
	}
	if to.IsZero() {
		values[":now"] = num(s.now())
		_, err = s.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
			TableName: &s.config.RecordsTable, Key: k.item(), ConditionExpression: aws.String(when), ExpressionAttributeValues: values,
		})
		_, other := errors.AsType[*types.ConditionalCheckFailedException](err)
		if moved = err == nil; other {
			err = nil
		}
	} else {
		moved, err = s.putRecord(ctx, backlogItem{record{k, to.Add(store.BacklogLife).Unix()}, to}, when, values)
	}
	if err != nil {
		return false, fmt.Errorf("move the backlog of %s: %w", sourceID, err)
	}
	return moved, nil
}
