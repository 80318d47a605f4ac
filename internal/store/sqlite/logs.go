package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/compress"
	"boathook/internal/database"
	"boathook/internal/store"
	"boathook/internal/store/paging"
)

// lineItem is a line of a chunk of a run's log.
type lineItem struct {
	Time   time.Time `json:"t"`
	Stream string    `json:"s"`
	Text   string    `json:"x"`
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
	if err := store.CheckIDs(run.ID); err != nil {
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
func (s *Store) AgentLog(_ context.Context, q store.AgentLogQuery) (log []boathook.AgentLine, err error) {
	scan := func(row database.Row) (paging.Chunk, error) {
		lines, err := unpackLines(row.Bytes(2))
		return paging.Chunk{RunID: row.Text(1), Lines: lines}, err
	}
	err = s.config.DB.Read(func(tx *database.Tx) (failed error) {
		log = paging.NewestLines(paging.Values(entries(s, tx, &failed, scan, `SELECT created_at, run_id, lines FROM logs WHERE agent_id = ? AND expires > ?
			ORDER BY created_at DESC, run_id DESC, first DESC`, q.AgentID, s.now())), q)
		return failed
	})
	return log, err
}
