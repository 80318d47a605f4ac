package manage

import (
	"context"
	"net"
	"net/netip"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/preset"
)

type incomingView struct {
	ID             string               `json:"id"`
	DeploymentID   string               `json:"deployment_id"`
	Name           string               `json:"name"`
	Environment    boathook.Environment `json:"environment"`
	Enabled        bool                 `json:"enabled"`
	WaitForStartMS int64                `json:"wait_for_start_ms"`
	Verification   verificationView     `json:"verification"`
	RerunFailed    bool                 `json:"rerun_failed"`
	Filter         *filterView          `json:"filter"`
	CreatedAt      boathook.Time        `json:"created_at"`
	UpdatedAt      boathook.Time        `json:"updated_at"`
	URL            string               `json:"url,omitempty"` // holds the token; once
}

func viewIncoming(w boathook.IncomingWebhook) incomingView {
	return incomingView{
		ID: w.ID, DeploymentID: w.SourceID, Name: w.Name, Environment: w.Environment, Enabled: w.Enabled,
		WaitForStartMS: w.WaitForStart.Milliseconds(),
		Verification:   viewVerification(w.Verification), RerunFailed: preset.RerunsFailed(w), Filter: viewFilter(w.Filter),
		CreatedAt: boathook.Time{Time: w.CreatedAt}, UpdatedAt: boathook.Time{Time: w.UpdatedAt},
	}
}

// incoming is the webhook that the path names.
func (h *Handler) incoming(ctx context.Context, c call) (boathook.IncomingWebhook, error) {
	var w boathook.IncomingWebhook
	err := beside(func() error {
		_, err := h.deployment(ctx, c)
		return err
	}, func() (err error) {
		w, err = h.cfg.Store.Incoming(ctx, c.PathValue("deployment"), c.PathValue("incoming"))
		return missing("incoming webhook", c.PathValue("incoming"), err)
	})
	return w, err
}

type incomingInput struct {
	Name           string               `json:"name"`
	Environment    boathook.Environment `json:"environment"`
	WaitForStartMS *int                 `json:"wait_for_start_ms"`
	Verification   *verificationInput   `json:"verification"`
	RerunFailed    *bool                `json:"rerun_failed"`
	Filter         *filterView          `json:"filter"`
}

func (h *Handler) createIncoming(ctx context.Context, c call, in incomingInput) (incomingView, error) {
	s, err := h.deployment(ctx, c)
	if err != nil {
		return incomingView{}, err
	}
	if err := checkEnvironment(in.Environment); err != nil {
		return incomingView{}, err
	}
	w := boathook.IncomingWebhook{
		ID: boathook.NewID(boathook.IncomingID), WorkspaceID: s.WorkspaceID, SourceID: s.ID,
		Environment: in.Environment, Enabled: true, WaitForStart: boathook.DefaultWaitForStart, CreatedAt: h.cfg.Now(),
	}
	change := incomingChange{Name: &in.Name, WaitForStartMS: in.WaitForStartMS, Verification: in.Verification, RerunFailed: in.RerunFailed, Filter: in.Filter}
	if err := h.applyIncoming(ctx, change, &w); err != nil {
		return incomingView{}, err
	}
	others, err := h.cfg.Store.AllIncoming(ctx, s.ID)
	if err != nil {
		return incomingView{}, err
	}
	if len(others) >= boathook.MaxWebhooks {
		return incomingView{}, boathook.Errorf(boathook.Invalid, "a deployment has at most %d incoming webhooks", boathook.MaxWebhooks)
	}
	return h.putWithNewURL(ctx, c, w)
}

// putWithNewURL gives a webhook a new token, stores it, and shows it with its
// URL. The URL that it had stops working.
func (h *Handler) putWithNewURL(ctx context.Context, c call, w boathook.IncomingWebhook) (incomingView, error) {
	token := boathook.NewURLToken(w.SourceID, w.ID)
	w.TokenHash = token.Hash()
	w.UpdatedAt = h.cfg.Now()
	view := viewIncoming(w)
	view.URL = h.publicURL(c) + "/webhooks/runs/" + token.Text
	return view, h.cfg.Store.PutIncoming(ctx, w)
}

