package sqlite

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/database"
	"boathook/internal/store"
	"boathook/internal/store/paging"
)

// Config is what a [Store] is made with.
type Config struct {
	DB        *database.DB
	Retention time.Duration    // how long a record is kept from its creation on; positive
	Now       func() time.Time // nil: time.Now
	Log       *slog.Logger     // nil: slog.Default
}

// Store is a [store.Store] in SQLite. It is safe for concurrent use. A call waits for
// the disk alone, and so doesn't look at its context.
type Store struct {
	config Config

	// What each event asks for.
	tokens    database.Memo[[sha256.Size]byte, *tokenItem]
	sources   database.Memo[ofWorkspace, *sourceItem]
	types     database.Memo[ofWorkspace, *eventTypeItem]
	webhooks  database.Memo[ofSource, outgoingItem] // those that nothing troubles
	audiences database.Memo[string, audienceItem]   // by their sources' ids
}

// ofWorkspace is a thing of a workspace.
type ofWorkspace struct{ workspace, id string }

// ofSource is a thing of a source.
type ofSource struct{ source, id string }

var _ store.Store = (*Store)(nil)

// New makes the store of a database.
func New(c Config) *Store {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return &Store{config: c}
}

func (s *Store) now() time.Time { return s.config.Now() }

// expiry is when a record that is written now expires.
func (s *Store) expiry() time.Time { return s.now().Add(s.config.Retention) }

func notFound(what string) error { return boathook.Errorf(boathook.NotFound, "%s not found", what) }

var errChanged = boathook.Errorf(boathook.Conflict, "it was changed or deleted meanwhile, look again")

