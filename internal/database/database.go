package database

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// Memory is the path of a database that is in memory, and gone when it is closed.
const Memory = ":memory:"

// readers is how many reads of a file run side by side.
const readers = 4

// DB is an open database. It is safe for concurrent use.
type DB struct {
	path   string
	unlock func() error

	// pool has the connections that read; nil in memory, where there is one
	// connection for all.
	pool chan *conn

	writing sync.Mutex // guards writer
	writer  *conn

	settings atomic.Uint64 // changed with each write of settings: see Memo

	mu      sync.Mutex // guards what follows
	waiting []*write
	busy    bool              // somebody commits
	late    []func(*Tx) error // see Later
	since   time.Time         // when the first of late was put off
	timed   bool              // a timer runs for late
	closed  bool
}

// Open opens a database, and makes it where there is none. Its errors are lines for the
// operator: they name the file and what to do.
func Open(path string) (db *DB, err error) {
	db = &DB{path: path, unlock: func() error { return nil }}
	defer func() {
		if err != nil {
			_ = db.Close()
		}
	}()
	if path != Memory {
		if db.unlock, err = lock(filepath.Join(filepath.Dir(path), "lock")); err != nil {
			return db, err
		}
		if err := ownersOnly(path); err != nil {
			return db, fmt.Errorf("the database can't be opened for writing: %w", err)
		}
	}
	if db.writer, err = connectToWrite(path); err != nil {
		return db, db.explain(err)
	}
	if err := db.migrate(); err != nil {
		return db, db.explain(err)
	}
	if path == Memory {
		return db, nil
	}
	if err := ownersOnly(path+"-wal", path+"-shm"); err != nil { // SQLite has just made them
		return db, fmt.Errorf("the database can't be opened for writing: %w", err)
	}
	db.pool = make(chan *conn, readers)
	for range readers {
		c, err := connect(path, sqlite3.OPEN_READONLY)
		if err != nil {
			return db, db.explain(err)
		}
		db.pool <- c
	}
	return db, nil
}

