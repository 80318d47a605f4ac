package capawesome

import (
	"cmp"
	"context"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
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

func (in appInput) read() service.AppChange {
	return service.AppChange{Name: in.Name, Type: in.Type, Issues: in.Issues}
}

// inOrganization reports whether a request is for the organization that the caller's
// workspace stands for: by its id, or by naming none.
func inOrganization(c httpjson.Call) bool {
	id := c.URL.Query().Get("organizationId")
	return id == "" || id == c.Workspace
}

func (f face) createApp(ctx context.Context, c httpjson.Call, in appInput) (appView, error) {
	if !inOrganization(c) {
		return appView{}, notFound("Organization")
	}
	s, err := f.Apps.Create(ctx, c.Caller, in.read())
	return viewApp(s), err
}

func (f face) getApp(ctx context.Context, c httpjson.Call, _ httpjson.None) (appView, error) {
	s, err := f.Apps.Get(ctx, c.Caller, c.PathValue("app"))
	return viewApp(s), err
}

func (f face) changeApp(ctx context.Context, c httpjson.Call, in appInput) (appView, error) {
	s, err := f.Apps.Change(ctx, c.Caller, c.PathValue("app"), in.read())
	return viewApp(s), err
}

func (f face) deleteApp(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.None, error) {
	return httpjson.None{}, f.Apps.Delete(ctx, c.Caller, c.PathValue("app"))
}

// listApps takes relations, which asks for what belongs to an app, and adds nothing,
// since none of it is here.
func (f face) listApps(ctx context.Context, c httpjson.Call, _ httpjson.None) ([]appView, error) {
	offset, limit, err := window(c)
	if err != nil || !inOrganization(c) {
		return []appView{}, err
	}
	query := c.URL.Query()
	apps, err := f.Apps.List(ctx, c.Caller, service.AppFilter{Name: query.Get("name"), Query: query.Get("query")}, offset, limit)
	return httpjson.ViewList(apps, "", viewApp).Data, err
}

// userView is a user of Capawesome Cloud. Here it is the API token that calls:
// there are no users, and so it has no e-mail address.
type userView struct {
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

func (f face) me(ctx context.Context, c httpjson.Call, _ httpjson.None) (userView, error) {
	t, err := f.Tokens.Mine(ctx, c.Caller)
	created := boathook.Time{Time: t.CreatedAt}
	return userView{
		ID: cmp.Or(t.ID, stackUserID), Name: t.Name, LastSeenAt: boathook.Time{Time: f.now()}, CreatedAt: created, UpdatedAt: created,
	}, err
}
