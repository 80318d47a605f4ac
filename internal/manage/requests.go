package manage

import (
	"context"
	"slices"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// arrivalView is a request to an incoming webhook: what arrived, and what
// became of it.
type arrivalView struct {
	ID      string                  `json:"id"`
	At      boathook.Time           `json:"at"`
	Outcome boathook.RequestOutcome `json:"outcome"`
	Status  int                     `json:"status"` // of the answer
	Reason  *string                 `json:"reason"` // why it started no run
	RunID   *string                 `json:"run_id"`
	Sender  *senderView             `json:"sender"` // null for an accepted one
}

type senderView struct {
	IP          *string  `json:"ip"`
	UserAgent   *string  `json:"user_agent"`
	ContentType *string  `json:"content_type"`
	HeaderNames []string `json:"header_names"`
	BodySize    int      `json:"body_size"`
	BodySHA256  *string  `json:"body_sha256"` // null for one that is too large
}

func viewArrival(r boathook.Request) arrivalView {
	view := arrivalView{
		ID: r.ID, At: boathook.Time{Time: r.At}, Outcome: r.Outcome, Status: r.Status,
		Reason: nullable(r.Reason), RunID: nullable(r.RunID),
	}
	if s := r.Sender; s != nil {
		view.Sender = &senderView{
			IP: nullable(s.IP), UserAgent: nullable(s.UserAgent), ContentType: nullable(s.ContentType),
			HeaderNames: append([]string{}, s.Headers...), BodySize: s.BodySize, BodySHA256: nullable(s.BodySHA256),
		}
	}
	return view
}

func (h *Handler) listRequests(ctx context.Context, c call, _ none) (list[arrivalView], error) {
	w, err := h.incoming(ctx, c)
	if err != nil {
		return list[arrivalView]{}, err
	}
	return h.requests(ctx, c, w.SourceID, w.ID)
}

// listAgentRequests lists the triggers of an agent, which is its own webhook.
func (h *Handler) listAgentRequests(ctx context.Context, c call, _ none) (list[arrivalView], error) {
	s, err := h.agent(ctx, c)
	if err != nil {
		return list[arrivalView]{}, err
	}
	return h.requests(ctx, c, s.ID, s.ID)
}

func (h *Handler) requests(ctx context.Context, c call, sourceID, webhookID string) (list[arrivalView], error) {
	p, err := c.page()
	if err != nil {
		return list[arrivalView]{}, err
	}
	q := store.RequestQuery{
		WorkspaceID: c.workspace, SourceID: sourceID, WebhookID: webhookID, Page: p,
		Outcome: boathook.RequestOutcome(c.URL.Query().Get("outcome")),
	}
	if q.Outcome != "" && !slices.Contains(boathook.RequestOutcomes, q.Outcome) {
		return list[arrivalView]{}, boathook.InvalidField("outcome", "must be %s, %s, %s, %s or %s", boathook.RequestAccepted,
			boathook.RequestRepeated, boathook.RequestIgnored, boathook.RequestAnswered, boathook.RequestRejected)
	}
	requests, next, err := h.cfg.Store.Requests(ctx, q)
	return viewList(requests, next, viewArrival), err
}
