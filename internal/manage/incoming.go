package manage

import (
	"context"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/preset"
	"boathook/internal/service"
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

type incomingInput struct {
	Name           string               `json:"name"`
	Environment    boathook.Environment `json:"environment"`
	WaitForStartMS *int                 `json:"wait_for_start_ms"`
	Verification   *verificationInput   `json:"verification"`
	RerunFailed    *bool                `json:"rerun_failed"`
	Filter         *filterView          `json:"filter"`
}

func (h *Handler) createIncoming(ctx context.Context, c call, in incomingInput) (incomingView, error) {
	w, token, err := h.service.Incoming.Create(ctx, c.Caller, c.PathValue("deployment"), in.Environment, service.IncomingChange{
		Name: &in.Name, WaitForStartMS: in.WaitForStartMS, Verification: in.Verification.read(), RerunFailed: in.RerunFailed, Filter: in.Filter.read(),
	})
	return viewWithURL(c, w, token), err
}

// viewWithURL shows a webhook with its URL, this once.
func viewWithURL(c call, w boathook.IncomingWebhook, token boathook.URLToken) incomingView {
	view := viewIncoming(w)
	view.URL = c.PublicURL() + "/webhooks/runs/" + token.Text
	return view
}

func (h *Handler) listIncoming(ctx context.Context, c call, _ httpjson.None) (httpjson.List[incomingView], error) {
	return httpjson.Listed(c, viewIncoming, func(p boathook.Page) ([]boathook.IncomingWebhook, string, error) {
		return h.service.Incoming.List(ctx, c.Caller, c.PathValue("deployment"), p)
	})
}

func (h *Handler) getIncoming(ctx context.Context, c call, _ httpjson.None) (incomingView, error) {
	w, err := h.service.Incoming.Get(ctx, c.Caller, c.PathValue("deployment"), c.PathValue("incoming"))
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

func (h *Handler) changeIncoming(ctx context.Context, c call, in incomingChange) (incomingView, error) {
	w, err := h.service.Incoming.Change(ctx, c.Caller, c.PathValue("deployment"), c.PathValue("incoming"), service.IncomingChange{
		Name: in.Name, Enabled: in.Enabled, WaitForStartMS: in.WaitForStartMS,
		Verification: in.Verification.read(), RerunFailed: in.RerunFailed, Filter: in.Filter.read(),
	})
	return viewIncoming(w), err
}

func (h *Handler) deleteIncoming(ctx context.Context, c call, _ httpjson.None) (httpjson.None, error) {
	return httpjson.None{}, h.service.Incoming.Delete(ctx, c.Caller, c.PathValue("deployment"), c.PathValue("incoming"))
}

func (h *Handler) rotateIncoming(ctx context.Context, c call, _ httpjson.None) (incomingView, error) {
	w, token, err := h.service.Incoming.Rotate(ctx, c.Caller, c.PathValue("deployment"), c.PathValue("incoming"))
	return viewWithURL(c, w, token), err
}
