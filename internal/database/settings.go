package database

// Setting is a value that the program has put for itself; nil if there is none.
func (db *DB) Setting(name string) (value []byte, err error) {
	err = db.Read(func(tx *Tx) error {
		_, err := tx.First(func(row Row) error { value = row.Bytes(0); return nil }, "SELECT value FROM settings WHERE name = ?", name)
		return err
	})
	return value, err
}

// PutSetting puts a value, which must not be empty.
func (db *DB) PutSetting(name string, value []byte) error {
	return db.Write(func(tx *Tx) error {
		return tx.Exec("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", name, value)
	})
}
