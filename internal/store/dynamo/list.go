package dynamo

import (
	"cmp"
	"context"
	"encoding/base64"
	"iter"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"golang.org/x/sync/errgroup"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// list is a part of a table or an index that is read in pages, newest first.
// An item's position in it is its sort key without the prefix.
type list struct {
	table      string
	index      string // empty: the table itself
	consistent bool   // not of a global index
	partition  string
	prefix     string // of the sort keys; empty: the whole partition
	columns    string // the attributes to read, all keys included; empty: all
	oldest     string // the positions of interest begin here; empty: with the first
	newest     string // and end here; empty: with the last
}

// attributes are the names of the list's keys.
func (l list) attributes() (partition, sort string) {
	switch l.index {
	case byParent:
		return parentAttr, placeAttr
	case byWorkspace:
		return workspaceAttr, placeAttr
	case activeRuns:
		return activeAttr, placeAttr
	case byPlace:
		return pkAttr, placeAttr
	}
	return pkAttr, skAttr
}

// Every position sorts between these. (A key may not be compared with the empty
// string.)
const (
	lowest  = "!"
	highest = "~"
)

// bounds are the oldest and the newest position to read if the newest may be
// from, or any if from is empty. They may be the wrong way round: then there is
// nothing between them.
func (l list) bounds(from string) (oldest, newest string) {
	return cmp.Or(l.oldest, lowest), min(cmp.Or(from, highest), cmp.Or(l.newest, highest))
}

// query reads the list from its newest item, or from a position, which is
// itself included.
func (l list) query(from string, limit int) *dynamodb.QueryInput {
	partition, sort := l.attributes()
	oldest, newest := l.bounds(from)
	in := &dynamodb.QueryInput{
		TableName:              &l.table,
		KeyConditionExpression: aws.String(partition + " = :p AND " + sort + " BETWEEN :first AND :last"),
		ExpressionAttributeValues: item{
			":p": str(l.partition), ":first": str(l.prefix + oldest), ":last": str(l.prefix + newest),
		},
		ScanIndexForward: aws.Bool(false),
		ConsistentRead:   &l.consistent,
		Limit:            aws.Int32(int32(limit)),
	}
	if l.index != "" {
		in.IndexName = &l.index
	}
	if l.columns != "" {
		in.ProjectionExpression = &l.columns
	}
	return in
}

// items runs a query to its end, or until the caller stops, and leaves out what has
// expired. A limit is the size of the first request's page; the pages of further
// requests double. It is for partitions that are small, or whose readers stop.
func (s *Store) items(ctx context.Context, in *dynamodb.QueryInput) iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		for {
			out, err := s.client.Query(ctx, in)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, it := range out.Items {
				if !s.expired(it) && !yield(it, nil) {
					return
				}
			}
			if len(out.LastEvaluatedKey) == 0 {
				return
			}
			in.ExclusiveStartKey = out.LastEvaluatedKey
			if in.Limit != nil {
				in.Limit = aws.Int32(min(2**in.Limit, 10_000))
			}
		}
	}
}

// parallel is how many requests one call makes at once.
const parallel = 8

// placed is an object and its position in its list.
type placed[T any] struct {
	position string
	object   T
}

func newestFirst[T any](a, b placed[T]) int { return cmp.Compare(b.position, a.position) }

// look reads, in one request, the objects of a list that come after a position and
// that keep wants; nil keeps all. It ends with one more than the limit of its share
// of a page, when it has looked at as many items as it may, or at 1 MB of them,
// which is where DynamoDB ends an answer. Items that have expired count, and those
// that can't be decoded. What is behind edge it has not looked at; edge is empty at
// the list's end.
func look[T any](ctx context.Context, s *Store, l list, from string, share boathook.Page, keep func(T) bool) (found []placed[T], edge string, err error) {
	if oldest, newest := l.bounds(from); oldest > newest {
		return nil, "", nil // which DynamoDB would refuse
	}
	most := share.Look
	if keep == nil {
		most = share.Limit
	}
	// Two more: the one at from, and one to see whether there are more.
	out, err := s.client.Query(ctx, l.query(from, most+2))
	if err != nil {
		return nil, "", err
	}
	_, sort := l.attributes()
	for _, it := range out.Items {
		position := textIn(it, sort)[len(l.prefix):]
		if position == from {
			continue
		}
		edge = position
		if s.expired(it) {
			continue
		}
		object, err := decode[T](it)
		if err != nil {
			s.unreadable(ctx, err)
			continue
		}
		if keep != nil && !keep(object) {
			continue
		}
		if found = append(found, placed[T]{position, object}); len(found) > share.Limit {
			return found, edge, nil
		}
	}
	if len(out.LastEvaluatedKey) == 0 {
		return found, "", nil
	}
	return found, edge, nil
}

