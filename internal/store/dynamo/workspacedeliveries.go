package dynamo

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// The list of a workspace's deliveries costs little, since an entry is only made for all
// deliveries that are published together: see [enteredItem]. It says which deliveries
// there are. What became of them is read from their records. Those that have not
// succeeded are besides in the index by-workspace, as they are few.

// enteredItem names deliveries of one workspace whose events happened in the same
// millisecond. Nothing in it changes. A delivery may be in several of them, or in one and
// never come about.
type enteredItem struct {
	record
	Entries []byte `dynamodbav:"d"` // of [enteredSize] bytes each, the greatest id first
	// Sources are the ids of the entries' sources, so that these can be read beside the
	// records; empty if there are more than [maxEnteredSources]. They were not always stored.
	Sources []string `dynamodbav:"src,omitempty"`
}

// maxEnteredSources keeps an item within the KiB that it mostly has.
const maxEnteredSources = 8

// entered is where a delivery's record is, and its source if that is known.
type entered struct {
	key      key
	sourceID string
}

// enteredSize is the size of an entry: the delivery's id, and hashes of its source's id
// and of its event's type, which spare a look at the records of most that are not asked
// for. All of it is stored: never change it.
const enteredSize = 16 + 4 + 4

// maxEntered is how many entries an item has at most.
const maxEntered = 200

const (
	// maxListed is how many records a page of a workspace's deliveries reads at most: four
	// requests.
	maxListed = 4 * maxBatchGet
	// leastListed is how many it reads at least: the newest may not have been attempted yet.
	leastListed = 25
	// leastEntered is how many items of each shard a page asks for at least. All of one
	// millisecond have to be read again for each page.
	leastEntered = 100
)

func hashOf(text string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(text))
	return h.Sum32()
}

