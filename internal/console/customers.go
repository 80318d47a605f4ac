package console

import (
	"context"
	"maps"
	"slices"
	"strings"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// customerSettings are how a customer is set up.
var customerSettings = changes{
	change: "Customers.Change", remove: "Customers.Delete",
	save: func(ctx context.Context, s *service.Service, c service.Caller, of service.SourceRef, f form) error {
		name, external := strings.TrimSpace(f.Value("name")), strings.TrimSpace(f.Value("external_id"))
		in := service.CustomerChange{Name: &name, ExternalID: new(*string)}
		if external != "" {
			in.ExternalID = new(&external)
		}
		var err error
		if in.Metadata, err = pairsOf("metadata", f.Value("metadata"), "plan: team"); err != nil {
			return err
		}
		_, err = s.Customers.Change(ctx, c, of.ID, in)
		return err
	},
	erase: func(ctx context.Context, s *service.Service, c service.Caller, of service.SourceRef) error {
		return s.Customers.Delete(ctx, c, of.ID)
	},
}

// formOfCustomer adds what a customer has been set to.
func formOfCustomer(f form, c boathook.CustomerSettings) {
	f.set("external_id", c.ExternalID)
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(c.Metadata)) {
		lines = append(lines, name+": "+c.Metadata[name])
	}
	f.set("metadata", strings.Join(lines, "\n"))
}

// lives are how long a link to a portal can be good.
var lives = []option{{"3600", "An hour", ""}, {"86400", "A day", ""}, {"604800", "A week", ""}}

// askPortal asks for how long a link to a customer's portal is to be good.
func (c *Console) askPortal(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	if err := r.caller.May("Customers.Portal"); err != nil {
		return answer{}, err
	}
	s, err := c.source(ctx, r, of)
	if err != nil {
		return answer{}, err
	}
	return r.page("portal-link", portalView(r, s, map[string]any{"Lives": lives}))
}

func portalView(r *request, s boathook.Source, data map[string]any) view {
	data["Source"], data["Path"] = s, r.pathOf(refOf(s))
	return view{Title: "Portal of " + s.Name, Nav: "customers", Crumbs: r.below(s), Data: data}
}

// makePortal makes a link to a customer's portal, and shows it once.
func (c *Console) makePortal(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	s, err := c.source(ctx, r, of)
	if err != nil {
		return answer{}, err
	}
	seconds, err := numberOf(formOf(r.PostForm), "expires_seconds")
	var token string
	data := map[string]any{"Lives": lives}
	if err == nil {
		token, data["Until"], err = c.cfg.Service.Customers.Portal(ctx, r.caller, of.ID, seconds)
	}
	if err != nil {
		return r.invalid("portal-link", portalView(r, s, data), err)
	}
	data["Link"] = httpjson.PublicURL(r.Request, c.cfg.PublicURL) + portalBase + "/#token=" + token
	return r.page("portal-link", portalView(r, s, data))
}

// portalSettings shows how customers' portals look.
func (c *Console) portalSettings(ctx context.Context, r *request) (answer, error) {
	p, err := c.cfg.Service.PortalSettings.Get(ctx, r.caller)
	if err != nil {
		return answer{}, err
	}
	f := form{}
	f.set("name", p.Name)
	f.set("accent", p.Accent)
	f.set("accent_dark", p.AccentDark)
	f.set("frame_origins", strings.Join(p.FrameOrigins, "\n"))
	return r.page("portal-settings", portalSettingsView(r, f))
}

func portalSettingsView(r *request, f form) view {
	return view{
		Title: "Portal settings", Nav: "customers", Crumbs: []link{{"Customers", "/console/customers"}}, Form: f,
		Data: map[string]any{"May": r.caller.May("PortalSettings.Change") == nil, "Workspace": r.session.Workspace},
	}
}

// savePortalSettings changes how customers' portals look.
func (c *Console) savePortalSettings(ctx context.Context, r *request) (answer, error) {
	f := formOf(r.PostForm)
	optional := func(name string) **string {
		text := strings.TrimSpace(f.Value(name))
		if text == "" {
			return new(*string)
		}
		return new(&text)
	}
	in := service.PortalSettingsChange{
		Name: optional("name"), Accent: optional("accent"), AccentDark: optional("accent_dark"), FrameOrigins: append([]string{}, strings.Fields(f.Value("frame_origins"))...),
	}
	if _, err := c.cfg.Service.PortalSettings.Change(ctx, r.caller, in); err != nil {
		return r.invalid("portal-settings", portalSettingsView(r, f), err)
	}
	return r.redirect("/console/portal-settings", "The portals look like this from now on")
}
