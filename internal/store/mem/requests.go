package mem

import (
	"context"
	"net/http"
	"slices"

	"boathook/internal/boathook"
	"boathook/internal/store"
	"boathook/internal/store/paging"
)

// slot is a place for a request that started no run.
type slot struct {
	rejected bool
	number   int
}

// PutRequest implements [store.Requests].
func (s *Store) PutRequest(_ context.Context, number int, r boathook.Request) error {
	if err := store.CheckIDs(r.WebhookID); err != nil {
		return err
	}
	defer s.lock()()
	in, at := s.requests[r.WebhookID], slot{r.Outcome == boathook.RequestRejected, number}
	if in == nil {
		in = make(map[slot]*boathook.Request)
		s.requests[r.WebhookID] = in
	}
	r = cloneRequest(r)
	in[at] = &r
	s.expire(func() {
		if in[at] == &r {
			delete(in, at)
		}
	})
	return nil
}

// Requests implements [store.Requests].
func (s *Store) Requests(_ context.Context, q store.RequestQuery) ([]boathook.Request, string, error) {
	defer s.lock()()
	from, err := paging.ParseCursor(q.Cursor)
	if err != nil {
		return nil, "", err
	}
	wanted := func(r *boathook.Request) bool {
		return r.WorkspaceID == q.WorkspaceID && (q.Outcome == "" || r.Outcome == q.Outcome)
	}
	var found []paging.Entry[*boathook.Request]
	for _, r := range s.requests[q.WebhookID] {
		if p := paging.PositionOf(r.At, r.ID); p.Compare(from) < 0 && wanted(r) {
			found = append(found, paging.Entry[*boathook.Request]{Position: p, Value: r})
		}
	}
	started, edge := paging.Look(s.runsOf.before(q.SourceID, from), store.Share(q.Page, 1), func(r *boathook.Run) bool {
		return q.Started(r.WebhookID) && wanted(accepted(r, q.WebhookID))
	})

	for _, e := range started {
		found = append(found, paging.Entry[*boathook.Request]{Position: e.Position, Value: accepted(e.Value, q.WebhookID)})
	}
	page, next := paging.Cut(found, edge, q.Limit)
	requests := make([]boathook.Request, len(page))
	for i, e := range page {
		requests[i] = cloneRequest(*e.Value)
	}
	return requests, next, nil
}

// accepted is the request that started a run, to a webhook or an agent.
func accepted(r *boathook.Run, to string) *boathook.Request {
	return &boathook.Request{
		ID: r.ID, WorkspaceID: r.WorkspaceID, WebhookID: to, At: r.CreatedAt,
		Outcome: boathook.RequestAccepted, Status: http.StatusAccepted, RunID: r.ID,
	}
}

func cloneRequest(r boathook.Request) boathook.Request {
	r.At = stored(r.At)
	if r.Sender != nil {
		sender := *r.Sender
		sender.Headers = slices.Clone(sender.Headers)
		r.Sender = &sender
	}
	return r
}
