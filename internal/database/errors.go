package database

import (
	"errors"
	"fmt"

	"github.com/ncruces/go-sqlite3"
)

// explain says in an operator's words what is wrong with the file, where the error is
// SQLite's.
func (db *DB) explain(err error) error {
	if err == nil {
		return nil
	}
	code, ok := errors.AsType[sqlite3.ErrorCode](err)
	if !ok {
		return err
	}
	var what string
	switch code {
	case sqlite3.FULL:
		what = "the disk is full"
	case sqlite3.IOERR: // a full disk too, where it is the write-ahead log that can't grow
		what = "the disk is full, or fails"
	case sqlite3.READONLY, sqlite3.PERM, sqlite3.CANTOPEN:
		what = "the file can't be written"
	case sqlite3.CORRUPT, sqlite3.NOTADB:
		what = "the file is damaged: restore a backup"
	case sqlite3.BUSY, sqlite3.LOCKED:
		what = "another program holds the file"
	default:
		return fmt.Errorf("database %s: %w", db.path, err)
	}
	return fmt.Errorf("database %s: %s: %w", db.path, what, err)
}
