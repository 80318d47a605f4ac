package run

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"boathook/internal/boathook"
)

const (
	chunkBytes = 64 << 10    // a chunk is stored when its lines' sizes are so much,
	chunkAge   = time.Second // or when its first line is so old

	// maxUnstored is how much waits while the store fails. Then the target waits
	// too.
	maxUnstored = 1 << 20
	// lastTries is how often the end of a log is tried, a second apart.
	lastTries = 30
)

// logWriter stores the lines that a target prints in chunks, in order and
// without gaps, and shows them to those who watch. It is a [target.Log].
type logWriter struct {
	ctx   context.Context // ends when the run must
	store Store
	live  *liveLog // nil if nobody may watch
	run   boathook.RunHead
	now   func() time.Time
	log   *slog.Logger

	lines chan boathook.LogLine
	done  chan struct{}

	// Only the storing goroutine touches these until done.
	chunk  []boathook.LogLine
	size   int // of the lines in chunk
	stored int // lines before chunk
	total  int // the size of all lines taken
}

func newLogWriter(ctx context.Context, c *Config, run boathook.RunHead) *logWriter {
	w := &logWriter{
		ctx: ctx, store: c.Store, run: run, now: c.Now, log: c.Log,
		lines: make(chan boathook.LogLine, 256), done: make(chan struct{}),
	}
	if run.OfAgent() {
		w.live = newLiveLog(ctx, c.Stream, run)
	}
	go w.storeLines()
	return w
}

// Line takes one line; it waits while the store is far behind.
func (w *logWriter) Line(stream, text string) {
	w.lines <- boathook.LogLine{Time: w.now(), Stream: stream, Text: text}
}

// close stores what is left and tells how many lines the log has. No line may
// follow.
func (w *logWriter) close(ctx context.Context) int {
	close(w.lines)
	<-w.done
	if w.live != nil {
		w.live.close()
	}
	for try := 1; len(w.chunk) > 0 && !w.flush(ctx); try++ {
		if try == lastTries {
			w.log.ErrorContext(ctx, "the end of a run's log is lost", "run_id", w.run.ID, "lines", len(w.chunk))
			break
		}
		time.Sleep(chunkAge)
	}
	return w.stored
}

func (w *logWriter) storeLines() {
	defer close(w.done)
	ctx := context.WithoutCancel(w.ctx)
	age := time.NewTimer(chunkAge)
	defer age.Stop()
	for {
		select {
		case line, ok := <-w.lines:
			if !ok {
				return
			}
			if len(w.chunk) == 0 {
				age.Reset(chunkAge)
			}
			if !w.take(line) || w.size < chunkBytes {
				continue
			}
		case <-age.C:
			if len(w.chunk) == 0 {
				continue
			}
		}
		if w.flush(ctx) {
			continue
		}
		age.Reset(chunkAge)
		for w.size >= maxUnstored && !w.flush(ctx) {
			if w.ctx.Err() != nil {
				w.total = boathook.MaxRunLog + 1 // the target must not wait for the store any longer
				break
			}
			time.Sleep(chunkAge)
		}
	}
}

// take adds a line to the chunk. Beyond the run's limit it says so once and
// drops the rest.
func (w *logWriter) take(line boathook.LogLine) bool {
	if w.total > boathook.MaxRunLog {
		return false
	}
	if w.total += line.Size(); w.total > boathook.MaxRunLog {
		line.Stream = "stderr"
		line.Text = fmt.Sprintf("[boathook: the log is longer than %d MiB, the rest is not kept]", boathook.MaxRunLog>>20)
	}
	w.chunk = append(w.chunk, line)
	w.size += line.Size()
	if w.live != nil {
		w.live.take(line)
	}
	return true
}

// flush stores the chunk. A chunk that may be stored already is stored again
// whole: the store keeps one.
func (w *logWriter) flush(ctx context.Context) bool {
	if err := w.store.AppendLog(ctx, w.run, w.stored, w.chunk); err != nil {
		w.log.WarnContext(ctx, "log not stored yet", "run_id", w.run.ID, "error", err)
		return false
	}
	w.stored += len(w.chunk)
	w.chunk, w.size = nil, 0
	return true
}
