package dynamo

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

const (
	// maxRunReads is how many items a page of runs reads at most, heads and texts:
	// four requests.
	maxRunReads = 4 * maxBatchGet

	// countedOfShard is how many runs of each shard are looked at to count the
	// newest [store.MaxCounted]: shards are not quite equal. Their entries are less
	// than 1 MB, which is what one request reads.
	countedOfShard = store.MaxCounted/runShards + 300

	// countColumns are what counting needs to know of an entry.
	countColumns = "pk, sk, place, x, ws, s"

	// maxLostRuns is how many entries of each shard are looked at for one that has
	// not expired.
	maxLostRuns = 50
)

// runLists are the lists that have what a query selects. One source's active runs
// have an index of their own: they may be few behind many.
func (s *Store) runLists(q store.RunQuery) []list {
	lists := make([]list, runShards)
	for shard := range lists {
		l := list{table: s.config.RecordsTable, index: byWorkspace, partition: workspaceRuns(q.WorkspaceID, q.Kind, shard)}
		if q.SourceID != "" {
			l.index, l.partition = byParent, runsParent(q.SourceID, shard)
			if len(q.Statuses) > 0 && !slices.ContainsFunc(q.Statuses, boathook.RunStatus.Over) {
				l.index, l.partition = activeRuns, activeOf(q.SourceID, shard)
			}
		}
		lists[shard] = l
	}
	return lists
}

// runWanted tells whether a query selects a run, of which a head is known.
func runWanted(q store.RunQuery) func(headItem) bool {
	return func(h headItem) bool {
		return h.WorkspaceID == q.WorkspaceID &&
			(q.DeliveryID == "" || h.Details != nil && h.Details.DeliveryID == q.DeliveryID && (q.SourceID == "" || h.SourceID == q.SourceID)) &&
			(len(q.Statuses) == 0 || slices.Contains(q.Statuses, h.status())) &&
			(q.Environment == "" || h.Environment == q.Environment)
	}
}

// entryWanted tells whether a query may select a run, of which an entry of an
// index is known. The entry does not know whether a runner has claimed the run.
func entryWanted(q store.RunQuery) func(headItem) bool {
	if slices.Contains(q.Statuses, boathook.RunRunning) {
		q.Statuses = append(slices.Clone(q.Statuses), active)
	}
	return runWanted(q)
}

// needsHeads reports whether only heads tell which of the entries are wanted.
func needsHeads(q store.RunQuery) bool {
	return slices.Contains(q.Statuses, boathook.RunPending) != slices.Contains(q.Statuses, boathook.RunRunning)
}

// runEntries reads a page of an index.
func (s *Store) runEntries(ctx context.Context, q store.RunQuery) (entries []placed[headItem], next string, err error) {
	if q.DeliveryID != "" {
		return s.sentEntries(ctx, q)
	}
	if len(q.Statuses) == 0 && q.Environment == "" {
		q.Look = q.Limit // all of them are wanted
	}
	return page(ctx, s, q.Page, isPosition, entryWanted(q), s.runLists(q))
}

// sentEntries reads a page of the runs that one delivery of a sender has started. The
// entries are those of their inputs, and don't know more.
func (s *Store) sentEntries(ctx context.Context, q store.RunQuery) (entries []placed[headItem], next string, err error) {
	entries, next, err = page[headItem](ctx, s, q.Page, isPosition, nil, []list{{
		table: s.config.RecordsTable, index: byParent, partition: sentParent(q.WorkspaceID, q.DeliveryID),
	}})
	for i := range entries {
		e := &entries[i].object
		e.key = headKey(e.runID())
	}
	return entries, next, err
}

// Runs implements [store.Runs]. Heads and texts are read at once, since entries
// know the texts' keys and sizes.
func (s *Store) Runs(ctx context.Context, q store.RunQuery) (runs []boathook.Run, next string, err error) {
	some := q
	if needsHeads(q) {
		some.Limit = maxRunReads / 2 // a head and an input each: what is not wanted is left out once it is read
	}
	entries, next, err := s.runEntries(ctx, some)
	if err != nil {
		return nil, "", fmt.Errorf("list runs: %w", err)
	}
	var keys []tableKey
	size := 0
	for i, e := range entries {
		own := s.runKeys(e.object)
		if i > 0 && (size >= store.MaxPageBytes || len(keys)+len(own) > maxRunReads) {
			entries, next = entries[:i], cursorOf(entries[i-1].position)
			break
		}
		keys = append(keys, own...)
		size += e.object.InputSize + e.object.OutputSize
	}
	found, err := s.readBatch(ctx, keys...)
	if err != nil {
		return nil, "", fmt.Errorf("list runs: %w", err)
	}
	heads := s.headsAmong(ctx, found, objects(entries), runWanted(q))
	if len(heads) > q.Limit {
		heads = heads[:q.Limit]
		next = cursorOf(heads[q.Limit-1].Place)
	}
	if err := s.readLateOutputs(ctx, found, entries, heads); err != nil {
		return nil, "", fmt.Errorf("list runs: %w", err)
	}
	for _, h := range heads {
		r := boathook.Run{RunHead: h.head(), Input: boathook.NewBody(s.listedText(ctx, found, h.input()))}
		if h.OutputHash != nil {
			r.Output = s.listedText(ctx, found, h.output())
		}
		runs = append(runs, r)
	}
	return runs, next, nil
}

