package manage

import (
	"context"
	"slices"
	"strings"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
)

// appView is an app as Capawesome Cloud's SDKs type it. A workspace takes the part
// of an organization; channels and environments of apps there are none.
type appView struct {
	ID               string           `json:"id"`
	Name             string           `json:"name"`
	Type             boathook.AppType `json:"type"`
	OrganizationID   string           `json:"organizationId"`
	AppChannelID     *string          `json:"appChannelId"`
	AppEnvironmentID *string          `json:"appEnvironmentId"`
	CreatedAt        boathook.Time    `json:"createdAt"`
	UpdatedAt        boathook.Time    `json:"updatedAt"`
}

func viewApp(s boathook.Source) appView {
	settings := s.AppSettings()
	return appView{
		ID: s.ID, Name: s.Name, Type: settings.Type, OrganizationID: s.WorkspaceID,
		CreatedAt: boathook.Time{Time: s.CreatedAt}, UpdatedAt: boathook.Time{Time: settings.UpdatedAt},
	}
}

type appInput struct {
	httpjson.Found
	Name *string           `json:"name"`
	Type *boathook.AppType `json:"type"`
}

// applyApp changes an app, or tells all that is wrong with the change.
func (h *Handler) applyApp(in appInput, s *boathook.Source) error {
	all := in.Issues
	settings := s.AppSettings()
	if in.Name != nil {
		if err := all.Take(checkName(*in.Name)); err != nil {
			return err
		}
		s.Name = *in.Name
	}
	if in.Type != nil {
		if !in.Type.Valid() {
			all.Add("must be one of "+oneOf(boathook.AppTypes), "type")
		}
		settings.Type = *in.Type
	}
	settings.UpdatedAt = h.cfg.Now()
	s.App = &settings
	return all.Or()
}

// inOrganization reports whether a request is for the organization that the caller's
// workspace stands for: by its id, or by naming none.
func inOrganization(c call) bool {
	id := c.URL.Query().Get("organizationId")
	return id == "" || id == c.Workspace
}

func (h *Handler) createApp(ctx context.Context, c call, in appInput) (appView, error) {
	if !inOrganization(c) {
		return appView{}, boathook.Errorf(boathook.NotFound, "Organization not found.")
	}
	if in.Name == nil && !in.Issues.About("name") {
		in.Issues.Add("is required", "name")
	}
	s := boathook.Source{ID: boathook.NewID(boathook.AppID), WorkspaceID: c.Workspace, Kind: boathook.App, CreatedAt: h.cfg.Now()}
	if err := h.applyApp(in, &s); err != nil {
		return appView{}, err
	}
	return viewApp(s), h.cfg.Store.PutSource(ctx, s)
}

func (h *Handler) getApp(ctx context.Context, c call, _ httpjson.None) (appView, error) {
	s, err := h.app(ctx, c)
	if err != nil {
		return appView{}, err
	}
	return viewApp(s), nil
}

func (h *Handler) changeApp(ctx context.Context, c call, in appInput) (appView, error) {
	s, err := h.app(ctx, c)
	if err != nil {
		return appView{}, err
	}
	if err := h.applyApp(in, &s); err != nil {
		return appView{}, err
	}
	return viewApp(s), h.cfg.Store.PutSource(ctx, s)
}

func (h *Handler) deleteApp(ctx context.Context, c call, _ httpjson.None) (httpjson.None, error) {
	return httpjson.None{}, called("App", h.deleteSource(ctx, c, boathook.App, boathook.AppID, c.PathValue("app")))
}

// appsPage is how many apps are read at once to find those of a window: as many as
// about fit one answer of the database, so that the farthest window takes few.
const appsPage = 2000

// listApps reads the workspace's apps from the first on: the store's lists have no
// offsets. relations, which asks for what belongs to an app, adds nothing, since
// none of it is here.
func (h *Handler) listApps(ctx context.Context, c call, _ httpjson.None) ([]appView, error) {
	offset, limit, err := window(c)
	if err != nil || !inOrganization(c) {
		return []appView{}, err
	}
	name, query := c.URL.Query().Get("name"), strings.ToLower(c.URL.Query().Get("query"))
	views := []appView{}
	for cursor := ""; ; {
		apps, next, err := h.cfg.Store.Sources(ctx, c.Workspace, boathook.App, boathook.Page{Limit: appsPage, Cursor: cursor})
		if err != nil {
			return nil, err
		}
		apps = slices.DeleteFunc(apps, func(s boathook.Source) bool {
			return name != "" && s.Name != name || !strings.Contains(strings.ToLower(s.Name), query)
		})
		for _, s := range apps[min(offset, len(apps)):] {
			if len(views) == limit {
				return views, nil
			}
			views = append(views, viewApp(s))
		}
		offset = max(0, offset-len(apps))
		if next == "" || len(views) == limit {
			return views, nil
		}
		cursor = next
	}
}

// appUserView is a user of Capawesome Cloud. Here it is the API token that calls:
// there are no users, and so it has no e-mail address.
type appUserView struct {
	ID               string        `json:"id"`
	Email            string        `json:"email"`
	EmailVerified    bool          `json:"emailVerified"`
	Name             string        `json:"name"`
	Image            *string       `json:"image"`
	TwoFactorEnabled bool          `json:"twoFactorEnabled"`
	LastSeenAt       boathook.Time `json:"lastSeenAt"`
	CreatedAt        boathook.Time `json:"createdAt"`
	UpdatedAt        boathook.Time `json:"updatedAt"`
}

// stackUserID is the id of the stack's own admin token, which is not stored.
const stackUserID = "stack"

func (h *Handler) appUser(ctx context.Context, c call, _ httpjson.None) (appUserView, error) {
	view := appUserView{ID: stackUserID, Name: "The stack's admin token", LastSeenAt: boathook.Time{Time: h.cfg.Now()}}
	if c.Stack {
		w, err := h.cfg.Store.Workspace(ctx, c.Workspace)
		view.CreatedAt, view.UpdatedAt = boathook.Time{Time: w.CreatedAt}, boathook.Time{Time: w.CreatedAt}
		return view, err
	}
	t, err := h.cfg.Store.Token(ctx, c.Workspace, c.TokenID)
	view.ID, view.Name = t.ID, t.Name
	view.CreatedAt, view.UpdatedAt = boathook.Time{Time: t.CreatedAt}, boathook.Time{Time: t.CreatedAt}
	return view, err
}
