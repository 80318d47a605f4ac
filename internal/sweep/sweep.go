// Package sweep does each minute what is due: it sends the retries whose time
// has come, looks after the runs that should be over, and closes the
// connections that have not authenticated. Whatever it does, it does before it deletes the row that asked for it, so that a crash repeats a
// step and loses none.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/store"
)

// Store is the part of the store that sweep needs.
type Store interface {
	Due(ctx context.Context, shard int, after store.Due, until time.Time, limit int) ([]store.Due, error)
	DeleteDue(ctx context.Context, d store.Due) error
	RunHead(ctx context.Context, id string) (boathook.RunHead, error)
	Delivery(ctx context.Context, workspaceID string, id boathook.DeliveryID) (boathook.Delivery, error)
}

// Keeper looks after runs; see package runs.
type Keeper interface {
	Tend(ctx context.Context, head boathook.RunHead, due store.Due) error
}

// Connections closes what has not authenticated; see package stream.
type Connections interface {
	CloseUnauthenticated(ctx context.Context, id string) error
}

// Sweeper is the room. All fields are required.
type Sweeper struct {
	Store       Store
	Keeper      Keeper
	Retries     queue.Sender
	Connections Connections
	Now         func() time.Time
	Log         *slog.Logger
}

const (
	pageSize = 100
	atOnce   = 8 // rows of one shard in work
)

// Sweep does everything that is due. A row that fails stays for the next
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

// shard walks the shard's rows once. Rows that stay are passed by, so that a
// hundred that fail don't stand before one that does not.
func (s *Sweeper) shard(ctx context.Context, shard int) error {
	until := s.Now()
	var failures []error
	var last store.Due
	for ctx.Err() == nil {
		rows, err := s.Store.Due(ctx, shard, last, until, pageSize)
		if err != nil {
			return errors.Join(append(failures, err)...)
		}
		failures = append(failures, s.rows(ctx, rows))
		if len(rows) < pageSize {
			break
		}
		last = rows[len(rows)-1]
	}
	return errors.Join(failures...)
}

func (s *Sweeper) rows(ctx context.Context, rows []store.Due) error {
	failures := make([]error, len(rows))
	var work errgroup.Group
	work.SetLimit(atOnce)
	for i, row := range rows {
		work.Go(func() error {
			if err := s.row(ctx, row); err != nil {
				failures[i] = fmt.Errorf("due %s %s: %w", row.Kind, row.ID, err)
			}
			return nil
		})
	}
	_ = work.Wait() // a row's failure does not stop the others
	return errors.Join(failures...)
}

// missingPatience is how long a row waits for the record that it is about: its
// writer crashed before it, and the message that repeats the step is still to
// come.
const missingPatience = 5 * 24 * time.Hour

func (s *Sweeper) row(ctx context.Context, row store.Due) error {
	var err error
	switch row.Kind {
	case store.DueRun:
		err = s.run(ctx, row)
	case store.DueDelivery:
		err = s.delivery(ctx, row)
	case store.DueConnection:
		err = s.connection(ctx, row)
	default:
		return errors.New("unknown kind")
	}
	if !boathook.IsKind(err, boathook.NotFound) {
		return err
	}
	if s.Now().Sub(row.At) < missingPatience {
		return nil
	}
	s.Log.WarnContext(ctx, "due row dropped: its record is gone", "id", row.ID, "kind", row.Kind)
	return s.Store.DeleteDue(ctx, row)
}

func (s *Sweeper) run(ctx context.Context, row store.Due) error {
	head, err := s.Store.RunHead(ctx, row.ID)
	if err != nil {
		return err
	}
	return s.Keeper.Tend(ctx, head, row)
}

func (s *Sweeper) delivery(ctx context.Context, row store.Due) error {
	due, err := store.ParseDueAttempt(row)
	if err != nil {
		return err
	}
	record, err := s.Store.Delivery(ctx, due.WorkspaceID, due.DeliveryID)
	if err != nil {
		return err
	}
	message, err := queue.EncodeDelivery(queue.Delivery{Delivery: record, Attempt: due.Attempt, Series: due.Series})
	if err != nil {
		return err
	}
	if err := s.Retries.Send(ctx, message); err != nil {
		return err
	}
	return s.Store.DeleteDue(ctx, row)
}

func (s *Sweeper) connection(ctx context.Context, row store.Due) error {
	if err := s.Connections.CloseUnauthenticated(ctx, row.ID); err != nil {
		return err
	}
	return s.Store.DeleteDue(ctx, row)
}
