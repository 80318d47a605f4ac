package service

import (
	"context"
	"slices"
	"strings"

	"boathook/internal/boathook"
)

// Apps are sources of Capawesome Cloud's events.
type Apps struct{ *core }

// AppChange has what an app can be set to; nil leaves a field as it is.
type AppChange struct {
	Name *string
	Type *boathook.AppType
	// Issues are faults that the face has found already: they are told with those
	// that there are besides.
	Issues boathook.Issues
}

// applyApp changes an app, or tells all that is wrong with the change.
func (k *core) applyApp(in AppChange, s *boathook.Source) error {
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
	settings.UpdatedAt = k.cfg.Now()
	s.App = &settings
	return all.Or()
}

// Create makes an app, which needs a name.
func (k Apps) Create(ctx context.Context, c Caller, in AppChange) (boathook.Source, error) {
	if err := c.May("Apps.Create"); err != nil {
		return boathook.Source{}, err
	}
	if in.Name == nil && !in.Issues.About("name") {
		in.Issues.Add("is required", "name")
	}
	s := boathook.Source{ID: boathook.NewID(boathook.AppID), WorkspaceID: c.Workspace, Kind: boathook.App, CreatedAt: k.cfg.Now()}
	if err := k.applyApp(in, &s); err != nil {
		return boathook.Source{}, err
	}
	return s, k.cfg.Store.PutSource(ctx, s)
}

// Get finds one by its id.
func (k Apps) Get(ctx context.Context, c Caller, id string) (boathook.Source, error) {
	if err := c.May("Apps.Get"); err != nil {
		return boathook.Source{}, err
	}
	return k.source(ctx, c, boathook.App, id)
}

// Change sets what is given.
func (k Apps) Change(ctx context.Context, c Caller, id string, in AppChange) (boathook.Source, error) {
	if err := c.May("Apps.Change"); err != nil {
		return boathook.Source{}, err
	}
	s, err := k.source(ctx, c, boathook.App, id)
	if err != nil {
		return boathook.Source{}, err
	}
	if err := k.applyApp(in, &s); err != nil {
		return boathook.Source{}, err
	}
	return s, k.cfg.Store.PutSource(ctx, s)
}

// Delete removes an app and its webhooks.
func (k Apps) Delete(ctx context.Context, c Caller, id string) error {
	if err := c.May("Apps.Delete"); err != nil {
		return err
	}
	return k.deleteSource(ctx, c, boathook.App, boathook.AppID, id)
}

// AppFilter selects apps; empty fields select all.
type AppFilter struct {
	Name  string // exactly
	Query string // part of the name, in any case of letters
}

// appsPage is how many apps are read at once to find those of a part of the list: as
// many as about fit one answer of the database, so that the farthest takes few.
const appsPage = 2000

// List gives a part of those that a filter selects, the newest first. It reads the
// workspace's apps from the first on: the store's lists have no offsets.
func (k Apps) List(ctx context.Context, c Caller, only AppFilter, skip, limit int) ([]boathook.Source, error) {
	if err := c.May("Apps.List"); err != nil {
		return nil, err
	}
	var found []boathook.Source
	query := strings.ToLower(only.Query)
	for cursor := ""; ; {
		apps, next, err := k.cfg.Store.Sources(ctx, c.Workspace, boathook.App, boathook.Page{Limit: appsPage, Cursor: cursor})
		if err != nil {
			return nil, err
		}
		apps = slices.DeleteFunc(apps, func(s boathook.Source) bool {
			return only.Name != "" && s.Name != only.Name || !strings.Contains(strings.ToLower(s.Name), query)
		})
		part := apps[min(skip, len(apps)):]
		found = append(found, part[:min(limit-len(found), len(part))]...)
		skip = max(0, skip-len(apps))
		if next == "" || len(found) == limit {
			return found, nil
		}
		cursor = next
	}
}
