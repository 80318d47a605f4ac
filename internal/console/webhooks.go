package console

import (
	"context"
	"html/template"

	"boathook/internal/boathook"
	"boathook/internal/service"
)

// webhooks lists a source's webhooks.
func (c *Console) webhooks(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	var s boathook.Source
	var incoming []boathook.IncomingWebhook
	var outgoing []boathook.OutgoingWebhook
	var more string
	var days map[string][]boathook.AttemptCounts
	err := beside(func() (err error) {
		s, err = c.source(ctx, r, of)
		return err
	}, func() (err error) {
		if of.Kind == boathook.Deployment {
			incoming, _, err = c.cfg.Service.Incoming.List(ctx, r.caller, of.ID, boathook.Page{Limit: boathook.MaxWebhooks})
		}
		return err
	}, func() (err error) {
		outgoing, more, err = c.cfg.Service.Outgoing.List(ctx, r.caller, of, r.part())
		return err
	}, func() (err error) {
		days, err = c.lastDayEach(ctx, r, of)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	return r.page("webhooks", view{
		Title: nameOf(s), Nav: navOf(s.Kind), Crumbs: r.crumbs(s), Source: r.headOf(s, ""),
		Data: map[string]any{
			"Source": s, "Path": r.pathOf(of), "HasIncoming": s.Kind == boathook.Deployment,
			"Incoming": incoming, "Outgoing": c.outgoingRows(outgoing, days), "HasDays": days != nil,
			"About":  aboutOutgoing[s.Kind == boathook.Deployment || s.Kind == boathook.Agent],
			"Invite": "An outgoing webhook posts a signed message to your URL for each event, and tries again if the receiver is down.",
			"Pager":  r.pager(len(outgoing), plural(len(outgoing), "webhook", "webhooks"), more),
		},
	})
}

var aboutOutgoing = map[bool]string{true: "Tells other systems how runs ended", false: "Tells other systems of its events"}

// outgoingRow is an outgoing webhook in a list.
type outgoingRow struct {
	boathook.OutgoingWebhook
	Health  badge
	Spark   template.HTML
	Success string
}

func (c *Console) outgoingRows(webhooks []boathook.OutgoingWebhook, days map[string][]boathook.AttemptCounts) []outgoingRow {
	rows := make([]outgoingRow, len(webhooks))
	for i, w := range webhooks {
		rows[i] = outgoingRow{w, c.healthOf(w), spark(days[w.ID]), newChart(days[w.ID]).Success()}
	}
	return rows
}

// lastDayEach counts the attempts of the last 24 hours of each webhook of a source.
func (c *Console) lastDayEach(ctx context.Context, r *request, of service.SourceRef) (map[string][]boathook.AttemptCounts, error) {
	all, err := c.cfg.Service.Outgoing.StatsOfAll(ctx, r.caller, of, service.StatsQuery{})
	days := make(map[string][]boathook.AttemptCounts, len(all))
	for _, s := range all {
		days[s.WebhookID] = s.Counts
	}
	return days, err
}

// sendersOf says who can use an incoming webhook.
func sendersOf(w boathook.IncomingWebhook) string {
	if p := w.Verification.Preset; p != "" && p != "none" {
		return senderOf(p).Title + ", signed"
	}
	return "Any sender with the URL"
}
