package database

import (
	"embed"
	"fmt"
	"strconv"
)

// migrations are the steps to the newest schema: 1.sql makes the first one. A step
// that was released never changes; the next one does what it lacks.
//
//go:embed migrations
var migrations embed.FS

// newest is the number of the last step.
const newest = 9

// migrate takes the steps that the file lacks.
func (db *DB) migrate() error {
	tx := &Tx{conn: db.writer}
	var version int64
	if _, err := tx.First(func(r Row) error { version = r.Int(0); return nil }, "PRAGMA user_version"); err != nil {
		return err
	}
	if version > newest {
		return fmt.Errorf("database %s: a newer Boathook has written it (its schema is %d, this program's %d): use that one, or another data folder", db.path, version, newest)
	}
	for step := version + 1; step <= newest; step++ {
		script, err := migrations.ReadFile("migrations/" + strconv.FormatInt(step, 10) + ".sql")
		if err != nil {
			return err
		}
		if err := db.writer.Exec("BEGIN;\n" + string(script) + "PRAGMA user_version = " + strconv.FormatInt(step, 10) + ";\nCOMMIT;"); err != nil {
			return fmt.Errorf("migration %d: %w", step, err)
		}
	}
	return nil
}
