package native

import (
	"context"
	"time"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/preset"
	"boathook/internal/service"
)

// Incoming are described with [service.Incoming].
type Incoming interface {
	Create(ctx context.Context, c service.Caller, deploymentID string, env boathook.Environment, in service.IncomingChange) (w boathook.IncomingWebhook, token boathook.URLToken, err error)
	List(ctx context.Context, c service.Caller, deploymentID string, p boathook.Page) (webhooks []boathook.IncomingWebhook, next string, err error)
	Get(ctx context.Context, c service.Caller, deploymentID, id string) (boathook.IncomingWebhook, error)
	Change(ctx context.Context, c service.Caller, deploymentID, id string, in service.IncomingChange) (boathook.IncomingWebhook, error)
	Delete(ctx context.Context, c service.Caller, deploymentID, id string) error
	Rotate(ctx context.Context, c service.Caller, deploymentID, id string) (w boathook.IncomingWebhook, token boathook.URLToken, err error)
	URL(ctx context.Context, c service.Caller, deploymentID, id string) (boathook.URLToken, error)
	Requests(ctx context.Context, c service.Caller, deploymentID, id string, outcome boathook.RequestOutcome, p boathook.Page) (requests []boathook.Request, next string, err error)
}

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
	Coalesce       *coalesceView        `json:"coalesce"` // nil: each trigger starts a run
	CreatedAt      boathook.Time        `json:"created_at"`
	UpdatedAt      boathook.Time        `json:"updated_at"`
	URL            string               `json:"url,omitempty"` // holds the token; of a new one
}

func viewIncoming(w boathook.IncomingWebhook) incomingView {
	return incomingView{
		ID: w.ID, DeploymentID: w.SourceID, Name: w.Name, Environment: w.Environment, Enabled: w.Enabled,
		WaitForStartMS: w.WaitForStart.Milliseconds(),
		Verification:   viewVerification(w.Verification), RerunFailed: preset.RerunsFailed(w), Filter: viewFilter(w.Filter), Coalesce: viewCoalesce(w.Coalesce),
		CreatedAt: boathook.Time{Time: w.CreatedAt}, UpdatedAt: boathook.Time{Time: w.UpdatedAt},
	}
}

type coalesceView struct {
	Key            string `json:"key"`
	QuietSeconds   *int   `json:"quiet_seconds"`
	MaxWaitSeconds *int   `json:"max_wait_seconds"`
}

func viewCoalesce(c boathook.Coalescing) *coalesceView {
	if c.IsZero() {
		return nil
	}
	return &coalesceView{c.Key, new(int(c.Quiet / time.Second)), new(int(c.MaxWait / time.Second))}
}

// read gives what is asked for; nil asks for no change.
func (v *coalesceView) read() *service.Coalesce {
	return (*service.Coalesce)(v)
}

type incomingInput struct {
	Name           string               `json:"name"`
	Environment    boathook.Environment `json:"environment"`
	WaitForStartMS *int                 `json:"wait_for_start_ms"`
	Verification   *verificationInput   `json:"verification"`
	RerunFailed    *bool                `json:"rerun_failed"`
	Filter         *filterView          `json:"filter"`
	Coalesce       *coalesceView        `json:"coalesce"`
}

func (f face) createIncoming(ctx context.Context, c httpjson.Call, in incomingInput) (incomingView, error) {
	w, token, err := f.Incoming.Create(ctx, c.Caller, c.PathValue("deployment"), in.Environment, service.IncomingChange{
		Name: &in.Name, WaitForStartMS: in.WaitForStartMS, Verification: in.Verification.read(), RerunFailed: in.RerunFailed, Filter: in.Filter.read(),
		Coalesce: in.Coalesce.read(),
	})
	return viewWithURL(c, w, token), err
}

// viewWithURL shows a webhook with its new URL.
func viewWithURL(c httpjson.Call, w boathook.IncomingWebhook, token boathook.URLToken) incomingView {
	view := viewIncoming(w)
	view.URL = triggerURL(c, token)
	return view
}

func triggerURL(c httpjson.Call, token boathook.URLToken) string {
	return c.PublicURL() + "/webhooks/runs/" + token.Text
}

type shownURL struct {
	URL string `json:"url"`
}

func (f face) showURL(ctx context.Context, c httpjson.Call, _ httpjson.None) (shownURL, error) {
	token, err := f.Incoming.URL(ctx, c.Caller, c.PathValue("deployment"), c.PathValue("incoming"))
	return shownURL{triggerURL(c, token)}, err
}

func (f face) listIncoming(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.List[incomingView], error) {
	return httpjson.Listed(c, viewIncoming, func(p boathook.Page) ([]boathook.IncomingWebhook, string, error) {
		return f.Incoming.List(ctx, c.Caller, c.PathValue("deployment"), p)
	})
}

func (f face) getIncoming(ctx context.Context, c httpjson.Call, _ httpjson.None) (incomingView, error) {
	w, err := f.Incoming.Get(ctx, c.Caller, c.PathValue("deployment"), c.PathValue("incoming"))
	return viewIncoming(w), err
}

// incomingChange has the fields that can change; nil leaves one as it is.
type incomingChange struct {
	Name           *string            `json:"name"`
	Enabled        *bool              `json:"enabled"`
	WaitForStartMS *int               `json:"wait_for_start_ms"`
	Verification   *verificationInput `json:"verification"` // {"preset":"none"} ends it
	RerunFailed    *bool              `json:"rerun_failed"`
	Filter         *filterView        `json:"filter"`   // {} ends it
	Coalesce       *coalesceView      `json:"coalesce"` // {} ends it
}

func (f face) changeIncoming(ctx context.Context, c httpjson.Call, in incomingChange) (incomingView, error) {
	w, err := f.Incoming.Change(ctx, c.Caller, c.PathValue("deployment"), c.PathValue("incoming"), service.IncomingChange{
		Name: in.Name, Enabled: in.Enabled, WaitForStartMS: in.WaitForStartMS,
		Verification: in.Verification.read(), RerunFailed: in.RerunFailed, Filter: in.Filter.read(), Coalesce: in.Coalesce.read(),
	})
	return viewIncoming(w), err
}

func (f face) deleteIncoming(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.None, error) {
	return httpjson.None{}, f.Incoming.Delete(ctx, c.Caller, c.PathValue("deployment"), c.PathValue("incoming"))
}

func (f face) rotateIncoming(ctx context.Context, c httpjson.Call, _ httpjson.None) (incomingView, error) {
	w, token, err := f.Incoming.Rotate(ctx, c.Caller, c.PathValue("deployment"), c.PathValue("incoming"))
	return viewWithURL(c, w, token), err
}
