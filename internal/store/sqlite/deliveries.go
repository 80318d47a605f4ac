package sqlite

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/compress"
	"boathook/internal/database"
	"boathook/internal/store"
	"boathook/internal/store/paging"
)

type deliveryItem struct {
	ID            string                  `json:"id"`
	WorkspaceID   string                  `json:"workspace_id"`
	SourceID      string                  `json:"source_id"`
	WebhookID     string                  `json:"webhook_id"`
	EventID       string                  `json:"event_id"`
	EventType     boathook.EventType      `json:"event_type"`
	Environment   boathook.Environment    `json:"environment,omitempty"`
	Dialect       string                  `json:"dialect,omitempty"`
	Status        boathook.DeliveryStatus `json:"status"`
	Attempts      int                     `json:"attempts"`
	NextAttemptAt time.Time               `json:"next_attempt_at,omitzero"`
	Reason        string                  `json:"reason,omitempty"`
	Resend        int                     `json:"resend,omitempty"`
	Last          summaryItem             `json:"last,omitzero"`
	Trace         traceItem               `json:"trace,omitzero"`
	ContentType   string                  `json:"content_type,omitempty"`
	Fault         string                  `json:"fault,omitempty"`
}

// summaryItem is the last attempt in short.
type summaryItem struct {
	Number   int       `json:"number"`
	SentAt   time.Time `json:"sent_at"`
	Duration int64     `json:"duration_ms"`
	Status   int       `json:"status,omitempty"`
	Error    string    `json:"error,omitempty"`
}

// traceItem is the place in a trace that a run or a delivery follows from.
type traceItem struct {
	Parent string `json:"parent"`
	State  string `json:"state,omitempty"`
}

func newDeliveryItem(d boathook.Delivery) deliveryItem {
	return deliveryItem{
		d.ID.String(), d.WorkspaceID, d.SourceID, d.WebhookID, d.EventID, d.EventType, d.Environment, d.Dialect,
		d.Status, d.Attempts, stored(d.NextAttemptAt), d.Reason, d.Resend,
		summaryItem{d.Last.Number, stored(d.Last.SentAt), d.Last.Duration.Milliseconds(), d.Last.Status, d.Last.Error},
		traceItem(d.Trace), d.ContentType, d.Fault,
	}
}

// delivery is without its body.
func (it deliveryItem) delivery() (boathook.Delivery, error) {
	id, err := boathook.ParseDeliveryID(it.ID)
	return boathook.Delivery{
		ID: id, WorkspaceID: it.WorkspaceID, SourceID: it.SourceID, WebhookID: it.WebhookID, EventID: it.EventID, EventType: it.EventType,
		Environment: it.Environment, Dialect: it.Dialect, Status: it.Status, Attempts: it.Attempts, NextAttemptAt: it.NextAttemptAt,
		Reason: it.Reason, Resend: it.Resend, Trace: boathook.TraceContext(it.Trace), ContentType: it.ContentType, Fault: it.Fault,
		Last: boathook.Summary{
			Number: it.Last.Number, SentAt: it.Last.SentAt, Duration: time.Duration(it.Last.Duration) * time.Millisecond,
			Status: it.Last.Status, Error: it.Last.Error,
		},
	}, err
}

type attemptItem struct {
	SentAt      time.Time       `json:"sent_at"`
	Duration    int64           `json:"duration_ms"`
	URL         string          `json:"url,omitempty"`
	Destination destinationItem `json:"destination,omitzero"`
	Signature   string          `json:"signature,omitempty"`
	Error       string          `json:"error,omitempty"`
	CutAt       time.Time       `json:"cut_at,omitzero"`
	Response    *responseItem   `json:"response,omitempty"`
	TraceParent string          `json:"trace_parent,omitempty"`
}

// responseItem is without the body.
type responseItem struct {
	Status    int         `json:"status"`
	Headers   http.Header `json:"headers,omitempty"`
	Truncated bool        `json:"truncated,omitempty"`
	MessageID string      `json:"message_id,omitempty"`
}

