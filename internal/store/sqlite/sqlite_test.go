package sqlite_test

import (
	"testing"
	"time"

	"boathook/internal/boathook"
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

// Watchers had no channels once: they watched the log.
func TestAWatcherWithoutChannelsWatchesTheLog(t *testing.T) {
	db, err := database.Open(database.Memory)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s := sqlite.New(sqlite.Config{DB: db, Retention: time.Hour, Now: time.Now})
	c := boathook.Connection{ID: "c", WorkspaceID: "ws_a", ConnectedAt: time.Now()}
	item := `{"id":"c","workspace_id":"ws_a","connected_at":"` + c.ConnectedAt.UTC().Format(time.RFC3339) + `"}`
	if err := db.Write(func(tx *database.Tx) error {
		return tx.Exec("INSERT INTO watchers (workspace_id, id, token_id, expires, item) VALUES (?, ?, ?, ?, ?)",
			c.WorkspaceID, c.ID, c.TokenID, c.ExpiresAt(), []byte(item))
	}); err != nil {
		t.Fatal(err)
	}
	watches := func(ch boathook.Channel, want int) {
		t.Helper()
		if got, err := s.Watchers(t.Context(), c.WorkspaceID, ch); err != nil || len(got) != want {
			t.Errorf("%s has the watchers %v, %v; want %d", ch, got, err, want)
		}
	}
	watches(boathook.LogChannel, 1)
	watches(boathook.DeliveriesChannel, 0)
	if err := s.Watch(t.Context(), c, boathook.DeliveriesChannel); err != nil {
		t.Fatal(err)
	}
	watches(boathook.LogChannel, 1)
	watches(boathook.DeliveriesChannel, 1)
}