// ownersOnly makes files that their owner alone can read. SQLite would make them readable
// by others.
func ownersOnly(paths ...string) error {
	for _, path := range paths {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Chmod(0o600), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// conn is a connection, with the statements that it has prepared.
type conn struct {
	*sqlite3.Conn
	statements map[string]statement
}

type statement struct {
	*sqlite3.Stmt
	sets bool // it changes settings
}

// connectToWrite opens the connection that writes.
func connectToWrite(path string) (*conn, error) {
	mode := sqlite3.OPEN_READWRITE | sqlite3.OPEN_CREATE
	if path == Memory {
		return connect(path, mode)
	}
	uri, err := gathered(path)
	if err != nil {
		return nil, err
	}
	return connect(uri, mode|sqlite3.OPEN_URI)
}

// connect opens a connection.
func connect(path string, mode sqlite3.OpenFlag) (*conn, error) {
	opened, err := sqlite3.OpenFlags(path, mode)
	if err != nil {
		return nil, err
	}
	c := &conn{opened, make(map[string]statement)}
	pragmas := "PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -4096;" // 4 MiB for each connection
	if mode&sqlite3.OPEN_READWRITE != 0 {
		pragmas += "PRAGMA auto_vacuum = INCREMENTAL;" + // before the first table
			"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864;" + // 64 MiB
			"PRAGMA wal_autocheckpoint = 4000;" // pages, 16 MiB: those that change often are copied back less often
	}
	// A plan must not depend on the arguments: SQLite would make it anew for each.
	_, err = c.Config(sqlite3.DBCONFIG_ENABLE_QPSG, true)
	if err := errors.Join(err, c.BusyTimeout(10*time.Second), c.Exec(pragmas)); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// prepare gives a statement that is ready for use.
func (c *conn) prepare(query string) (statement, error) {
	if stmt, ok := c.statements[query]; ok {
		return stmt, nil
	}
	prepared, _, err := c.PrepareFlags(query, sqlite3.PREPARE_PERSISTENT)
	stmt := statement{prepared, changesSettings(query)}
	if err == nil {
		c.statements[query] = stmt
	}
	return stmt, err
}

// Close closes the statements too.
func (c *conn) Close() error {
	var errs []error
	for _, stmt := range c.statements {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(append(errs, c.Conn.Close())...)
}

// Close closes the database. No call may follow or be under way.
func (db *DB) Close() error {
	var errs []error
	if db.writer != nil {
		errs = append(errs, db.catchUp())
	}
	db.mu.Lock()
	db.closed = true
	db.mu.Unlock()
	db.writing.Lock()
	defer db.writing.Unlock()
	for range len(db.pool) {
		errs = append(errs, (<-db.pool).Close())
	}
	if db.writer != nil {
		errs = append(errs, db.writer.Close())
	}
	return errors.Join(append(errs, db.unlock())...)
}

// write is what one caller of [DB.Write] or [DB.Add] wants done.
type write struct {
	do    func(*Tx) error
	alone bool // its failure undoes nobody else's
	err   error
	turn  chan bool // true: it is done; false: its caller is to commit for all that wait. nil: its caller commits at once
}

// Write calls do in a transaction, and returns when that is on disk. The transaction
// may have other callers' writes in it, before and after. If do has an error, what it
// has done is undone and the error returned. Any other error is the database's: nothing
// of do is kept, but where a commit's own answer was lost.
func (db *DB) Write(do func(*Tx) error) error { return db.share(&write{do: do, alone: true}) }

// Add is [DB.Write] of a do that changes nothing before it knows that it can do all: what it
// fails with afterwards is the database's own error, such as a full disk. It then fails for
// all that share the transaction, and nothing of any of them is kept. Being undone alone
// would cost what it does once more.
func (db *DB) Add(do func(*Tx) error) error { return db.share(&write{do: do}) }

// lateness is how long a write waits that nobody waits for.
const lateness = 100 * time.Millisecond

// Later has do done as [DB.Add] does, with the next write that somebody waits for, or by
// itself after a tenth of a second: it costs no commit of its own. A process that is killed
// loses it, and one that closes the database does not. It is repeated until it is done.
func (db *DB) Later(do func(*Tx) error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.putOff(do)
}

// putOff is called with mu.
func (db *DB) putOff(late ...func(*Tx) error) {
	if len(db.late) == 0 {
		db.since = time.Now()
	}
	db.late = append(db.late, late...)
	db.catchUpAfter(lateness)
}

// catchUpAfter starts a timer unless one runs. It is called with mu.
func (db *DB) catchUpAfter(wait time.Duration) {
	if db.timed || db.closed {
		return
	}
	db.timed = true
	time.AfterFunc(wait, func() {
		db.mu.Lock()
		db.timed = false
		left := lateness - time.Since(db.since)
		if left > 0 && len(db.late) > 0 { // a commit has done what the timer was started for
			db.catchUpAfter(left)
		}
		db.mu.Unlock()
		if left <= 0 {
			_ = db.catchUp() // its error is of what will be repeated
		}
	})
}

// catchUp does what was put off.
func (db *DB) catchUp() error {
	db.mu.Lock()
	nothing := len(db.late) == 0 || db.closed
	db.mu.Unlock()
	if nothing {
		return nil
	}
	return db.Add(func(*Tx) error { return nil })
}

// yields is how many times a caller lets others run before it commits, so that their writes
// join it. Where many write, fewer make smaller commits; more gain nothing.
const yields = 4

// share has a write done in a transaction with those of others.
func (db *DB) share(w *write) error {
	db.mu.Lock()
	db.waiting = append(db.waiting, w)
	if db.busy {
		w.turn = make(chan bool, 1)
		db.mu.Unlock()
		if done := <-w.turn; done {
			return w.err
		}
		db.mu.Lock()
	}
	db.busy = true
	db.mu.Unlock()
	for range yields { // those who are about to write join this commit
		runtime.Gosched()
	}
	db.mu.Lock()
	batch, late := db.waiting, db.late
	db.waiting, db.late = nil, nil
	db.mu.Unlock()

	done := db.commit(batch, late)
	for _, other := range batch {
		if other != w {
			other.turn <- true
		}
	}

	db.mu.Lock()
	if !done {
		db.putOff(late...)
	}
	if len(db.waiting) > 0 {
		db.waiting[0].turn <- false
	} else {
		db.busy = false
	}
	db.mu.Unlock()
	return w.err
}

// commit does what a batch wants in one transaction, and what was put off, and reports
// whether it is done.
func (db *DB) commit(batch []*write, late []func(*Tx) error) (done bool) {
	db.writing.Lock()
	defer db.writing.Unlock()
	tx := &Tx{conn: db.writer, db: db}
	defer tx.settle()
	err := tx.Exec("BEGIN IMMEDIATE")
	for _, do := range late {
		if err == nil {
			err = tx.try(do)
		}
	}
	for _, w := range batch {
		if err != nil {
			break
		}
		if w.err = tx.part(w); w.err == nil {
			continue
		}
		if tx.torn || db.writer.GetAutocommit() {
			err = w.err // SQLite has undone everything, as it does when the disk is full
		}
		w.err = db.explain(w.err)
	}
	if err == nil {
		err = tx.Exec("COMMIT")
	}
	if err == nil {
		return true
	}
	if !db.writer.GetAutocommit() {
		err = errors.Join(err, tx.Exec("ROLLBACK"))
	}
	err = db.explain(err)
	for _, w := range batch {
		w.err = err
	}
	return false
}

// Read calls do with what has been committed by now. do must not write.
func (db *DB) Read(do func(*Tx) error) error {
	if db.pool == nil {
		db.writing.Lock()
		defer db.writing.Unlock()
		return db.explain(do(&Tx{conn: db.writer}))
	}
	c := <-db.pool
	defer func() { db.pool <- c }()
	tx := &Tx{conn: c}
	if err := tx.Exec("BEGIN"); err != nil {
		return db.explain(err)
	}
	err := do(tx)
	return db.explain(errors.Join(err, tx.Exec("ROLLBACK")))
}

// Tx is a transaction, for as long as the function lives that was given it.
type Tx struct {
	conn *conn
	db   *DB  // nil: it only reads
	sets bool // it has changed settings
	torn bool // a part of it is to be undone, which only all of it can be
}

// part does what one caller wants.
func (tx *Tx) part(w *write) error {
	if w.alone {
		return tx.savepoint(w.do)
	}
	before := tx.conn.TotalChanges()
	err := tx.try(w.do)
	tx.torn = err != nil && tx.conn.TotalChanges() != before
	return err
}

// savepoint calls do, and undoes what it has done if it has an error.
func (tx *Tx) savepoint(do func(*Tx) error) error {
	if err := tx.Exec("SAVEPOINT w"); err != nil {
		return err
	}
	err := tx.try(do)
	switch {
	case tx.conn.GetAutocommit():
		return err // nothing is left to be undone
	case err != nil:
		err = errors.Join(err, tx.Exec("ROLLBACK TO w"))
	}
	return errors.Join(err, tx.Exec("RELEASE w"))
}

// try calls do. A panic becomes an error: the other callers' writes must not hang.
func (tx *Tx) try(do func(*Tx) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a transaction: %v\n%s", p, debug.Stack())
		}
	}()
	return do(tx)
}

// Row is a row of an answer, until the next is asked for. Its columns count from 0.
type Row struct{ stmt *sqlite3.Stmt }

// Text is a column's text.
func (r Row) Text(column int) string { return r.stmt.ColumnText(column) }

// Int is a column's number.
func (r Row) Int(column int) int64 { return r.stmt.ColumnInt64(column) }

// Bytes are a copy of a column's bytes; nil for none.
func (r Row) Bytes(column int) []byte {
	raw := r.stmt.ColumnRawBlob(column)
	if len(raw) == 0 {
		return nil
	}
	return bytes.Clone(raw)
}

// Time is a column that [Tx] was given a time for: in UTC, to the millisecond.
func (r Row) Time(column int) time.Time { return time.UnixMilli(r.Int(column)).UTC() }

// Exec executes a statement. An argument is a string, bytes, an int, an int64, a bool,
// a time, which is stored in Unix milliseconds, or nil.
func (tx *Tx) Exec(query string, args ...any) error {
	for _, err := range tx.Query(query, args...) {
		if err != nil {
			return err
		}
	}
	return nil
}

// Change is [Tx.Exec] that tells whether a row was changed.
func (tx *Tx) Change(query string, args ...any) (changed bool, err error) {
	err = tx.Exec(query, args...)
	return err == nil && tx.Changes() > 0, err
}

// Changes is how many rows the last statement has changed.
func (tx *Tx) Changes() int { return int(tx.conn.Changes()) }

// LastInsertID is the number of the row that was inserted last.
func (tx *Tx) LastInsertID() int64 { return tx.conn.LastInsertRowID() }

// Exists tells whether a query has a row.
func (tx *Tx) Exists(query string, args ...any) (bool, error) {
	return tx.First(func(Row) error { return nil }, query, args...)
}

// First gives a query's first row to scan, and tells whether there is one.
func (tx *Tx) First(scan func(Row) error, query string, args ...any) (found bool, err error) {
	for row, err := range tx.Query(query, args...) {
		if err != nil {
			return false, err
		}
		return true, scan(row)
	}
	return false, nil
}

// Query yields a query's rows. The same query must not begin again before they are
// at an end. After an error nothing follows.
func (tx *Tx) Query(query string, args ...any) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		stmt, err := tx.conn.prepare(query)
		if err != nil {
			yield(Row{}, err)
			return
		}
		for i, arg := range args {
			if failed := bind(stmt.Stmt, i+1, arg); failed != nil {
				err = errors.Join(err, failed)
			}
		}
		if stmt.sets {
			tx.changeSettings()
		}
		if err != nil {
			yield(Row{}, errors.Join(err, stmt.ClearBindings()))
			return
		}
		more := true
		for more && stmt.Step() {
			more = yield(Row{stmt.Stmt}, nil)
		}
		err = stmt.Err()
		_ = stmt.Reset() // its error is that of the step
		if err = errors.Join(err, stmt.ClearBindings()); err != nil && more {
			yield(Row{}, err)
		}
	}
}

func bind(stmt *sqlite3.Stmt, i int, arg any) error {
	switch arg := arg.(type) {
	case string:
		return stmt.BindText(i, arg)
	case []byte:
		return stmt.BindBlob(i, arg)
	case int:
		return stmt.BindInt64(i, int64(arg))
	case int64:
		return stmt.BindInt64(i, arg)
	case bool:
		return stmt.BindBool(i, arg)
	case time.Time:
		return stmt.BindInt64(i, arg.UnixMilli())
	case nil:
		return stmt.BindNull(i)
	}
	return fmt.Errorf("database: an argument is a %T", arg)
}
