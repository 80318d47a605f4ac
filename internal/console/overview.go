package console

import (
	"cmp"
	"context"
	"slices"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/service"
)

// trouble is a webhook that needs a look: what of its last deliveries was not taken.
type trouble struct {
	Name, Source, Path string
	Failed, Retrying   int
	More               bool   // there may be more than were looked at
	Why                string // of the last
}

// Badge says how bad it is.
func (t trouble) Badge() badge {
	if t.Failed > 0 {
		return badge{"s-bad", "warn", countOf(t.Failed, t.More) + " failed"}
	}
	return badge{"s-warn", "retry", countOf(t.Retrying, t.More) + " retrying"}
}

func countOf(n int, more bool) string {
	if more {
		return number(n) + "+"
	}
	return number(n)
}

// overview is the first page: how the last day was, what needs a look, and what came last.
func (c *Console) overview(ctx context.Context, r *request) (answer, error) {
	const shown, looked = 8, 50
	day := c.cfg.Now().Add(-24 * time.Hour)
	var (
		stats                  service.Stats
		last, failed, retrying []boathook.Delivery
		moreFailed, moreWait   string
		runs                   []boathook.RunHead
	)
	all := func(into *[]boathook.Delivery, next *string, in service.DeliverySearch, limit int) func() error {
		return func() (err error) {
			*into, *next, err = c.cfg.Service.Deliveries.All(ctx, r.caller, in, boathook.Page{Limit: limit})
			return err
		}
	}
	var ignored string
	ctx, wait := c.readNames(ctx, r)
	defer wait()
	var told []boathook.Delivery // of the runs, so that their sources have names too
	err := beside(
		func() (err error) {
			stats, err = c.cfg.Service.Deliveries.Stats(ctx, r.caller, service.StatsQuery{})
			return err
		},
		all(&last, &ignored, service.DeliverySearch{}, shown),
		all(&failed, &moreFailed, service.DeliverySearch{Status: boathook.DeliveryFailed, Since: day}, looked),
		all(&retrying, &moreWait, service.DeliverySearch{Status: boathook.DeliveryRetrying, Since: day}, looked),
		func() (err error) {
			runs, _, err = c.cfg.Service.Runs.Heads(ctx, r.caller, service.RunFilter{}, boathook.Page{Limit: shown})
			for _, run := range runs {
				told = append(told, boathook.Delivery{SourceID: run.SourceID})
			}
			if err == nil {
				_, err = c.names(ctx, r, told)
			}
			return err
		},
	)
	if err != nil {
		return answer{}, err
	}
	found, err := c.names(ctx, r, slices.Concat(last, failed, retrying, told))
	if err != nil {
		return answer{}, err
	}
	list := listed{deliveries: last, names: allNames(found)}
	drawn := newChart(stats.Counts)
	drawn.Poll = r.URL.Path
	return r.page("overview", view{Title: "Overview", Nav: "overview", Data: map[string]any{
		"Chart": drawn, "Rows": list.rows(r, true), "Runs": c.runRows(runs, list.names),
		"Troubles": troubles(r, found, list.names, failed, retrying, moreFailed+moreWait != ""),
	}})
}

// troubles are the webhooks of deliveries that were not taken, the worst first.
func troubles(r *request, found service.Names, names map[string]string, failed, retrying []boathook.Delivery, more bool) []trouble {
	byWebhook := make(map[string]*trouble)
	var order []string
	for _, d := range slices.Concat(failed, retrying) {
		t := byWebhook[d.WebhookID]
		if t == nil {
			name, ok := names[d.WebhookID]
			if !ok {
				continue // deleted
			}
			t = &trouble{Name: name, Source: names[d.SourceID], More: more, Path: "/console/deliveries?webhook=" + d.WebhookID}
			if s, ok := found.Sources[d.SourceID]; ok {
				t.Path = r.pathOf(refOf(s)) + "/outgoing/" + d.WebhookID
			}
			byWebhook[d.WebhookID] = t
			order = append(order, d.WebhookID)
		}
		if d.Status == boathook.DeliveryFailed {
			t.Failed++
		} else {
			t.Retrying++
		}
		t.Why = cmp.Or(t.Why, d.Last.Error)
	}
	list := make([]trouble, len(order))
	for i, id := range order {
		list[i] = *byWebhook[id]
	}
	slices.SortStableFunc(list, func(a, b trouble) int {
		return cmp.Or(cmp.Compare(b.Failed, a.Failed), cmp.Compare(b.Retrying, a.Retrying))
	})
	return list
}