// publicURL is the configured one, or where the request came to. Only on AWS may
// none be configured: there package httpapi takes the host from API Gateway's own
// requestContext.domainName. A server of one's own would repeat any Host that a
// client sends.
func (h *Handler) publicURL(c call) string {
	if h.cfg.PublicURL != "" {
		return h.cfg.PublicURL
	}
	// By https, unless it came to this machine.
	host, _, err := net.SplitHostPort(c.Host)
	if err != nil {
		host = c.Host // without a port
	}
	if ip, err := netip.ParseAddr(host); host == "localhost" || err == nil && ip.IsLoopback() {
		return "http://" + c.Host
	}
	return "https://" + c.Host
}

func (h *Handler) listIncoming(ctx context.Context, c call, _ none) (list[incomingView], error) {
	s, err := h.deployment(ctx, c)
	if err != nil {
		return list[incomingView]{}, err
	}
	p, err := c.page()
	if err != nil {
		return list[incomingView]{}, err
	}
	all, err := h.cfg.Store.AllIncoming(ctx, s.ID)
	if err != nil {
		return list[incomingView]{}, err
	}
	page, next, err := cut(all, p, func(w boathook.IncomingWebhook) place { return place{w.CreatedAt, w.ID} })
	return viewList(page, next, viewIncoming), err
}

func (h *Handler) getIncoming(ctx context.Context, c call, _ none) (incomingView, error) {
	w, err := h.incoming(ctx, c)
	return viewIncoming(w), err
}

// incomingChange has the fields that can change; nil leaves one as it is.
type incomingChange struct {
	Name           *string            `json:"name"`
	Enabled        *bool              `json:"enabled"`
	WaitForStartMS *int               `json:"wait_for_start_ms"`
	Verification   *verificationInput `json:"verification"` // {"preset":"none"} ends it
	RerunFailed    *bool              `json:"rerun_failed"`
	Filter         *filterView        `json:"filter"` // {} ends it
}

func (h *Handler) applyIncoming(ctx context.Context, in incomingChange, w *boathook.IncomingWebhook) error {
	if in.Name != nil {
		if err := checkName(*in.Name); err != nil {
			return err
		}
		w.Name = *in.Name
	}
	if in.Enabled != nil {
		w.Enabled = *in.Enabled
	}
	if in.WaitForStartMS != nil {
		const limit = int(boathook.MaxWaitForStart / time.Millisecond)
		if *in.WaitForStartMS < 0 || *in.WaitForStartMS > limit {
			return boathook.InvalidField("wait_for_start_ms", "must be from 0 to %d", limit)
		}
		w.WaitForStart = time.Duration(*in.WaitForStartMS) * time.Millisecond
	}
	if in.Filter != nil {
		w.Filter = boathook.Filter{Events: in.Filter.Events, Pointer: in.Filter.Pointer, Equals: in.Filter.Equals}
		if err := w.Filter.Check(); err != nil {
			return err
		}
	}
	if in.RerunFailed != nil {
		w.RerunFailed = in.RerunFailed
	}
	if in.Verification != nil {
		v, err := h.sealVerification(ctx, *in.Verification, verifiedWebhook(*w))
		if err != nil {
			return err
		}
		w.Verification = v
	}
	return nil
}

func (h *Handler) changeIncoming(ctx context.Context, c call, in incomingChange) (incomingView, error) {
	w, err := h.incoming(ctx, c)
	if err != nil {
		return incomingView{}, err
	}
	if err := h.applyIncoming(ctx, in, &w); err != nil {
		return incomingView{}, err
	}
	w.UpdatedAt = h.cfg.Now()
	return viewIncoming(w), h.cfg.Store.PutIncoming(ctx, w)
}

func (h *Handler) deleteIncoming(ctx context.Context, c call, _ none) (none, error) {
	s, err := h.deployment(ctx, c)
	if err != nil {
		return none{}, err
	}
	return none{}, missing("incoming webhook", c.PathValue("incoming"), h.cfg.Store.DeleteIncoming(ctx, s.ID, c.PathValue("incoming")))
}

func (h *Handler) rotateIncoming(ctx context.Context, c call, _ none) (incomingView, error) {
	w, err := h.incoming(ctx, c)
	if err != nil {
		return incomingView{}, err
	}
	return h.putWithNewURL(ctx, c, w)
}
