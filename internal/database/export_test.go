package database

// Lateness is how long a write waits that nobody waits for.
const Lateness = lateness

// Waiting counts the writes that wait for the one that is under way.
func (db *DB) Waiting() int {
	db.mu.Lock()
	defer db.mu.Unlock()
	return len(db.waiting)
}
