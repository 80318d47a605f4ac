package sqlite

import (
	"context"
	"net/http"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/database"
	"boathook/internal/store"
	"boathook/internal/store/paging"
)

// requestItem is a request that started no run.
type requestItem struct {
	ID          string                  `json:"id"`
	WorkspaceID string                  `json:"workspace_id"`
	WebhookID   string                  `json:"webhook_id"`
	At          time.Time               `json:"at"`
	Outcome     boathook.RequestOutcome `json:"outcome"`
	Status      int                     `json:"status"`
	Reason      string                  `json:"reason,omitempty"`
	RunID       string                  `json:"run_id,omitempty"`
	Sender      *senderItem             `json:"sender,omitempty"`
}

type senderItem struct {
	IP          string   `json:"ip,omitempty"`
	UserAgent   string   `json:"user_agent,omitempty"`
	ContentType string   `json:"content_type,omitempty"`
	Headers     []string `json:"headers,omitempty"`
	BodySize    int      `json:"body_size"`
	BodySHA256  string   `json:"body_sha256,omitempty"`
}

func newRequestItem(r boathook.Request) requestItem {
	return requestItem{r.ID, r.WorkspaceID, r.WebhookID, stored(r.At), r.Outcome, r.Status, r.Reason, r.RunID, (*senderItem)(r.Sender)}
}

func (it requestItem) request() boathook.Request {
	return boathook.Request{
		ID: it.ID, WorkspaceID: it.WorkspaceID, WebhookID: it.WebhookID, At: it.At, Outcome: it.Outcome, Status: it.Status,
		Reason: it.Reason, RunID: it.RunID, Sender: (*boathook.Sender)(it.Sender),
	}
}

// PutRequest implements [store.Requests].
func (s *Store) PutRequest(_ context.Context, slot int, r boathook.Request) error {
	if err := store.CheckIDs(r.WebhookID); err != nil {
		return err
	}
	return s.config.DB.Write(func(tx *database.Tx) error {
		return tx.Exec("INSERT OR REPLACE INTO requests (webhook_id, rejected, slot, created_at, id, expires, item) VALUES (?, ?, ?, ?, ?, ?, ?)",
			r.WebhookID, r.Outcome == boathook.RequestRejected, slot, r.At, r.ID, s.expiry(), encode(newRequestItem(r)))
	})
}

// Requests implements [store.Requests].
func (s *Store) Requests(_ context.Context, q store.RequestQuery) (requests []boathook.Request, next string, err error) {
	from, err := paging.ParseCursor(q.Cursor)
	if err != nil {
		return nil, "", err
	}
	wanted := func(r boathook.Request) bool {
		return r.WorkspaceID == q.WorkspaceID && (q.Outcome == "" || r.Outcome == q.Outcome)
	}
	err = s.config.DB.Read(func(tx *database.Tx) (failed error) {
		scan := func(row database.Row) (boathook.Request, error) {
			item, err := decode[requestItem](row, 2)
			return item.request(), err
		}
		var found []paging.Entry[boathook.Request]
		for e := range entries(s, tx, &failed, scan, "SELECT created_at, id, item FROM requests WHERE webhook_id = ? AND expires > ? AND (created_at, id) < (?, ?)",
			q.WebhookID, s.now(), from.At, from.ID) {
			if wanted(e.Value) {
				found = append(found, e)
			}
		}
		runs := s.listed(tx, &failed, store.RunQuery{WorkspaceID: q.WorkspaceID, SourceID: q.SourceID}, from)
		started, edge := paging.Look(runs, store.Share(q.Page, 1), func(h boathook.RunHead) bool {
			return q.Started(h.WebhookID) && wanted(accepted(h, q.WebhookID))
		})

		for _, e := range started {
			found = append(found, paging.Entry[boathook.Request]{Position: e.Position, Value: accepted(e.Value, q.WebhookID)})
		}
		found, next = paging.Cut(found, edge, q.Limit)
		for _, e := range found {
			requests = append(requests, e.Value)
		}
		return failed
	})
	return requests, next, err
}

// accepted is the request that started a run, to a webhook or an agent.
func accepted(h boathook.RunHead, to string) boathook.Request {
	return boathook.Request{
		ID: h.ID, WorkspaceID: h.WorkspaceID, WebhookID: to, At: h.CreatedAt,
		Outcome: boathook.RequestAccepted, Status: http.StatusAccepted, RunID: h.ID,
	}
}
