// Package sweep does each minute what is due: it sends the retries whose time
// has come, many in a request, looks after the runs that should be over, gives turns to runs
// that wait for one, and
// closes the connections that have not authenticated. Whatever it does, it does
// before it deletes the item that asked for it, so that a crash repeats a step and
// loses none.
package sweep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/store"
	"boathook/internal/tracing"
)

// Store is the part of the store that sweep needs.
type Store interface {
	Due(ctx context.Context, shard int, after store.Due, until time.Time, limit int) ([]store.Due, error)
	DeleteDue(ctx context.Context, d store.Due) error
	RunHead(ctx context.Context, id string) (boathook.RunHead, error)
	Delivery(ctx context.Context, workspaceID string, id boathook.DeliveryID) (boathook.Delivery, error)
}

// Keeper looks after runs; see package run.
type Keeper interface {
	CheckLease(ctx context.Context, head boathook.RunHead, due store.Due) error
	Start(ctx context.Context, head boathook.RunHead, due store.Due) error
	GiveTurns(ctx context.Context, due store.Due) error
}

// Connections closes what has not authenticated; see package live.
type Connections interface {
	CloseUnauthenticated(ctx context.Context, id string) error
}

// Sweeper does what is due. All fields but PageSize and Tracer are required.
type Sweeper struct {
	Store       Store
	Keeper      Keeper
	Retries     queue.Sender
	Connections Connections
	Now         func() time.Time
	Log         *slog.Logger
	Tracer      *tracing.Tracer // may be nil
	PageSize    int             // how many items of a shard are read at once; 0: 100
}

const (
	defaultPageSize = 100
	atOnce          = 20 // items of one shard in work, with their deliveries' bodies: two full requests to the queue
)

// Sweep does everything that is due. An item that fails stays for the next
// minute and does not stop the others; the error joins what failed. When ctx
// ends, the rest waits for the next minute too.
func (s *Sweeper) Sweep(ctx context.Context) error {
	failures := make([]error, store.DueShards)
	var shards sync.WaitGroup
	for shard := range store.DueShards {
		shards.Go(func() { failures[shard] = s.shard(ctx, shard) })
	}
	shards.Wait()
	return errors.Join(failures...)
}

// shard walks the shard's items once. Items that stay are passed by, so that a
// hundred that fail don't stand before one that does not.
func (s *Sweeper) shard(ctx context.Context, shard int) error {
	until, pageSize := s.Now(), cmp.Or(s.PageSize, defaultPageSize)
	var failures []error
	var last store.Due
	for ctx.Err() == nil {
		items, err := s.Store.Due(ctx, shard, last, until, pageSize)
		if err != nil {
			return errors.Join(append(failures, err)...)
		}
		for some := range slices.Chunk(items, atOnce) {
			failures = append(failures, s.items(ctx, some))
		}
		if len(items) < pageSize {
			break
		}
		last = items[len(items)-1]
	}
	return errors.Join(failures...)
}

// items does what a few items ask for: side by side, but for the retries, which are
// sent together.
func (s *Sweeper) items(ctx context.Context, items []store.Due) error {
	retries := make([]*queue.Message, len(items)) // nil where there is none to send
	failure := each(items, func(i int, item store.Due) (err error) {
		retries[i], err = s.item(ctx, item)
		return err
	})
	var (
		messages []queue.Message
		sent     []store.Due
	)
	for i, m := range retries {
		if m != nil {
			messages, sent = append(messages, *m), append(sent, items[i])
		}
	}
	if len(messages) == 0 {
		return failure
	}
	sendCtx, span := s.Tracer.Send(ctx, queue.Retries, slog.Int("messaging.batch.message_count", len(messages)))
	sendFailure := s.Retries.Send(sendCtx, messages...)
	span.Done(sendFailure)
	if partial, ok := errors.AsType[*queue.PartialError](sendFailure); ok {
		for _, i := range slices.Backward(partial.Failed) {
			sent = slices.Delete(sent, i, i+1)
		}
	} else if sendFailure != nil {
		sent = nil
	}
	if sendFailure != nil {
		sendFailure = fmt.Errorf("send %d retries: %w", len(messages), sendFailure)
	}
	return errors.Join(failure, sendFailure, each(sent, func(_ int, item store.Due) error { return s.Store.DeleteDue(ctx, item) }))
}

// each does something with every item at once. An item's failure does not stop the
// others.
func each(items []store.Due, do func(i int, item store.Due) error) error {
	failures := make([]error, len(items))
	var work sync.WaitGroup
	for i, item := range items {
		work.Go(func() {
			if err := do(i, item); err != nil {
				failures[i] = fmt.Errorf("due %s %s: %w", item.Kind, item.ID, err)
			}
		})
	}
	work.Wait()
	return errors.Join(failures...)
}

// missingPatience is how long an item waits for the record that it is about: its
// writer crashed before it, and the message that repeats the step is still to
// come.
const missingPatience = 5 * 24 * time.Hour

// item does what an item asks for, but for sending its retry, which it gives.
func (s *Sweeper) item(ctx context.Context, item store.Due) (retry *queue.Message, err error) {
	switch item.Kind {
	case store.DueRun:
		err = s.run(ctx, item, s.Keeper.CheckLease)
	case store.DueStart:
		err = s.run(ctx, item, s.Keeper.Start)
	case store.DueLine:
		err = s.Keeper.GiveTurns(ctx, item)
	case store.DueDelivery:
		retry, err = s.retry(ctx, item)
	case store.DueConnection:
		err = s.connection(ctx, item)
	default:
		err = errors.New("unknown kind")
	}
	if !boathook.IsKind(err, boathook.NotFound) {
		return retry, err
	}
	if s.Now().Sub(item.At) < missingPatience {
		return nil, nil
	}
	s.Log.WarnContext(ctx, "scheduled item dropped: its record is gone", "id", item.ID, "kind", item.Kind)
	return nil, s.Store.DeleteDue(ctx, item)
}

func (s *Sweeper) run(ctx context.Context, item store.Due, do func(context.Context, boathook.RunHead, store.Due) error) error {
	head, err := s.Store.RunHead(ctx, item.RunID())
	if err != nil {
		return err
	}
	return do(ctx, head, item)
}

func (s *Sweeper) retry(ctx context.Context, item store.Due) (*queue.Message, error) {
	job, err := queue.DecodeWaiting(item.Payload)
	if err != nil {
		return nil, err
	}
	record, err := s.Store.Delivery(ctx, job.WorkspaceID, job.ID)
	if err != nil {
		return nil, err
	}
	job.Body, job.Trace = record.Body, record.Trace
	message, err := queue.EncodeDelivery(job)
	return &message, err
}

func (s *Sweeper) connection(ctx context.Context, item store.Due) error {
	if err := s.Connections.CloseUnauthenticated(ctx, item.ID); err != nil {
		return err
	}
	return s.Store.DeleteDue(ctx, item)
}
