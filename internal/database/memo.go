package database

import (
	"regexp"
	"slices"
	"sync"
)

// records are the tables that change with each run and each delivery. All others, the
// new ones too, hold settings: what users set up and what changes as seldom.
var records = []string{
	"messages", "deliveries", "attempts", "statistics", "schedule", "slots", "leases", "runs", "run_texts", "pinned_runs", "loads", "backlogs",
	"requests", "logs", "pins", "connections", "watchers", "turns", "waiting", "feeds", "feed_events", "feed_marks", "bursts",
}

var (
	reading = regexp.MustCompile(`^\s*(?:SELECT|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)\b`)
	changed = regexp.MustCompile(`^\s*(?:INSERT (?:OR \w+ )?INTO|UPDATE|DELETE FROM) (\w+)`)
)

// changesSettings reports whether a statement may change settings. One that it does not
// understand may.
func changesSettings(query string) bool {
	table := changed.FindStringSubmatch(query)
	return !reading.MatchString(query) && (table == nil || !slices.Contains(records, table[1]))
}

// changeSettings says that the transaction changes settings. Until it ends the count is
// odd: what is read meanwhile may be from before it or from after it.
func (tx *Tx) changeSettings() {
	if tx.db != nil && !tx.sets {
		tx.sets = true
		tx.db.settings.Add(1)
	}
}

// settle says that the transaction is over.
func (tx *Tx) settle() {
	if tx.sets {
		tx.db.settings.Add(1)
	}
}

// memoSize is how many values a [Memo] keeps. When they are as many, all are dropped: they
// are read again soon.
const memoSize = 500

// Memo remembers what was read of the settings of one database, by keys, until any setting
// is written. So nobody reads a setting as it was before a write that has returned. The
// zero value is ready for use.
type Memo[K comparable, V any] struct {
	mu     sync.Mutex
	values map[K]V
	as     uint64 // the count of settings' writes that the values are of
}

// Get gives the value of a key, which all who ask share. read reads it, from settings and
// nothing else, and says whether it is to be remembered.
func (m *Memo[K, V]) Get(db *DB, key K, read func(*Tx) (v V, keep bool, err error)) (v V, err error) {
	as := db.settings.Load()
	m.mu.Lock()
	v, found := m.values[key]
	found = found && m.as == as && as%2 == 0
	m.mu.Unlock()
	if found {
		return v, nil
	}
	keep := false
	err = db.Read(func(tx *Tx) (err error) {
		v, keep, err = read(tx)
		return err
	})
	if err != nil || !keep || as%2 != 0 {
		return v, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.as > as {
		return v, nil // others have read what is newer
	}
	if m.values == nil || m.as < as || len(m.values) >= memoSize {
		m.values, m.as = make(map[K]V), as
	}
	m.values[key] = v
	return v, nil
}
