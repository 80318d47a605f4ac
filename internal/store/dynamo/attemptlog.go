package dynamo

import (
	"context"
	"fmt"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// attemptColumns are a delivery without its body and attempt, its dialect, and what tells where
// its body is and how long.
const attemptColumns = deliveryColumns + ", dl, z, k"

// attemptRow is one attempt of a delivery.
type attemptRow struct {
	of     deliveryItem
	id     boathook.DeliveryID
	number int
}

// AttemptLog implements [store.Deliveries]. A delivery's count of attempts tells
// their keys.
func (s *Store) AttemptLog(ctx context.Context, q store.AttemptQuery) ([]store.Attempted, error) {
	rows, err := s.attemptRows(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("list attempts of %s: %w", q.WebhookID, err)
	}
	var keys []tableKey
	var last key
	for _, row := range rows {
		if row.of.key != last {
			last = row.of.key
			keys = append(keys, s.recordKey(last))
			keys = append(keys, s.partKeys(last, row.of.Parts)...)
		}
		if row.number > 1 {
			keys = append(keys, s.recordKey(attemptKey(row.id, row.number)))
		}
	}
	found, err := s.readBatch(ctx, keys...)
	if err != nil {
		return nil, fmt.Errorf("list attempts of %s: %w", q.WebhookID, err)
	}
	var log []store.Attempted
	size := 0
	for _, row := range rows {
		a, ok := s.attempted(ctx, found, row, q.WorkspaceID)
		if !ok {
			continue
		}
		if size >= store.MaxPageBytes {
			break
		}
		size += a.Delivery.Body.Len()
		if a.Attempt.Response != nil {
			size += len(a.Attempt.Response.Body)
		}
		log = append(log, a)
	}
	return log, nil
}

// attemptRows are the attempts that a query asks for, as the deliveries count them.
func (s *Store) attemptRows(ctx context.Context, q store.AttemptQuery) (rows []attemptRow, err error) {
	lists := s.webhookLists(list{table: s.config.RecordsTable, columns: attemptColumns}, q.WorkspaceID, q.WebhookID)
	share := store.Share(boathook.Page{Limit: q.Skip + q.Limit, Look: store.MaxCounted}, len(lists))
	deliveries, edge, err := lookAll(ctx, s, "", share, func(it deliveryItem) bool {
		return it.WebhookID == q.WebhookID && it.Attempts > 0
	}, lists)
	if err != nil {
		return nil, err
	}
	deliveries, _ = cut(deliveries, edge, len(deliveries))
	skip, size := q.Skip, 0
	for _, d := range deliveries {
		id, err := boathook.ParseDeliveryID(d.position)
		if err != nil {
			return nil, err
		}
		for number := d.object.Attempts; number > 0; number-- {
			if skip > 0 {
				skip--
				continue
			}
			if len(rows) == q.Limit || size >= store.MaxPageBytes {
				return rows, nil
			}
			rows = append(rows, attemptRow{d.object, id, number})
			size += d.object.BodySize
		}
	}
	return rows, nil
}

// attempted is a row of the log. It is not ok where there is no such attempt: a
// delivery may have been canceled in its place, or have lost it.
func (s *Store) attempted(ctx context.Context, found map[key]item, row attemptRow, workspaceID string) (a store.Attempted, ok bool) {
	record, err := decode[deliveryItem](found[row.of.key])
	packed := record.First
	if err == nil && row.number > 1 {
		var it attemptItem
		it, err = decode[attemptItem](found[attemptKey(row.id, row.number)])
		packed = it.Attempt
	}
	if err == nil && packed == nil {
		return a, false
	}
	if err == nil {
		a.Attempt, err = unpackAttempt(packed)
	}
	if err == nil {
		a.Delivery, err = row.of.delivery(workspaceID)
		a.Delivery.ContentType, a.Delivery.Fault = record.ContentType, record.Fault // which the list leaves out
	}
	if err != nil {
		s.unreadable(ctx, fmt.Errorf("attempt %d of delivery %s: %w", row.number, row.id, err))
		return a, false
	}
	body, err := openAmong(found, row.of.key, record.content)
	if err != nil {
		s.unreadable(ctx, err) // shown without it
	}
	a.Delivery.Body = boathook.NewBody(body)
	return a, true
}
