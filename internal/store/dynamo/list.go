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
	consistent bool   // not of by-parent
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

// items runs a query to its end or until the caller stops. Expired items are
// left out. A limit is the size of the first request's page; the pages of
// further requests double, since what the caller drops may be most of them.
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

// page merges lists and returns the part of them that p asks for: those
// items' objects for which keep is true.
func page[T any](ctx context.Context, s *Store, p store.Page, validPosition func(string) bool, keep func(T) bool, lists ...list) (objects []T, next string, err error) {
	from, err := parseCursor(p.Cursor, validPosition)
	if err != nil {
		return nil, "", err
	}
	type placed struct {
		position string
		object   T
	}
	var (
		mu    sync.Mutex
		found []placed
	)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, l := range lists {
		if oldest, newest := l.bounds(from); oldest > newest {
			continue // which DynamoDB would refuse
		}
		group.Go(func() error {
			_, sort := l.attributes()
			kept := 0
			for it, err := range s.items(ctx, l.query(from, p.Limit+2)) { // one at from, one to see whether there are more
				if err != nil {
					return err
				}
				position := textIn(it, sort)[len(l.prefix):]
				if position == from {
					continue
				}
				object, err := decode[T](it)
				if err != nil {
					return err
				}
				if !keep(object) {
					continue
				}
				mu.Lock()
				found = append(found, placed{position, object})
				mu.Unlock()
				if kept++; kept > p.Limit {
					return nil
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, "", err
	}
	slices.SortFunc(found, func(a, b placed) int { return cmp.Compare(b.position, a.position) })
	if len(found) > p.Limit {
		found = found[:p.Limit]
		next = cursorOf(found[p.Limit-1].position)
	}
	for _, f := range found {
		objects = append(objects, f.object)
	}
	return objects, next, nil
}

func cursorOf(position string) string { return base64.RawURLEncoding.EncodeToString([]byte(position)) }

func all[T any](T) bool { return true }

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
