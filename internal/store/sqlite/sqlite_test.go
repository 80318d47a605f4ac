package sqlite_test

import (
	"testing"
	"time"

	"boathook/internal/database"
	"boathook/internal/store"
	"boathook/internal/store/sqlite"
	"boathook/internal/store/storetest"
)

func TestSQLiteIsAStore(t *testing.T) {
	for _, place := range []struct {
		name string
		path func(t *testing.T) string
	}{
		{"in memory", func(*testing.T) string { return database.Memory }},
		{"in a file", func(t *testing.T) string { return t.TempDir() + "/boathook.db" }},
	} {
		t.Run(place.name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T, now func() time.Time, retention time.Duration) store.Store {
				db, err := database.Open(place.path(t))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := db.Close(); err != nil {
						t.Error(err)
					}
				})
				return sqlite.New(sqlite.Config{DB: db, Retention: retention, Now: now})
			})
		})
	}
}
