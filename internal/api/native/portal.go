package native

import (
	"context"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// PortalSettings are described with [service.PortalSettings].
type PortalSettings interface {
	Get(ctx context.Context, c service.Caller) (boathook.PortalSettings, error)
	Change(ctx context.Context, c service.Caller, in service.PortalSettingsChange) (boathook.PortalSettings, error)
}

type portalInput struct {
	ExpiresSeconds *int `json:"expires_seconds"` // nil: [service.DefaultPortalLife]
}

type portalView struct {
	URL       string        `json:"url"` // holds the token; once
	ExpiresAt boathook.Time `json:"expires_at"`
}

// openPortal makes a link whose token is a fragment, which browsers send to no server:
// it is in no log and no Referer.
func (f face) openPortal(ctx context.Context, c httpjson.Call, in portalInput) (portalView, error) {
	token, until, err := f.Customers.Portal(ctx, c.Caller, c.PathValue("customer"), in.ExpiresSeconds)
	return portalView{c.PublicURL() + "/portal/#token=" + token, boathook.Time{Time: until}}, err
}

type portalSettingsView struct {
	Name         *string  `json:"name"`        // null: the workspace's
	Accent       *string  `json:"accent"`      // null: Boathook's own colours
	AccentDark   *string  `json:"accent_dark"` // null: it follows from the accent
	FrameOrigins []string `json:"frame_origins"`
}

func viewPortalSettings(p boathook.PortalSettings) portalSettingsView {
	return portalSettingsView{
		httpjson.Nullable(p.Name), httpjson.Nullable(p.Accent), httpjson.Nullable(p.AccentDark), append([]string{}, p.FrameOrigins...),
	}
}

type portalSettingsInput struct {
	Name         **string `json:"name"`
	Accent       **string `json:"accent"`
	AccentDark   **string `json:"accent_dark"`
	FrameOrigins []string `json:"frame_origins"`
}

func (f face) getPortalSettings(ctx context.Context, c httpjson.Call, _ httpjson.None) (portalSettingsView, error) {
	p, err := f.PortalSettings.Get(ctx, c.Caller)
	return viewPortalSettings(p), err
}

func (f face) changePortalSettings(ctx context.Context, c httpjson.Call, in portalSettingsInput) (portalSettingsView, error) {
	p, err := f.PortalSettings.Change(ctx, c.Caller, service.PortalSettingsChange(in))
	return viewPortalSettings(p), err
}
