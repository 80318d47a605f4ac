package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/compress"
	"boathook/internal/database"
	"boathook/internal/store"
)

// lineItem is a line of a chunk of a run's log.
type lineItem struct {
	Time   time.Time `json:"t"`
	Stream string    `json:"s"`
	Text   string    `json:"x"`
}

// chunk are lines of a run's log that were stored as one.
type chunk struct {
	runID string
	lines []boathook.LogLine
}

func packLines(lines []boathook.LogLine) []byte {
	return compress.Compress(encode(each(lines, func(l boathook.LogLine) lineItem { return lineItem{stored(l.Time), l.Stream, l.Text} })))
}

func unpackLines(packed []byte) ([]boathook.LogLine, error) {
	text, err := compress.Decompress(packed, boathook.MaxRunLog)
	if err != nil {
		return nil, err
	}
	var items []lineItem
	if err := json.Unmarshal(text, &items); err != nil {
		return nil, err
	}
	return each(items, func(it lineItem) boathook.LogLine { return boathook.LogLine(it) }), nil
}

// AppendLog implements [store.Logs].
func (s *Store) AppendLog(_ context.Context, run boathook.RunHead, first int, lines []boathook.LogLine) error {
	if err := refuse(run.ID); err != nil {
		return err
	}
	var agentID any
	if run.OfAgent() {
		agentID = run.SourceID
	}
	packed := packLines(lines)
	return s.config.DB.Write(func(tx *database.Tx) error {
		return tx.Exec("INSERT OR REPLACE INTO logs (run_id, first, ends, agent_id, created_at, expires, lines) VALUES (?, ?, ?, ?, ?, ?, ?)",
			run.ID, first, first+len(lines), agentID, run.CreatedAt, s.expiry(), packed)
	})
}

// Log implements [store.Logs].
func (s *Store) Log(_ context.Context, runID string, from, maxBytes int) (first int, lines []boathook.LogLine, err error) {
	first = from
	err = s.config.DB.Read(func(tx *database.Tx) error {
		size := 0
		for row, err := range tx.Query("SELECT first, lines FROM logs WHERE run_id = ? AND ends > ? AND expires > ? ORDER BY first", runID, from, s.now()) {
			if err != nil {
				return err
			}
			chunk, err := unpackLines(row.Bytes(1))
			if err != nil {
				return fmt.Errorf("the log of run %s: %w", runID, err)
			}
			if len(lines) == 0 {
				first = int(row.Int(0))
			}
			lines = append(lines, chunk...)
			for _, l := range chunk {
				size += l.Size()
			}
			if size >= maxBytes {
				break
			}
		}
		return nil
	})
	return first, lines, err
}

// LogLines implements [store.Logs].
func (s *Store) LogLines(_ context.Context, runID string) (int, error) {
	return read(s, func(tx *database.Tx) (n int, err error) {
		_, err = tx.First(func(row database.Row) error { n = int(row.Int(0)); return nil },
			"SELECT ends FROM logs WHERE run_id = ? AND expires > ? ORDER BY first DESC LIMIT 1", runID, s.now())
		return n, err
	})
}

// AgentLog implements [store.Logs].
func (s *Store) AgentLog(_ context.Context, q store.AgentLogQuery) ([]boathook.AgentLine, error) {
	return read(s, func(tx *database.Tx) (log []boathook.AgentLine, err error) {
		scan := func(row database.Row) (chunk, error) {
			lines, err := unpackLines(row.Bytes(2))
			return chunk{row.Text(1), lines}, err
		}
		looked, skip, size := 0, q.Skip, 0
		for e := range entries(s, tx, &err, scan, `SELECT created_at, run_id, lines FROM logs WHERE agent_id = ? AND expires > ?
			ORDER BY created_at DESC, run_id DESC, first DESC`, q.AgentID, s.now()) {
			if looked++; looked > store.MaxChunks {
				break
			}
			for _, line := range slices.Backward(e.Value.lines) {
				if skip > 0 {
					skip--
					continue
				}
				if len(log) == q.Limit || size >= q.MaxBytes {
					return log, nil
				}
				size += line.Size()
				log = append(log, boathook.AgentLine{LogLine: line, RunID: e.Value.runID})
			}
		}
		return log, err
	})
}
