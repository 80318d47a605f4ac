package paging

import (
	"iter"
	"slices"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// CountRuns answers [store.Runs.CountedRuns] of a list of runs, newest first.
func CountRuns(runs iter.Seq[boathook.RunHead], q store.CountQuery) (heads []boathook.RunHead, counts boathook.RunCounts) {
	counts.ByStatus = make(map[boathook.RunStatus]int)
	counted, selected := 0, 0
	for run := range runs {
		if run.WorkspaceID != q.WorkspaceID {
			continue
		}
		if counted++; counted > store.MaxCounted {
			break
		}
		status := run.Status
		if !status.Over() {
			status = boathook.RunPending
		}
		counts.ByStatus[status]++
		if !run.CreatedAt.Before(q.Since.Truncate(time.Millisecond)) {
			counts.Since++
		}
		if len(q.Statuses) == 0 || slices.Contains(q.Statuses, run.Status) {
			if selected++; selected > q.Skip && len(heads) < q.Limit {
				heads = append(heads, run)
			}
		}
	}
	return heads, counts
}

// Chunk are lines of a run's log that were stored as one.
type Chunk struct {
	RunID string
	Lines []boathook.LogLine
}

// NewestLines answers [store.Logs.AgentLog] of the chunks of an agent's log, newest
// first.
func NewestLines(chunks iter.Seq[Chunk], q store.AgentLogQuery) (log []boathook.AgentLine) {
	looked, skip, size := 0, q.Skip, 0
	for chunk := range chunks {
		if looked++; looked > store.MaxChunks {
			break
		}
		for _, line := range slices.Backward(chunk.Lines) {
			if skip > 0 {
				skip--
				continue
			}
			if len(log) == q.Limit || size >= q.MaxBytes {
				return log
			}
			size += line.Size()
			log = append(log, boathook.AgentLine{LogLine: line, RunID: chunk.RunID})
		}
	}
	return log
}

// Values are the values of entries, in their order.
func Values[V any](entries iter.Seq[Entry[V]]) iter.Seq[V] {
	return func(yield func(V) bool) {
		for e := range entries {
			if !yield(e.Value) {
				return
			}
		}
	}
}
