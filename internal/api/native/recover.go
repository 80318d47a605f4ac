package native

import (
	"context"
	"time"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// recovery asks for the deliveries of a time to be sent now that were not taken.
type recovery struct {
	Since    string                    `json:"since"`    // of their events
	Until    string                    `json:"until"`    // of their events, itself included; now by default
	Statuses []boathook.DeliveryStatus `json:"statuses"` // any of them; all that are recoverable by default
	DryRun   bool                      `json:"dry_run"`  // only count
	Cursor   string                    `json:"cursor"`   // of the answer before
}

func (in recovery) read() (r service.Recovery, err error) {
	r = service.Recovery{Statuses: in.Statuses, DryRun: in.DryRun, Cursor: in.Cursor}
	if r.Since, err = parseTime("since", in.Since); err != nil {
		return r, err
	}
	if in.Until != "" {
		r.Until, err = parseTime("until", in.Until)
	}
	return r, err
}

func parseTime(field, text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, boathook.InvalidField(field, "must be a time such as 2026-11-21T18:00:00Z")
	}
	return t, nil
}

// recovered says how many were queued. With a next cursor there are more: the
// same request with it, and with until as it is here, carries on.
type recovered struct {
	Queued     int                             `json:"queued"`    // or would be
	ByStatus   map[boathook.DeliveryStatus]int `json:"by_status"` // of them, as they were before
	DryRun     bool                            `json:"dry_run"`
	Until      boathook.Time                   `json:"until"`
	NextCursor *string                         `json:"next_cursor"`
}

func (f face) recoverOutgoing(ctx context.Context, c httpjson.Call, in recovery) (recovered, error) {
	asked, err := in.read()
	if err != nil {
		return recovered{}, err
	}
	r, err := f.Outgoing.Recover(ctx, c.Caller, sourceInPath(c), c.PathValue("outgoing"), asked)
	return recovered{
		Queued: r.Queued, ByStatus: r.ByStatus, DryRun: in.DryRun, Until: boathook.Time{Time: r.Until}, NextCursor: httpjson.Nullable(r.Next),
	}, err
}
