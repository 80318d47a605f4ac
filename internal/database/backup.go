package database

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/ncruces/go-sqlite3"
)

// Backup copies the database of a file to a new file, as it is at one moment. It may be
// served meanwhile.
func Backup(path, to string) (err error) {
	db := &DB{path: path}
	if _, err := os.Stat(path); err != nil {
		return err
	}
	// Made here, so that nobody else can read it, and nothing is overwritten.
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists: choose another name", to)
	}
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	c, err := connect(path, sqlite3.OPEN_READWRITE) // a read-only connection can't read the write-ahead log of a server that was killed
	if err == nil {
		err = errors.Join((&Tx{conn: c}).Exec("VACUUM INTO ?", to), c.Close())
	}
	if err != nil {
		err = errors.Join(db.explain(err), os.Remove(to))
	}
	return err
}

// Reclaim gives the file system back what deletions have left free in the file, some of
// it at a time.
func (db *DB) Reclaim() error {
	db.writing.Lock()
	defer db.writing.Unlock()
	return db.explain((&Tx{conn: db.writer}).Exec("PRAGMA incremental_vacuum(2000)"))
}