// unreadable tells of an item that a list leaves out: nothing that is true could be
// shown of it, and the others must be.
func (s *Store) unreadable(ctx context.Context, err error) {
	s.config.Log.ErrorContext(ctx, "a list leaves out what can't be read", "error", err)
}

// lookAll looks at several lists, those of one stage at once. What is behind edge
// it has not looked at in one of them. An object that goes from a list to one of a
// later stage meanwhile is not missed, and is found once.
func lookAll[T any](ctx context.Context, s *Store, from string, share boathook.Page, keep func(T) bool, stages ...[]list) (found []placed[T], edge string, err error) {
	for _, lists := range stages {
		var mu sync.Mutex
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(parallel)
		for _, l := range lists {
			group.Go(func() error {
				some, seen, err := look(ctx, s, l, from, share, keep)
				mu.Lock()
				defer mu.Unlock()
				found, edge = append(found, some...), max(edge, seen)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return nil, "", err
		}
	}
	slices.SortFunc(found, newestFirst)
	found = slices.CompactFunc(found, func(a, b placed[T]) bool { return a.position == b.position })
	return found, edge, nil
}

// cut makes a page of what was found in front of an edge.
func cut[T any](found []placed[T], edge string, limit int) (page []placed[T], next string) {
	page = slices.DeleteFunc(found, func(f placed[T]) bool { return f.position < edge })
	slices.SortFunc(page, newestFirst)
	if len(page) > limit {
		page = page[:limit]
		edge = page[limit-1].position
	}
	if edge != "" {
		next = cursorOf(edge)
	}
	return page, next
}

// page merges lists and returns the part of them that p asks for: those items for
// which keep is true.
func page[T any](ctx context.Context, s *Store, p boathook.Page, validPosition func(string) bool, keep func(T) bool, stages ...[]list) (page []placed[T], next string, err error) {
	from, err := parseCursor(p.Cursor, validPosition)
	if err != nil {
		return nil, "", err
	}
	lists := 0
	for _, stage := range stages {
		lists += len(stage)
	}
	found, edge, err := lookAll(ctx, s, from, store.Share(p, max(lists, 1)), keep, stages...)
	if err != nil {
		return nil, "", err
	}
	page, next = cut(found, edge, p.Limit)
	return page, next, nil
}

// listed is a page of the objects that have places of a kind, in the partition of
// the config table that k is in.
func listed[I, T any](ctx context.Context, s *Store, k key, places string, p boathook.Page, object func(I) T) ([]T, string, error) {
	found, next, err := page[I](ctx, s, p, isPosition, nil, []list{{
		table: s.config.ConfigTable, consistent: true, index: byPlace, partition: k.PK, prefix: places,
	}})
	return each(objects(found), object), next, err
}

func objects[T any](found []placed[T]) []T {
	return each(found, func(f placed[T]) T { return f.object })
}

// each converts all of some; none are nil.
func each[From, To any](some []From, convert func(From) To) (all []To) {
	for _, one := range some {
		all = append(all, convert(one))
	}
	return all
}

func cursorOf(position string) string { return base64.RawURLEncoding.EncodeToString([]byte(position)) }

// parseCursor gives the position that a cursor stands for. Cursors are positions
// only, so whatever a client makes of one, it stays within its list.
func parseCursor(cursor string, valid func(string) bool) (position string, err error) {
	if cursor == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	// The decoder skips line breaks, and ignores bits that do not fill a byte.
	if err != nil || base64.RawURLEncoding.EncodeToString(raw) != cursor || !valid(string(raw)) {
		return "", boathook.InvalidField("cursor", "not one that a list has given")
	}
	return string(raw), nil
}
