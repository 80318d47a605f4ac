package console

import (
	"context"

	"boathook/internal/boathook"
	"boathook/internal/service"
)

// webhooks lists a source's webhooks.
func (c *Console) webhooks(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	var s boathook.Source
	var incoming []boathook.IncomingWebhook
	var outgoing []boathook.OutgoingWebhook
	var more string
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
	})
	if err != nil {
		return answer{}, err
	}
	return r.page("webhooks", view{
		Title: nameOf(s), Nav: navOf(s.Kind), Crumbs: crumbs(s), Source: headOf(s, ""),
		Data: map[string]any{
			"Source": s, "Path": pathOf(of), "HasIncoming": s.Kind == boathook.Deployment,
			"Incoming": incoming, "Outgoing": outgoing,
			"Pager": r.pager(len(outgoing), plural(len(outgoing), "webhook", "webhooks"), more),
		},
	})
}
