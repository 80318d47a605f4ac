package sqlite_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/database"
	"boathook/internal/store"
	"boathook/internal/store/sqlite"
	"boathook/internal/store/storetest"
)

// open makes a store in a new database, which it closes when the test is over.
func open(t *testing.T, path string, now func() time.Time, retention time.Duration) (*sqlite.Store, *database.DB) {
	t.Helper()
	db, err := database.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return sqlite.New(sqlite.Config{DB: db, Retention: retention, Now: now}), db
}

func TestSQLiteIsAStore(t *testing.T) {
	for _, place := range []struct {
		name string
		path func(t *testing.T) string
	}{
		{"in memory", func(*testing.T) string { return database.Memory }},
		{"in a file", func(t *testing.T) string { return t.TempDir() + "/boathook.db" }},
	} {
		t.Run(place.name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T, now func() time.Time, retention time.Duration) store.Store {
				s, _ := open(t, place.path(t), now, retention)
				return s
			})
		})
	}
}

// Watchers had no channels once: they watched the log.
func TestAWatcherWithoutChannelsWatchesTheLog(t *testing.T) {
	s, db := open(t, database.Memory, time.Now, time.Hour)
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

// What is read is its reader's: it is remembered, and others read it too.
func TestWhoChangesWhatItHasReadChangesNothing(t *testing.T) {
	s, _ := open(t, database.Memory, time.Now, time.Hour)
	ctx := t.Context()
	source := boathook.Source{ID: "cus_a", WorkspaceID: "ws_a", Kind: boathook.Customer, Customer: &boathook.CustomerSettings{Metadata: map[string]string{"k": "v"}}}
	webhook := boathook.OutgoingWebhook{
		ID: "wh_a", SourceID: source.ID, WorkspaceID: "ws_a", Events: []boathook.EventType{"a"}, Retry: []time.Duration{time.Second},
		Secrets: boathook.SealedSecrets{Current: []byte("s")}, Channels: []string{"c"}, Metadata: map[string]string{"k": "v"},
	}
	if err := errors.Join(s.PutSource(ctx, source), s.PutOutgoing(ctx, webhook)); err != nil {
		t.Fatal(err)
	}
	spoil := func(w *boathook.OutgoingWebhook) {
		w.Events[0], w.Retry[0], w.Secrets.Current[0], w.Channels[0], w.Metadata["k"] = "x", 0, 'x', "x", "x"
	}
	read := func() string {
		w, err1 := s.Outgoing(ctx, source.ID, webhook.ID)
		src, err2 := s.Source(ctx, "ws_a", source.ID)
		a, err3 := s.Audience(ctx, source.ID)
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal([]any{w, src, a})
		if err != nil {
			t.Fatal(err)
		}
		spoil(&w)
		spoil(&a.Outgoing[0])
		for _, src := range []*boathook.Source{&src, a.Source} {
			src.Name, src.Customer.Metadata["k"], src.Customer.ExternalID = "x", "x", "x"
		}
		return string(text)
	}
	if first, second := read(), read(); first != second {
		t.Errorf("read\n%s\nand then\n%s", first, second)
	}
}

// An older program had a row for each attempt, the first one's too.
func TestAttemptsOfAnOlderProgramAreRead(t *testing.T) {
	s, db := open(t, database.Memory, time.Now, time.Hour)
	ctx := t.Context()
	d := boathook.Delivery{
		ID: boathook.NewDeliveryID(&boathook.Event{ID: "evt_a", Time: time.Now()}, "wh_a"), WorkspaceID: "ws_a", WebhookID: "wh_a", SourceID: "cus_a", Status: boathook.DeliveryRetrying, Attempts: 1,
	}
	first := boathook.Attempt{Number: 1, SentAt: time.Now(), Error: "refused"}
	if err := s.RecordAttempt(ctx, d, first); err != nil {
		t.Fatal(err)
	}
	if err := db.Write(func(tx *database.Tx) error {
		return errors.Join(
			tx.Exec("INSERT INTO attempts (delivery, number, item, response) SELECT number, 1, first_attempt, first_response FROM deliveries"),
			tx.Exec("UPDATE deliveries SET first_attempt = NULL, first_response = NULL"))
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.RecordAttempt(ctx, d, first); !boathook.IsKind(err, boathook.Conflict) {
		t.Errorf("its first attempt is recorded again: %v", err)
	}
	d.Status, d.Attempts = boathook.DeliverySucceeded, 2
	if err := s.RecordAttempt(ctx, d, boathook.Attempt{Number: 2, SentAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if _, attempts, err := s.Attempts(ctx, d.WorkspaceID, d.ID); err != nil || len(attempts) != 2 || attempts[0].Error != "refused" {
		t.Errorf("its attempts are %+v, %v", attempts, err)
	}
}