// runKeys are those of an entry's head and texts.
func (s *Store) runKeys(entry headItem) []tableKey {
	keys := append([]tableKey{s.recordKey(entry.key)}, s.textKeys(entry.input(), entry.InputSize)...)
	if entry.OutputHash != nil {
		keys = append(keys, s.textKeys(entry.output(), entry.OutputSize)...)
	}
	return keys
}

// readLateOutputs reads the outputs of which the entries did not know, since the
// runs have ended meanwhile. There are hardly ever any.
func (s *Store) readLateOutputs(ctx context.Context, found map[key]item, entries []placed[headItem], heads []headItem) error {
	known := make(map[key]bool, len(entries))
	for _, e := range entries {
		known[e.object.key] = e.object.OutputHash != nil
	}
	var keys []tableKey
	for _, h := range heads {
		if h.OutputHash != nil && !known[h.key] {
			keys = append(keys, s.textKeys(h.output(), h.OutputSize)...)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	late, err := s.readBatch(ctx, keys...)
	maps.Copy(found, late)
	return err
}

// listedText is a text as a list shows it: nothing, where it is missing or can't be
// read.
func (s *Store) listedText(ctx context.Context, found map[key]item, k key) []byte {
	text, err := textAmong(found, k)
	if err != nil {
		s.unreadable(ctx, err)
	}
	return text
}

// headsAmong are the heads of entries, in their order, that are there and wanted.
func (s *Store) headsAmong(ctx context.Context, found map[key]item, entries []headItem, wanted func(headItem) bool) (heads []headItem) {
	for _, e := range entries {
		it, ok := found[e.key]
		if !ok {
			continue // it has expired, or was removed
		}
		h, err := decode[headItem](it)
		if err != nil {
			s.unreadable(ctx, err)
			continue
		}
		if wanted(h) {
			heads = append(heads, h)
		}
	}
	return heads
}

// heads reads those of entries, in their order, that are there and wanted.
func (s *Store) heads(ctx context.Context, entries []headItem, wanted func(headItem) bool) (heads []boathook.RunHead, err error) {
	keys := make([]tableKey, len(entries))
	for i, e := range entries {
		keys[i] = s.recordKey(e.key)
	}
	found, err := s.readBatch(ctx, keys...)
	if err != nil {
		return nil, err
	}
	for _, h := range s.headsAmong(ctx, found, entries, wanted) {
		heads = append(heads, h.head())
	}
	return heads, nil
}

// RunHeads implements [store.Runs].
func (s *Store) RunHeads(ctx context.Context, q store.RunQuery) (heads []boathook.RunHead, next string, err error) {
	entries, next, err := s.runEntries(ctx, q)
	if err != nil {
		return nil, "", fmt.Errorf("list runs: %w", err)
	}
	if heads, err = s.heads(ctx, objects(entries), runWanted(q)); err != nil {
		return nil, "", fmt.Errorf("list runs: %w", err)
	}
	return heads, next, nil
}

// CountedRuns implements [store.Runs].
func (s *Store) CountedRuns(ctx context.Context, q store.CountQuery) (heads []boathook.RunHead, counts boathook.RunCounts, err error) {
	all := store.RunQuery{WorkspaceID: q.WorkspaceID, Kind: q.Kind, SourceID: q.SourceID}
	lists := s.runLists(all)
	for i := range lists {
		lists[i].columns = countColumns
	}
	found, edge, err := lookAll(ctx, s, "", boathook.Page{Limit: countedOfShard, Look: countedOfShard}, runWanted(all), lists)
	if err != nil {
		return nil, counts, fmt.Errorf("count runs: %w", err)
	}
	found, _ = cut(found, edge, store.MaxCounted)

	counts.ByStatus = make(map[boathook.RunStatus]int)
	since := position(q.Since, "")
	var selected []headItem
	wanted := all
	wanted.Statuses = q.Statuses
	mayBeWanted := entryWanted(wanted)
	for _, e := range found {
		counts.ByStatus[e.object.Status]++
		if e.position >= since {
			counts.Since++
		}
		if mayBeWanted(e.object) {
			selected = append(selected, e.object)
		}
	}
	page := selected[min(q.Skip, len(selected)):min(q.Skip+q.Limit, len(selected))]
	if heads, err = s.heads(ctx, page, runWanted(wanted)); err != nil {
		return nil, counts, fmt.Errorf("count runs: %w", err)
	}
	return heads, counts, nil
}

// AnyActive implements [store.Runs]. A run that was created within the last
// second or so may be missed: the index has no consistent reads.
func (s *Store) AnyActive(ctx context.Context, sourceID string) (bool, error) {
	lists := s.runLists(store.RunQuery{SourceID: sourceID, Statuses: []boathook.RunStatus{active}})
	found, edge, err := lookAll[headItem](ctx, s, "", boathook.Page{Limit: maxLostRuns}, nil, lists)
	if err != nil {
		return false, fmt.Errorf("look for active runs of %s: %w", sourceID, err)
	}
	// Behind so many that have expired there may be one that has not.
	return len(found) > 0 || edge != "", nil
}