// encodeAttempt gives an attempt's columns: its item, and its response's body, nil for none.
func encodeAttempt(a boathook.Attempt) (encoded, response any) {
	item := attemptItem{
		stored(a.SentAt), a.Duration.Milliseconds(), a.URL, destinationItem(a.Destination), a.Signature, a.Error, stored(a.CutAt), nil, a.TraceParent,
	}
	if r := a.Response; r != nil {
		item.Response = &responseItem{r.Status, r.Headers, r.Truncated, r.MessageID}
		if len(r.Body) > 0 {
			response = compress.Compress(r.Body)
		}
	}
	return encode(item), response
}

func putAttempt(tx *database.Tx, delivery int64, a boathook.Attempt) error {
	item, response := encodeAttempt(a)
	return tx.Exec("INSERT INTO attempts (delivery, number, item, response) VALUES (?, ?, ?, ?)", delivery, a.Number, item, response)
}

// scanAttempt reads the columns number, item and response.
func scanAttempt(row database.Row) (a boathook.Attempt, err error) {
	item, err := decode[attemptItem](row, 1)
	if err != nil {
		return a, err
	}
	a = boathook.Attempt{
		Number: int(row.Int(0)), SentAt: item.SentAt, Duration: time.Duration(item.Duration) * time.Millisecond, URL: item.URL,
		Destination: boathook.Destination(item.Destination), Signature: item.Signature, Error: item.Error, CutAt: item.CutAt, TraceParent: item.TraceParent,
	}
	if r := item.Response; r != nil {
		a.Response = &boathook.Response{Status: r.Status, Headers: r.Headers, Truncated: r.Truncated, MessageID: r.MessageID}
		if packed := row.Bytes(2); packed != nil {
			a.Response.Body, err = compress.Decompress(packed, boathook.MaxResponseBody)
		}
	}
	return a, err
}

// record is a delivery that is stored.
type record struct {
	boathook.Delivery
	number  int64 // of its row
	expires time.Time
}

// record reads a delivery, without its body; nil if there is none.
func (s *Store) record(tx *database.Tx, workspaceID string, id boathook.DeliveryID) (rec *record, err error) {
	_, err = tx.First(func(row database.Row) error {
		item, err := decode[deliveryItem](row, 2)
		if err != nil {
			return err
		}
		rec = &record{number: row.Int(0), expires: row.Time(1)}
		rec.Delivery, err = item.delivery()
		return err
	}, "SELECT number, expires, item FROM deliveries WHERE workspace_id = ? AND id = ? AND expires > ?", workspaceID, id.String(), s.now())
	return rec, err
}

