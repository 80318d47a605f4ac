package database

// Waiting counts the writes that wait for the one that is under way.
func (db *DB) Waiting() int {
	db.mu.Lock()
	defer db.mu.Unlock()
	return len(db.waiting)
}
