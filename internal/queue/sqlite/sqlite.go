// Package sqlite keeps the messages of queue/mem in the SQLite file of package database.
package sqlite

import (
	"boathook/internal/database"
	"boathook/internal/queue/mem"
)

// Open opens a queue of a database and its dead-letter queue, with what waits in them.
// c describes the queue but for its file, its name and its dead-letter queue.
func Open(db *database.DB, name string, c mem.Config) (*mem.Queue, error) {
	dead := c
	dead.File, dead.Name, dead.GroupLimit = file{db}, name+"-dead", 0
	var err error
	if c.DeadLetter, err = mem.Open(dead); err != nil {
		return nil, err
	}
	c.File, c.Name = file{db}, name
	return mem.Open(c)
}

// file is a [mem.File].
type file struct{ db *database.DB }

// Put implements [mem.File].
func (f file) Put(name string, messages []mem.Put) ([]int64, error) {
	numbers := make([]int64, len(messages))
	err := f.db.Add(func(tx *database.Tx) error {
		for i, m := range messages {
			if err := tx.Exec("INSERT INTO messages (queue, message_group, visible_at, body) VALUES (?, ?, ?, ?)", name, m.Group, m.VisibleAt, m.Body); err != nil {
				return err
			}
			numbers[i] = tx.LastInsertID()
		}
		return nil
	})
	return numbers, err
}

// Delete implements [mem.File].
func (f file) Delete(numbers []int64) {
	f.db.Later(func(tx *database.Tx) error {
		for _, n := range numbers {
			if err := tx.Exec("DELETE FROM messages WHERE number = ?", n); err != nil {
				return err
			}
		}
		return nil
	})
}

// Move implements [mem.File].
func (f file) Move(numbers []int64, to string) (moved []int64, err error) {
	err = f.db.Add(func(tx *database.Tx) error {
		for _, n := range numbers {
			there, err := tx.Change("UPDATE messages SET queue = ?, visible_at = 0 WHERE number = ?", to, n)
			if err != nil {
				return err
			}
			if there {
				moved = append(moved, n)
			}
		}
		return nil
	})
	return moved, err
}

// Bodies implements [mem.File].
func (f file) Bodies(numbers []int64) ([]string, error) {
	bodies := make([]string, len(numbers))
	err := f.db.Read(func(tx *database.Tx) error {
		for i, n := range numbers {
			if _, err := tx.First(func(row database.Row) error { bodies[i] = row.Text(0); return nil }, "SELECT body FROM messages WHERE number = ?", n); err != nil {
				return err
			}
		}
		return nil
	})
	return bodies, err
}

// Waiting implements [mem.File].
func (f file) Waiting(name string) (waiting []mem.Waiting, err error) {
	err = f.db.Read(func(tx *database.Tx) error {
		for row, err := range tx.Query("SELECT number, message_group, visible_at FROM messages WHERE queue = ? ORDER BY number", name) {
			if err != nil {
				return err
			}
			waiting = append(waiting, mem.Waiting{Number: row.Int(0), Group: row.Text(1), VisibleAt: row.Time(2)})
		}
		return nil
	})
	return waiting, err
}
