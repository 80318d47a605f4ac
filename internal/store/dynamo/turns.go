package dynamo

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"boathook/internal/store"
)

// turnsItem says who has a turn of a deployment. It stands before the line in its
// partition, so that one query reads both.
type turnsItem struct {
	record
	Taken    map[string]time.Time `dynamodbav:"f"`
	Revision int                  `dynamodbav:"v"`
}

// waitingItem is a run that stands in line: its key says all.
type waitingItem struct{ record }

// Turns implements [store.Turns].
func (s *Store) Turns(ctx context.Context, sourceID string, limit int) (view store.TurnsView, err error) {
	taken := turnsKey(sourceID)
	if taken.isNone() {
		return view, nil
	}
	for it, err := range s.items(ctx, &dynamodb.QueryInput{
		TableName: &s.config.RecordsTable, ConsistentRead: aws.Bool(true), Limit: aws.Int32(int32(limit) + 1),
		KeyConditionExpression: aws.String("pk = :pk"), ExpressionAttributeValues: item{":pk": str(taken.PK)},
	}) {
		if err != nil {
			return store.TurnsView{}, fmt.Errorf("look at the turns of %s: %w", sourceID, err)
		}
		place, waits := strings.CutPrefix(textIn(it, skAttr), waitingPlaces)
		if !waits {
			turns, err := decode[turnsItem](it)
			if err != nil {
				return store.TurnsView{}, err
			}
			view.Taken, view.Revision = turns.Taken, turns.Revision
			continue
		}
		at, runID, _ := positioned(place) // it was written by waitingKey
		if view.Line = append(view.Line, store.Waiting{RunID: runID, At: at}); len(view.Line) == limit {
			break
		}
	}
	return view, nil
}

// MoveTurns implements [store.Turns].
func (s *Store) MoveTurns(ctx context.Context, sourceID string, known store.TurnsView, taken map[string]time.Time) (moved bool, err error) {
	k := turnsKey(sourceID)
	if k.isNone() {
		return false, store.ErrNoID
	}
	when, values := absent, item{}
	if known.Revision > 0 {
		when, values = "x > :now AND v = :known", item{":known": num(int64(known.Revision))}
	}
	it := turnsItem{s.record(k), maps.Clone(taken), known.Revision + 1}
	if it.Taken == nil {
		it.Taken = map[string]time.Time{} // EndTurn looks into it
	}
	if moved, err = s.putRecord(ctx, it, when, values); err != nil {
		return false, fmt.Errorf("move the turns of %s: %w", sourceID, err)
	}
	return moved, nil
}

// EndTurn implements [store.Turns].
func (s *Store) EndTurn(ctx context.Context, sourceID, runID string) error {
	_, err := s.changeRecord(ctx, turnsKey(sourceID), "SET v = v + :one REMOVE f.#run", "attribute_exists(f.#run)",
		map[string]any{"#run": part("", runID), ":one": 1})
	if err != nil {
		return fmt.Errorf("end the turn of run %s: %w", runID, err)
	}
	return nil
}

// StandInLine implements [store.Turns].
func (s *Store) StandInLine(ctx context.Context, sourceID string, w store.Waiting) error {
	k := waitingKey(sourceID, w)
	if k.isNone() {
		return store.ErrNoID
	}
	if _, err := s.putRecord(ctx, waitingItem{s.record(k)}, "", nil); err != nil {
		return fmt.Errorf("put run %s in line: %w", w.RunID, err)
	}
	return nil
}

// LeaveLine implements [store.Turns].
func (s *Store) LeaveLine(ctx context.Context, sourceID string, w store.Waiting) error {
	if err := s.deleteRecord(ctx, waitingKey(sourceID, w)); err != nil {
		return fmt.Errorf("take run %s out of line: %w", w.RunID, err)
	}
	return nil
}
