package native

import (
	"context"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
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
		Reason: httpjson.Nullable(r.Reason), RunID: httpjson.Nullable(r.RunID),
	}
	if s := r.Sender; s != nil {
		view.Sender = &senderView{
			IP: httpjson.Nullable(s.IP), UserAgent: httpjson.Nullable(s.UserAgent), ContentType: httpjson.Nullable(s.ContentType),
			HeaderNames: append([]string{}, s.Headers...), BodySize: s.BodySize, BodySHA256: httpjson.Nullable(s.BodySHA256),
		}
	}
	return view
}

func (f face) listRequests(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.List[arrivalView], error) {
	return httpjson.Listed(c, viewArrival, func(p boathook.Page) ([]boathook.Request, string, error) {
		return f.Incoming.Requests(ctx, c.Caller, c.PathValue("deployment"), c.PathValue("incoming"), outcome(c), p)
	})
}

func outcome(c httpjson.Call) boathook.RequestOutcome {
	return boathook.RequestOutcome(c.URL.Query().Get("outcome"))
}
