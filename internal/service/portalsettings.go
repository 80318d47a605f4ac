package service

import (
	"cmp"
	"context"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"boathook/internal/boathook"
	"boathook/internal/palette"
)

// PortalSettings are how the portals of the workspace's customers look, and where they
// may be embedded.
type PortalSettings struct{ *core }

// PortalSettingsChange has what the settings can be set to; nil leaves a field as it is.
type PortalSettingsChange struct {
	Name         **string // nil in it: the workspace's name
	Accent       **string // nil in it: Boathook's own colours
	AccentDark   **string // nil in it: it follows from the accent
	FrameOrigins []string // the whole of them
}

// Get gives the settings.
func (k PortalSettings) Get(ctx context.Context, c Caller) (boathook.PortalSettings, error) {
	if err := c.May("PortalSettings.Get"); err != nil {
		return boathook.PortalSettings{}, err
	}
	w, err := k.cfg.Store.Workspace(ctx, c.Workspace)
	return w.Portal, err
}

// Change sets what is given. Of two changes at once, the last one's settings stay.
func (k PortalSettings) Change(ctx context.Context, c Caller, in PortalSettingsChange) (boathook.PortalSettings, error) {
	if err := c.May("PortalSettings.Change"); err != nil {
		return boathook.PortalSettings{}, err
	}
	w, err := k.cfg.Store.Workspace(ctx, c.Workspace)
	if err != nil {
		return boathook.PortalSettings{}, err
	}
	p, err := in.apply(w.Portal)
	if err != nil {
		return boathook.PortalSettings{}, err
	}
	return p, k.cfg.Store.PutPortal(ctx, c.Workspace, p)
}

func (in PortalSettingsChange) apply(p boathook.PortalSettings) (boathook.PortalSettings, error) {
	for _, f := range []struct{ from, to **string }{{in.Name, new(&p.Name)}, {in.Accent, new(&p.Accent)}, {in.AccentDark, new(&p.AccentDark)}} {
		if f.from != nil {
			**f.to = *cmp.Or(*f.from, new(string))
		}
	}
	if in.Name != nil && *in.Name != nil {
		if err := checkName(p.Name); err != nil {
			return p, err
		}
	}
	switch {
	case given(in.Accent) || given(in.AccentDark) || p.Accent != "":
		p.Accent, p.AccentDark = strings.ToLower(p.Accent), strings.ToLower(p.AccentDark)
		if _, err := palette.New(p.Accent, p.AccentDark); err != nil {
			return p, err
		}
	case p.AccentDark != "":
		p.AccentDark = "" // the accent that it went with is taken away
	}
	if in.FrameOrigins != nil {
		var err error
		if p.FrameOrigins, err = readOrigins(in.FrameOrigins); err != nil {
			return p, err
		}
	}
	return p, nil
}

// given reports whether a change sets a field to something.
func given(field **string) bool { return field != nil && *field != nil }

// readOrigins gives origins as browsers write them, each once.
func readOrigins(texts []string) (origins []string, err error) {
	const field = "frame_origins"
	if len(texts) > boathook.MaxFrameOrigins {
		return nil, boathook.InvalidField(field, "must have at most %d origins", boathook.MaxFrameOrigins)
	}
	for _, text := range texts {
		o, ok := readOrigin(text)
		if !ok {
			return nil, boathook.InvalidField(field, "%q is not the origin of a page, as https://app.example.com: by https, with a host and perhaps a port, and nothing else",
				boathook.Shorten(text, 100))
		}
		if !slices.Contains(origins, o) {
			origins = append(origins, o)
		}
	}
	return origins, nil
}

// hostOfOrigin is a host's name or IPv4 address, and perhaps a port: nothing that ends a
// source in a Content-Security-Policy, which has no others.
var hostOfOrigin = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:[0-9]{1,5})?$`)

const maxOrigin = 300 // bytes: a host has up to 253

// readOrigin is an origin as browsers write it. By http only this machine's are taken,
// for trying it out.
func readOrigin(text string) (string, bool) {
	text = strings.TrimSuffix(strings.ToLower(strings.TrimSpace(text)), "/")
	u, err := url.Parse(text)
	if err != nil || len(text) > maxOrigin || text != u.Scheme+"://"+u.Host || !hostOfOrigin.MatchString(u.Host) {
		return "", false
	}
	switch host := u.Hostname(); {
	case u.Scheme == "https":
		return strings.TrimSuffix(text, ":443"), true
	case u.Scheme == "http" && (host == "localhost" || host == "127.0.0.1"):
		return strings.TrimSuffix(text, ":80"), true
	}
	return "", false
}