// insert makes the record of a delivery, with its first attempt if that is known, which so
// costs no row of its own; nil if there is a record, which may have expired.
func (s *Store) insert(tx *database.Tx, d boathook.Delivery, first *boathook.Attempt) (*record, error) {
	rec := &record{Delivery: d, expires: stored(s.expiry())}
	rec.lives(s.config.Retention)
	var attempt, response any
	if first != nil {
		attempt, response = encodeAttempt(*first)
	}
	created, err := tx.Change(`INSERT OR IGNORE INTO deliveries (workspace_id, id, webhook_id, event_at, status, expires, item, body, first_attempt, first_response)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		d.WorkspaceID, d.ID.String(), d.WebhookID, d.ID.Time(), string(d.Status), rec.expires, encode(newDeliveryItem(d)), compress.Pack(d.Body), attempt, response)
	if err != nil || !created {
		return nil, err
	}
	rec.number = tx.LastInsertID()
	return rec, nil
}

// create makes the record of a delivery of which there is none that has not expired.
func (s *Store) create(tx *database.Tx, d boathook.Delivery) (*record, error) {
	rec, err := s.insert(tx, d, nil)
	if err == nil && rec == nil { // one that has expired is there still
		if err = tx.Exec("DELETE FROM deliveries WHERE workspace_id = ? AND id = ?", d.WorkspaceID, d.ID.String()); err == nil {
			rec, err = s.insert(tx, d, nil)
		}
	}
	return rec, err
}

// lives gives a delivery the time that its next attempt needs.
func (r *record) lives(retention time.Duration) {
	if r.expires.Before(r.NextAttemptAt.Add(store.UnfinishedLife)) {
		r.expires = r.NextAttemptAt.Add(retention)
	}
}

// change writes a delivery's new state.
func (s *Store) change(tx *database.Tx, rec *record) error {
	rec.lives(s.config.Retention)
	return tx.Exec("UPDATE deliveries SET status = ?, expires = ?, item = ? WHERE number = ?",
		string(rec.Status), rec.expires, encode(newDeliveryItem(rec.Delivery)), rec.number)
}

// changeDelivery has the record of a delivery changed; nil stands for none. What
// change gives back is stored; nil if nothing is to be. It fails, if it does, before it has
// changed anything.
func (s *Store) changeDelivery(d boathook.Delivery, change func(*database.Tx, *record) (*record, error)) error {
	return s.config.DB.Add(func(tx *database.Tx) error { return s.changeIn(tx, d, change) })
}

func (s *Store) changeIn(tx *database.Tx, d boathook.Delivery, change func(*database.Tx, *record) (*record, error)) error {
	rec, err := s.record(tx, d.WorkspaceID, d.ID)
	if err != nil {
		return err
	}
	if rec, err = change(tx, rec); err != nil || rec == nil {
		return err
	}
	return s.change(tx, rec)
}

// RecordAttempt implements [store.Deliveries]. An attempt that is recorded after a
// later one does not turn the delivery back.
func (s *Store) RecordAttempt(_ context.Context, d boathook.Delivery, a boathook.Attempt) error {
	if err := store.CheckIDs(d.WorkspaceID, d.WebhookID); err != nil {
		return err
	}
	d.Last = a.Summary()
	return s.config.DB.Add(func(tx *database.Tx) error {
		if a.Number == 1 { // of which there is mostly nothing yet
			if rec, err := s.insert(tx, d, &a); err != nil || rec != nil {
				return err
			}
		}
		return s.changeIn(tx, d, s.recording(d, a))
	})
}

// recording adds an attempt to a delivery's record; see [Store.changeDelivery].
func (s *Store) recording(d boathook.Delivery, a boathook.Attempt) func(*database.Tx, *record) (*record, error) {
	return func(tx *database.Tx, rec *record) (changed *record, err error) {
		if rec == nil {
			if rec, err = s.create(tx, d); err != nil {
				return nil, err
			}
			return nil, putAttempt(tx, rec.number, a)
		}
		recorded, err := tx.Exists("SELECT 1 FROM all_attempts WHERE delivery = ? AND number = ?", rec.number, a.Number)
		if err != nil {
			return nil, err
		}
		if recorded {
			return nil, boathook.Errorf(boathook.Conflict, "attempt %d of delivery %s is recorded", a.Number, d.ID)
		}
		if err := putAttempt(tx, rec.number, a); err != nil || a.Number <= rec.Attempts {
			return nil, err
		}
		if a.Number == 1 {
			rec.Dialect, rec.ContentType, rec.Fault, rec.Trace = d.Dialect, d.ContentType, d.Fault, d.Trace
			if err := tx.Exec("UPDATE deliveries SET body = ? WHERE number = ?", compress.Pack(d.Body), rec.number); err != nil {
				return nil, err
			}
		}
		rec.Status, rec.Attempts, rec.NextAttemptAt, rec.Reason, rec.Resend, rec.Last = d.Status, d.Attempts, d.NextAttemptAt, "", d.Resend, d.Last
		return rec, nil
	}
}

// CancelDelivery implements [store.Deliveries].
func (s *Store) CancelDelivery(_ context.Context, d boathook.Delivery) error {
	if err := store.CheckIDs(d.WorkspaceID, d.WebhookID); err != nil {
		return err
	}
	return s.changeDelivery(d, func(tx *database.Tx, rec *record) (*record, error) {
		if rec == nil {
			d.Status, d.NextAttemptAt = boathook.DeliveryCanceled, time.Time{}
			_, err := s.create(tx, d)
			return nil, err
		}
		if rec.Status != boathook.DeliveryRetrying && (rec.Status != boathook.DeliveryFailed || rec.Attempts > d.Attempts) {
			return nil, nil
		}
		rec.Attempts = max(rec.Attempts, d.Attempts)
		rec.Status, rec.NextAttemptAt, rec.Reason = boathook.DeliveryCanceled, time.Time{}, d.Reason
		return rec, nil
	})
}

// PostponeDelivery implements [store.Deliveries].
func (s *Store) PostponeDelivery(_ context.Context, d boathook.Delivery, at time.Time) error {
	if err := store.CheckIDs(d.WorkspaceID, d.WebhookID); err != nil {
		return err
	}
	return s.changeDelivery(d, func(tx *database.Tx, rec *record) (*record, error) {
		switch {
		case rec == nil:
			d.Status, d.NextAttemptAt, d.Reason = boathook.DeliveryRetrying, at, ""
			_, err := s.create(tx, d)
			return nil, err
		case rec.Attempts > d.Attempts:
			return nil, nil
		}
		rec.NextAttemptAt = at
		rec.lives(s.config.Retention)
		if rec.Status == boathook.DeliverySucceeded {
			rec.NextAttemptAt = time.Time{} // it has succeeded, but its record must outlive the attempt
			return rec, nil
		}
		rec.Status, rec.Reason, rec.Resend = boathook.DeliveryRetrying, "", cmp.Or(d.Resend, rec.Resend)
		return rec, nil
	})
}

// ReopenDelivery implements [store.Deliveries].
func (s *Store) ReopenDelivery(_ context.Context, d boathook.Delivery, at time.Time) error {
	return s.changeDelivery(d, func(_ *database.Tx, rec *record) (*record, error) {
		if rec == nil || d.Status != boathook.DeliveryFailed && d.Status != boathook.DeliveryRetrying ||
			rec.Status != d.Status || rec.Attempts != d.Attempts || !rec.NextAttemptAt.Equal(stored(d.NextAttemptAt)) {
			return nil, nil
		}
		rec.Status, rec.NextAttemptAt, rec.Resend = boathook.DeliveryRetrying, at, rec.Attempts+1
		return rec, nil
	})
}

// withBody gives a delivery its body.
func withBody(tx *database.Tx, rec *record) (boathook.Delivery, error) {
	_, err := tx.First(func(row database.Row) error {
		rec.Body = compress.Unopened(row.Bytes(0), boathook.MaxRunLog)
		return nil
	}, "SELECT body FROM deliveries WHERE number = ?", rec.number)
	return rec.Delivery, err
}

// Delivery implements [store.Deliveries].
func (s *Store) Delivery(_ context.Context, workspaceID string, id boathook.DeliveryID) (boathook.Delivery, error) {
	return read(s, func(tx *database.Tx) (boathook.Delivery, error) {
		rec, err := s.record(tx, workspaceID, id)
		if err == nil && rec == nil {
			err = notFound("delivery")
		}
		if err != nil {
			return boathook.Delivery{}, err
		}
		return withBody(tx, rec)
	})
}

// Attempts implements [store.Deliveries].
func (s *Store) Attempts(_ context.Context, workspaceID string, id boathook.DeliveryID) (d boathook.Delivery, attempts []boathook.Attempt, err error) {
	err = s.config.DB.Read(func(tx *database.Tx) error {
		rec, err := s.record(tx, workspaceID, id)
		if err != nil {
			return err
		}
		if rec == nil {
			return notFound("delivery")
		}
		if d, err = withBody(tx, rec); err != nil {
			return err
		}
		for row, err := range tx.Query("SELECT number, item, response FROM all_attempts WHERE delivery = ? ORDER BY number", rec.number) {
			if err != nil {
				return err
			}
			a, err := scanAttempt(row)
			if err != nil {
				return err
			}
			attempts = append(attempts, a)
		}
		return nil
	})
	return d, attempts, err
}

// AttemptLog implements [store.Deliveries].
func (s *Store) AttemptLog(_ context.Context, q store.AttemptQuery) ([]store.Attempted, error) {
	return read(s, func(tx *database.Tx) (log []store.Attempted, err error) {
		looked, skip, size := 0, q.Skip, 0
		for e := range entries(s, tx, &err, scanRecord, `SELECT event_at, id, item, number FROM deliveries
			WHERE workspace_id = ? AND webhook_id = ? AND expires > ? ORDER BY id DESC`,
			q.WorkspaceID, q.WebhookID, s.now()) {
			if looked++; looked > store.MaxCounted {
				break
			}
			rec := e.Value
			for row, err := range tx.Query("SELECT number, item, response FROM all_attempts WHERE delivery = ? AND number <= ? ORDER BY number DESC", rec.number, rec.Attempts) {
				if err != nil {
					return nil, err
				}
				if skip > 0 {
					skip--
					continue
				}
				if len(log) == q.Limit || size >= store.MaxPageBytes {
					return log, nil
				}
				var a store.Attempted
				if a.Attempt, err = scanAttempt(row); err != nil {
					s.config.Log.Error("an attempt can't be read and is left out", "delivery_id", rec.ID, "error", err)
					continue
				}
				if a.Delivery, err = withBody(tx, &rec); err != nil {
					return nil, err
				}
				size += a.Delivery.Body.Len()
				if a.Attempt.Response != nil {
					size += len(a.Attempt.Response.Body)
				}
				log = append(log, a)
			}
		}
		return log, err
	})
}

// scanRecord reads a delivery from the third column and its number from the fourth.
func scanRecord(row database.Row) (rec record, err error) {
	item, err := decode[deliveryItem](row, 2)
	if err != nil {
		return rec, err
	}
	rec.number = row.Int(3)
	rec.Delivery, err = item.delivery()
	return rec, err
}

// Deliveries implements [store.Deliveries].
func (s *Store) Deliveries(_ context.Context, q store.DeliveryQuery) ([]boathook.Delivery, string, error) {
	return s.listDeliveries(q, " AND webhook_id = ?", q.WebhookID)
}

// EnterDeliveries implements [store.Deliveries]: those that have records are listed.
func (s *Store) EnterDeliveries(_ context.Context, deliveries ...boathook.Delivery) error {
	return store.CheckWorkspaces(deliveries)
}

// WorkspaceDeliveries implements [store.Deliveries].
func (s *Store) WorkspaceDeliveries(_ context.Context, q store.DeliveryQuery) ([]boathook.Delivery, string, error) {
	q.WebhookID = ""
	return s.listDeliveries(q, "")
}

// listDeliveries lists those of a workspace that a condition holds for. The indexes that
// it is to use are made for what each caller asks.
func (s *Store) listDeliveries(q store.DeliveryQuery, when string, values ...any) (deliveries []boathook.Delivery, next string, err error) {
	from, err := paging.ParseCursor(q.Cursor)
	if err != nil {
		return nil, "", err
	}
	if until := paging.PositionOf(q.Until, ""); !q.Until.IsZero() && until.Compare(from) < 0 {
		from = until // so that the index begins there
	}
	// Ids are in the order of their events' times, so no index needs both.
	query := "SELECT event_at, id, item, number FROM deliveries WHERE workspace_id = ?" + when + " AND expires > ?"
	args := slices.Concat([]any{q.WorkspaceID}, values, []any{s.now()})
	if from != paging.End {
		query, args = query+" AND id < ?", append(args, cmp.Or(from.ID, boathook.LeastDeliveryID(time.UnixMilli(from.At)).String()))
	}
	if !q.Since.IsZero() {
		query, args = query+" AND id >= ?", append(args, boathook.LeastDeliveryID(q.Since).String())
	}
	if statuses, all := q.Unsucceeded(); !all {
		if len(statuses) == 0 {
			return nil, "", nil
		}
		query += " AND status <> 'succeeded' AND status IN (?" + strings.Repeat(", ?", len(statuses)-1) + ")"
		for _, status := range statuses {
			args = append(args, string(status))
		}
	}
	err = s.config.DB.Read(func(tx *database.Tx) (failed error) {
		var records []record
		records, next = paging.Page(entries(s, tx, &failed, scanRecord, query+" ORDER BY id DESC", args...), q.Page, func(rec record) bool {
			return q.Wants(&rec.Delivery)
		})

		for _, rec := range records {
			rec.Resend, rec.Dialect, rec.ContentType, rec.Fault, rec.Trace = 0, "", "", "", boathook.TraceContext{}
			deliveries = append(deliveries, rec.Delivery)
		}
		return failed
	})
	return deliveries, next, err
}