// EnterDeliveries implements [store.Deliveries].
func (s *Store) EnterDeliveries(ctx context.Context, deliveries ...boathook.Delivery) error {
	deliveries = slices.Clone(deliveries)
	slices.SortFunc(deliveries, func(a, b boathook.Delivery) int { return cmp.Compare(b.ID.String(), a.ID.String()) })
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for len(deliveries) > 0 {
		first, n := deliveries[0], 0
		var entries []byte
		var sources []string
		for n < min(len(deliveries), maxEntered) && deliveries[n].ID.Time().Equal(first.ID.Time()) {
			d := deliveries[n]
			entries = append(entries, d.ID[:]...)
			entries = binary.BigEndian.AppendUint32(entries, hashOf(d.SourceID))
			entries = binary.BigEndian.AppendUint32(entries, hashOf(string(d.EventType)))
			if !slices.Contains(sources, d.SourceID) {
				sources = append(sources, d.SourceID)
			}
			n++
		}
		if len(sources) > maxEnteredSources {
			sources = nil
		}
		deliveries = deliveries[n:]
		group.Go(func() error {
			_, err := s.putRecord(ctx, enteredItem{s.record(enteredKey(first.WorkspaceID, first.ID, entries)), entries, sources}, "", nil)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("enter deliveries: %w", err)
	}
	return nil
}

// WorkspaceDeliveries implements [store.Deliveries].
func (s *Store) WorkspaceDeliveries(ctx context.Context, q store.DeliveryQuery) (deliveries []boathook.Delivery, next string, err error) {
	from, err := parseCursor(q.Cursor, isDeliveryID)
	if err != nil {
		return nil, "", err
	}
	statuses, all := q.Unsucceeded()
	look, reads := s.lookAtEntered, max(q.Limit, leastListed)
	if !all {
		look = func(ctx context.Context, q store.DeliveryQuery, from string, reads int) ([]placed[entered], string, error) {
			return s.lookAtUnsucceeded(ctx, q, statuses, from, reads)
		}
	}
	if !q.Response.IsZero() || all && len(q.Statuses) > 0 || !all && q.EventType != "" {
		reads = maxListed // only the records tell which are wanted
	}
	found, edge, err := look(ctx, q, from, reads)
	if err != nil {
		return nil, "", fmt.Errorf("list deliveries: %w", err)
	}
	found, next = cut(found, edge, reads)
	keys := make([]tableKey, len(found))
	for i, f := range found {
		keys[i] = s.recordKey(f.object.key)
		if f.object.sourceID != "" {
			store.TellOwner(ctx, store.Owner{SourceID: f.object.sourceID})
		}
	}
	records, err := s.readBatch(ctx, keys...)
	if err != nil {
		return nil, "", fmt.Errorf("list deliveries: %w", err)
	}
	for i, f := range found {
		record, ok := records[f.object.key]
		if !ok {
			continue // it has not been attempted, or has expired
		}
		d, err := listedDelivery(record, q)
		if err != nil {
			s.unreadable(ctx, err)
			continue
		}
		if !q.Wants(&d) {
			continue
		}
		deliveries = append(deliveries, d)
		if len(deliveries) == q.Limit && i < len(found)-1 {
			return deliveries, cursorOf(f.position), nil
		}
	}
	return deliveries, next, nil
}

// listedDelivery is a record as lists show it.
func listedDelivery(record item, q store.DeliveryQuery) (boathook.Delivery, error) {
	it, err := decode[deliveryItem](record)
	if err != nil {
		return boathook.Delivery{}, err
	}
	d, err := it.delivery(q.WorkspaceID)
	d.Resend, d.Dialect, d.ContentType, d.Fault, d.Trace = 0, "", "", "", boathook.TraceContext{}
	return d, err
}

// within makes a list one of a query's time.
func (l list) within(q store.DeliveryQuery) list {
	if !q.Since.IsZero() {
		l.oldest = boathook.LeastDeliveryID(q.Since).String()
	}
	if !q.Until.IsZero() {
		l.newest = before(boathook.LeastDeliveryID(q.Until))
	}
	return l
}

// lookAtUnsucceeded looks for the keys of deliveries of statuses in the index.
func (s *Store) lookAtUnsucceeded(ctx context.Context, q store.DeliveryQuery, statuses []boathook.DeliveryStatus, from string, reads int) (keys []placed[entered], edge string, err error) {
	lists := slices.Repeat([]list{list{table: s.config.RecordsTable, index: byWorkspace}.within(q)}, deliveryShards)
	for shard := range lists {
		lists[shard].partition = unsucceededIn(q.WorkspaceID, shard)
	}
	found, edge, err := lookAll(ctx, s, from, store.Share(boathook.Page{Limit: reads, Look: q.Look}, deliveryShards), func(it deliveryItem) bool {
		return slices.Contains(statuses, it.Status) && (q.SourceID == "" || it.SourceID == q.SourceID)
	}, lists)
	for _, f := range found {
		keys = append(keys, placed[entered]{f.position, entered{f.object.key, f.object.SourceID}})
	}
	return keys, edge, err
}

// lookAtEntered looks for the keys of deliveries among those that were entered.
func (s *Store) lookAtEntered(ctx context.Context, q store.DeliveryQuery, from string, reads int) (keys []placed[entered], edge string, err error) {
	whole := list{table: s.config.RecordsTable}.within(q)
	if from != "" {
		// Lesser ids may be behind each greater one of their millisecond.
		id, err := boathook.ParseDeliveryID(from)
		if err != nil {
			return nil, "", err
		}
		end := before(boathook.LeastDeliveryID(id.Time().Add(time.Millisecond)))
		whole.newest = min(cmp.Or(whole.newest, end), end)
	}
	items := max(reads, leastEntered)
	if q.SourceID != "" || q.EventType != "" {
		items = cmp.Or(q.Look, store.MaxLook) / deliveryShards
	}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for shard := range deliveryShards {
		l := whole
		l.partition = enteredPartition(q.WorkspaceID, shard)
		group.Go(func() error {
			some, seen, err := s.lookAtShard(ctx, l, q, from, max(items, leastEntered))
			mu.Lock()
			defer mu.Unlock()
			keys, edge = append(keys, some...), max(edge, seen)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, "", err
	}
	slices.SortFunc(keys, newestFirst)
	return slices.CompactFunc(keys, func(a, b placed[entered]) bool { return a.position == b.position }), edge, nil
}

// lookAtShard looks at as many items of a list of entered deliveries, and at more until it
// has got behind from: else a page could end where it began.
func (s *Store) lookAtShard(ctx context.Context, l list, q store.DeliveryQuery, from string, items int) (keys []placed[entered], edge string, err error) {
	if oldest, newest := l.bounds(""); oldest > newest {
		return nil, "", nil // which DynamoDB would refuse
	}
	in := l.query("", items)
	for {
		out, err := s.client.Query(ctx, in)
		if err != nil {
			return nil, "", err
		}
		for _, it := range out.Items {
			edge, _, _ = strings.Cut(textIn(it, skAttr), "#")
			if s.expired(it) {
				continue
			}
			found, err := decode[enteredItem](it)
			if err == nil && len(found.Entries)%enteredSize != 0 {
				err = fmt.Errorf("item %s: entries of another size", found.key)
			}
			if err != nil {
				s.unreadable(ctx, err)
				continue
			}
			keys = append(keys, found.wanted(q, from)...)
		}
		if len(out.LastEvaluatedKey) == 0 {
			return keys, "", nil
		}
		if from == "" || edge < from {
			return keys, edge, nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

// wanted are the deliveries behind a position that a query may select.
func (it enteredItem) wanted(q store.DeliveryQuery, from string) (keys []placed[entered]) {
	for entry := range slices.Chunk(it.Entries, enteredSize) {
		id := boathook.DeliveryID(entry[:16])
		position := id.String()
		if from != "" && position >= from ||
			q.SourceID != "" && binary.BigEndian.Uint32(entry[16:]) != hashOf(q.SourceID) ||
			q.EventType != "" && binary.BigEndian.Uint32(entry[20:]) != hashOf(string(q.EventType)) {
			continue
		}
		i := slices.IndexFunc(it.Sources, func(id string) bool { return hashOf(id) == binary.BigEndian.Uint32(entry[16:]) })
		found := entered{key: deliveryKey(q.WorkspaceID, id)}
		if i >= 0 {
			found.sourceID = it.Sources[i]
		}
		keys = append(keys, placed[entered]{position, found})
	}
	return keys
}
