package dynamo

import (
	"context"
	"fmt"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// pinItem is what a caller may publish again: an event, or those of a request.
type pinItem struct {
	record
	Hash       []byte    `dynamodbav:"h"`
	Time       time.Time `dynamodbav:"t"`
	Published  bool      `dynamodbav:"p"`
	Deliveries []int     `dynamodbav:"d,omitempty"` // once they are published
}

// PinEvent implements [store.Events].
func (s *Store) PinEvent(ctx context.Context, p store.EventPin) (store.EventPin, error) {
	pinned, err := s.pinEvent(ctx, p)
	if err != nil {
		return p, fmt.Errorf("pin event %s: %w", p.ID, err)
	}
	if string(pinned.Hash) != string(p.Hash[:]) {
		return p, boathook.Errorf(boathook.Conflict, "event %s is pinned with other content", p.ID)
	}
	p.Time, p.Published, p.Deliveries = pinned.Time, pinned.Published, pinned.Deliveries
	return p, nil
}

// pinEvent gives the pin that is there, or that it has put.
func (s *Store) pinEvent(ctx context.Context, p store.EventPin) (pinItem, error) {
	it := pinItem{record: s.record(pinKey(p.WorkspaceID, p.ID)), Hash: p.Hash[:], Time: p.Time.UTC().Truncate(time.Millisecond)}
	for {
		put, err := s.putRecord(ctx, it, absent, nil)
		if put || err != nil {
			return it, err
		}
		found, err := s.read(ctx, s.config.RecordsTable, it.key, true)
		if err != nil {
			return it, err
		}
		if found != nil {
			return decode[pinItem](found)
		}
		// It has expired between the write and the look that followed.
	}
}

// MarkEventPublished implements [store.Events].
func (s *Store) MarkEventPublished(ctx context.Context, workspaceID, id string, deliveries []int) error {
	it, held, err := s.updateRecord(ctx, pinKey(workspaceID, id), "SET p = :p, d = :d", "", map[string]any{":p": true, ":d": deliveries})
	if err != nil {
		return fmt.Errorf("mark event %s published: %w", id, err)
	}
	if !held && it == nil {
		return notFound("event " + id)
	}
	return nil
}
