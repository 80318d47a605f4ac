package native

import (
	"context"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// replay asks for events of a source's feed to be sent to a webhook again.
type replay struct {
	Since  string               `json:"since"`   // of events that came into the feed then or later
	Until  string               `json:"until"`   // of events that came into the feed then or before; now by default
	Types  []boathook.EventType `json:"types"`   // any of them; all that the webhook wants by default
	Only   service.ReplayOnly   `json:"only"`    // missing by default
	DryRun bool                 `json:"dry_run"` // only count
	Cursor string               `json:"cursor"`  // of the answer before
}

func (in replay) read() (r service.Replay, err error) {
	r = service.Replay{Types: in.Types, Only: in.Only, DryRun: in.DryRun, Cursor: in.Cursor}
	if r.Since, err = parseTime("since", in.Since); err != nil {
		return r, err
	}
	if in.Until != "" {
		r.Until, err = parseTime("until", in.Until)
	}
	return r, err
}

// replayed says how many events were queued, and why others were not. With a next cursor
// there are more: the same request with it carries on.
type replayed struct {
	Queued     int                             `json:"queued"`    // or would be
	ByStatus   map[boathook.DeliveryStatus]int `json:"by_status"` // of them, as they were before
	Matched    int                             `json:"matched"`
	Recent     int                             `json:"recent"`
	Unknown    int                             `json:"unknown"`
	DryRun     bool                            `json:"dry_run"`
	Since      boathook.Time                   `json:"since"`
	Until      boathook.Time                   `json:"until"`
	NextCursor *string                         `json:"next_cursor"`
}

func (f face) replayOutgoing(ctx context.Context, c httpjson.Call, in replay) (replayed, error) {
	asked, err := in.read()
	if err != nil {
		return replayed{}, err
	}
	r, err := f.Outgoing.Replay(ctx, c.Caller, sourceInPath(c), c.PathValue("outgoing"), asked)
	return replayed{
		Queued: r.Count(), ByStatus: r.Queued, Matched: r.Matched, Recent: r.Recent, Unknown: r.Unknown, DryRun: in.DryRun,
		Since: boathook.Time{Time: r.Since}, Until: boathook.Time{Time: r.Until}, NextCursor: httpjson.Nullable(r.Next),
	}, err
}
