// Package paging cuts lists that are ordered by time into pages, for stores that have all
// of a list at hand.
package paging

import (
	"cmp"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// Position is where an object stands in a list: its time in Unix milliseconds
// (or a version's number), then its id.
type Position struct {
	At int64
	ID string
}

// PositionOf is where an object of a time stands.
func PositionOf(at time.Time, id string) Position { return Position{at.UnixMilli(), id} }

// Every Position is between these.
var (
	Beginning = Position{At: math.MinInt64}
	End       = Position{At: math.MaxInt64}
)

// Compare tells which of two stands first.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.At, q.At), cmp.Compare(p.ID, q.ID))
}

// Cursor stands for the Position in the store's answers.
func (p Position) Cursor() string { return strconv.FormatInt(p.At, 10) + "." + p.ID }

// ParseCursor gives the Position that a cursor stands for; the end for none.
func ParseCursor(cursor string) (Position, error) {
	if cursor == "" {
		return End, nil
	}
	at, id, _ := strings.Cut(cursor, ".")
	n, err := strconv.ParseInt(at, 10, 64)
	if err != nil || id == "" || strings.Contains(id, ".") {
		return Position{}, boathook.InvalidField("cursor", "not one that a list has given")
	}
	return Position{n, id}, nil
}

// Entry is a value of a list, and where it stands.
type Entry[V any] struct {
	Position
	Value V
}

// Look goes through entries until it has found one more than the limit of a
// page's share that keep wants, or has looked at as many as the share has. What is
// before edge it has not looked at.
func Look[V any](entries iter.Seq[Entry[V]], p boathook.Page, keep func(V) bool) (found []Entry[V], edge Position) {
	looked, last := 0, End
	for e := range entries {
		if looked == p.Look || len(found) > p.Limit {
			return found, last
		}
		looked++
		last = e.Position
		if keep(e.Value) {
			found = append(found, e)
		}
	}
	return found, Beginning
}

// Cut makes a page of what was found down to an edge.
func Cut[V any](found []Entry[V], edge Position, limit int) (page []Entry[V], next string) {
	page = slices.DeleteFunc(found, func(e Entry[V]) bool { return e.Compare(edge) < 0 })
	slices.SortFunc(page, func(a, b Entry[V]) int { return b.Compare(a.Position) })
	if len(page) > limit {
		page = page[:limit]
		edge = page[limit-1].Position
	}
	if edge != Beginning {
		next = edge.Cursor()
	}
	return page, next
}

// Page is one of a single list's entries that keep wants.
func Page[V any](entries iter.Seq[Entry[V]], p boathook.Page, keep func(V) bool) (values []V, next string) {
	found, edge := Look(entries, store.Share(p, 1), keep)
	found, next = Cut(found, edge, p.Limit)
	for _, e := range found {
		values = append(values, e.Value)
	}
	return values, next
}
