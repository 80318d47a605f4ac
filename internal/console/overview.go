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
	const shown = 8
	var (
		stats  service.Stats
		last   []boathook.Delivery
		missed missed
		runs   []boathook.RunHead
	)
	ctx, wait := c.readNames(ctx, r)
	defer wait()
	var told []boathook.Delivery // of the runs, so that their sources have names too
	err := beside(
		func() (err error) {
			stats, err = c.cfg.Service.Deliveries.Stats(ctx, r.caller, service.StatsQuery{})
			return err
		},
		func() (err error) {
			last, _, err = c.cfg.Service.Deliveries.All(ctx, r.caller, service.DeliverySearch{}, boathook.Page{Limit: shown})
			return err
		},
		func() (err error) {
			missed, err = c.missed(ctx, r)
			return err
		},
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
	found, err := c.names(ctx, r, slices.Concat(last, missed.failed, missed.retrying, told))
	if err != nil {
		return answer{}, err
	}
	list := listed{deliveries: last, names: allNames(found)}
	drawn := newChart(stats.Counts)
	drawn.Poll = r.URL.Path
	return r.page("overview", view{Title: "Overview", Nav: "overview", Data: map[string]any{
		"Chart": drawn, "Rows": list.rows(r, true), "Runs": c.runRows(runs, list.names),
		"Troubles": troubles(r, found, list.names, missed),
	}})
}

// missed are the last day's deliveries that were not taken.
type missed struct {
	failed, retrying []boathook.Delivery
	more             bool // there may be more than were looked at
}

// missed looks at the newest of the deliveries that were not taken.
func (c *Console) missed(ctx context.Context, r *request) (m missed, err error) {
	const looked = 50
	day := c.cfg.Now().Add(-24 * time.Hour)
	var more, wait string
	err = beside(func() (err error) {
		m.failed, more, err = c.cfg.Service.Deliveries.All(ctx, r.caller, service.DeliverySearch{Status: boathook.DeliveryFailed, Since: day}, boathook.Page{Limit: looked})
		return err
	}, func() (err error) {
		m.retrying, wait, err = c.cfg.Service.Deliveries.All(ctx, r.caller, service.DeliverySearch{Status: boathook.DeliveryRetrying, Since: day}, boathook.Page{Limit: looked})
		return err
	})
	m.more = more+wait != ""
	return m, err
}

// troubles are the webhooks of deliveries that were not taken, the worst first.
func troubles(r *request, found service.Names, names map[string]string, missed missed) []trouble {
	byWebhook := make(map[string]*trouble)
	var order []string
	for _, d := range slices.Concat(missed.failed, missed.retrying) {
		t := byWebhook[d.WebhookID]
		if t == nil {
			name, ok := names[d.WebhookID]
			if !ok {
				continue // deleted
			}
			t = &trouble{Name: name, Source: names[d.SourceID], More: missed.more, Path: "/console/deliveries?webhook=" + d.WebhookID}
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