// stored is a time as it is kept: in UTC, to the millisecond.
func stored(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// encode makes the column "item" of an item.
func encode(item any) []byte {
	b, err := json.Marshal(item)
	if err != nil {
		panic(err) // items are texts, numbers, times and bytes
	}
	return b
}

// decode reads the column "item".
func decode[T any](row database.Row, column int) (item T, err error) {
	if err := json.Unmarshal(row.Bytes(column), &item); err != nil {
		return item, fmt.Errorf("a record can't be read: %w", err)
	}
	return item, nil
}

// first reads the item in a query's only column; found is false if there is no row.
func first[T any](tx *database.Tx, query string, args ...any) (item T, found bool, err error) {
	found, err = tx.First(func(row database.Row) (err error) {
		item, err = decode[T](row, 0)
		return err
	}, query, args...)
	return item, found, err
}

// one reads the object whose item is in a query's only column. what names it where it is
// not there.
func one[T, V any](s *Store, what string, object func(T) V, query string, args ...any) (V, error) {
	return read(s, func(tx *database.Tx) (V, error) {
		item, found, err := first[T](tx, query, args...)
		if err == nil && !found {
			err = notFound(what)
		}
		return object(item), err
	})
}

// known is [one] of what is asked for with each event, and so is remembered, also that it is
// not there. Its value shares nothing with what is remembered.
func known[K comparable, T, V any](s *Store, memo *database.Memo[K, *T], key K, what string, object func(T) V, query string, args ...any) (v V, err error) {
	item, err := memo.Get(s.config.DB, key, func(tx *database.Tx) (*T, bool, error) {
		item, found, err := first[T](tx, query, args...)
		if !found {
			return nil, true, err
		}
		return &item, true, err
	})
	switch {
	case err != nil:
		return v, err
	case item == nil:
		return v, notFound(what)
	}
	return object(*item), nil
}

// copied is a copy of what p points to; nil of nil.
func copied[T any](p *T) *T {
	if p == nil {
		return nil
	}
	return new(*p)
}

// all reads the items in a query's only column. One that can't be read is left out and
// told of in the log; the error is then [store.ErrIncomplete], and the others are given.
func all[T any](s *Store, tx *database.Tx, query string, args ...any) (items []T, err error) {
	var incomplete error
	for row, err := range tx.Query(query, args...) {
		if err != nil {
			return nil, err
		}
		item, err := decode[T](row, 0)
		if err != nil {
			s.config.Log.Error("a record can't be read and is left out", "error", err)
			incomplete = store.ErrIncomplete
			continue
		}
		items = append(items, item)
	}
	return items, incomplete
}

// readable are the items that could be read, where the others are no error.
func readable[T any](items []T, err error) ([]T, error) {
	if errors.Is(err, store.ErrIncomplete) {
		err = nil
	}
	return items, err
}

// each converts the elements of a slice; nil stays nil.
func each[T, V any](from []T, convert func(T) V) []V {
	if from == nil {
		return nil
	}
	to := make([]V, len(from))
	for i, v := range from {
		to[i] = convert(v)
	}
	return to
}

// read is a transaction that reads a value.
func read[T any](s *Store, do func(tx *database.Tx) (T, error)) (v T, err error) {
	err = s.config.DB.Read(func(tx *database.Tx) (err error) {
		v, err = do(tx)
		return err
	})
	return v, err
}

// write is a transaction that changes what there is and tells of it.
func write[T any](s *Store, do func(tx *database.Tx) (T, error)) (v T, err error) {
	err = s.config.DB.Write(func(tx *database.Tx) (err error) {
		v, err = do(tx)
		return err
	})
	return v, err
}

// expiring are the tables of what expires. What belongs to a row goes with it.
var expiring = []string{
	"healths", "runs", "pinned_runs", "backlogs", "requests", "logs", "pins", "deliveries", "slots", "leases", "connections", "watchers",
	"feed_events", "feed_marks", "turns", "waiting", "statistics", "bursts",
}

// Expire removes records that have expired, at most limit of each kind, and tells
// whether there may be more.
func (s *Store) Expire(limit int) (more bool, err error) {
	for _, table := range expiring {
		removed, err := write(s, func(tx *database.Tx) (int, error) {
			err := tx.Exec("DELETE FROM "+table+" WHERE rowid IN (SELECT rowid FROM "+table+" WHERE expires <= ? LIMIT ?)", s.now(), limit)
			return tx.Changes(), err
		})
		if err != nil {
			return false, fmt.Errorf("remove what has expired of %s: %w", table, err)
		}
		more = more || removed == limit
	}
	return more, nil
}

// entries are the rows of a query whose first two columns say where an object stands in
// a list. What can't be read is left out and told of in the log. What the database
// fails with is put into failed, and ends them.
func entries[V any](s *Store, tx *database.Tx, failed *error, scan func(database.Row) (V, error), query string, args ...any) iter.Seq[paging.Entry[V]] {
	return func(yield func(paging.Entry[V]) bool) {
		for row, err := range tx.Query(query, args...) {
			if err != nil {
				*failed = err
				return
			}
			at := paging.Position{At: row.Int(0), ID: row.Text(1)}
			v, err := scan(row)
			if err != nil {
				s.config.Log.Error("a record can't be read and is left out", "id", at.ID, "error", err)
				continue
			}
			if !yield(paging.Entry[V]{Position: at, Value: v}) {
				return
			}
		}
	}
}

// list reads a page of a list: query's columns are the position and the item, and its
// last two arguments where the page begins.
func list[T, V any](s *Store, p boathook.Page, value func(T) V, query string, args ...any) (values []V, next string, err error) {
	from, err := paging.ParseCursor(p.Cursor)
	if err != nil {
		return nil, "", err
	}
	err = s.config.DB.Read(func(tx *database.Tx) (failed error) {
		scan := func(row database.Row) (v V, err error) {
			item, err := decode[T](row, 2)
			return value(item), err
		}
		values, next = paging.Page(entries(s, tx, &failed, scan, query, append(args, from.At, from.ID)...), p, func(V) bool { return true })
		return failed
	})
	if err != nil {
		return nil, "", err
	}
	return values, next, nil
}
