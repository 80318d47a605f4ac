package console

import (
	"context"
	"strconv"

	"boathook/internal/boathook"
	"boathook/internal/service"
)

// changes are the operations that change and delete a kind of source.
type changes struct {
	change, remove service.Operation
	// save is nil of a kind that has nothing to be set.
	save  func(ctx context.Context, s *service.Service, c service.Caller, of service.SourceRef, f form) error
	erase func(ctx context.Context, s *service.Service, c service.Caller, of service.SourceRef) error
}

// settings are the kinds of sources that are set up here. Agents have pages of their own.
var settings = map[boathook.SourceKind]changes{
	boathook.Deployment: {
		change: "Deployments.Change", remove: "Deployments.Delete",
		save: func(ctx context.Context, s *service.Service, c service.Caller, of service.SourceRef, f form) error {
			name := f.Value("name")
			in := service.DeploymentChange{Name: &name}
			most, err := numberOf(f, "max_in_flight")
			if err != nil {
				return err
			}
			if most == nil {
				most = new(int)
			}
			in.MaxInFlight = most
			repeats, err := numberOf(f, "retry_max")
			if err != nil {
				return err
			}
			wait, err := numberOf(f, "retry_backoff_seconds")
			if err != nil {
				return err
			}
			if repeats != nil {
				in.Retry = &service.RunRetries{Max: repeats}
				if *repeats > 0 {
					in.Retry.BackoffSeconds = wait
				}
			}
			_, err = s.Deployments.Change(ctx, c, of.ID, in)
			return err
		},
		erase: func(ctx context.Context, s *service.Service, c service.Caller, of service.SourceRef) error {
			return s.Deployments.Delete(ctx, c, of.ID)
		},
	},
	boathook.Customer: customerSettings,
	boathook.Repository: {
		remove: "Repositories.Delete",
		erase: func(ctx context.Context, s *service.Service, c service.Caller, of service.SourceRef) error {
			return s.Repositories.Delete(ctx, c, of.ID)
		},
	},
	boathook.App: {
		change: "Apps.Change", remove: "Apps.Delete",
		save: func(ctx context.Context, s *service.Service, c service.Caller, of service.SourceRef, f form) error {
			name := f.Value("name")
			_, err := s.Apps.Change(ctx, c, of.ID, service.AppChange{Name: &name})
			return err
		},
		erase: func(ctx context.Context, s *service.Service, c service.Caller, of service.SourceRef) error {
			return s.Apps.Delete(ctx, c, of.ID)
		},
	},
}

// settingsPage shows how a source is set up.
func (c *Console) settingsPage(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	s, err := c.source(ctx, r, of)
	if err != nil {
		return answer{}, err
	}
	return r.page("settings", c.settingsView(r, s, nil))
}

func (c *Console) settingsView(r *request, s boathook.Source, typed form) view {
	k := settings[s.Kind]
	if typed == nil {
		typed = form{}
		typed.set("name", s.Name)
		if s.Customer != nil {
			formOfCustomer(typed, *s.Customer)
		}
		if s.Kind == boathook.Deployment {
			d := s.DeploymentSettings()
			typed.set("retry_max", strconv.Itoa(d.Retry.Max))
			if d.Retry.Max > 0 {
				typed.set("retry_backoff_seconds", strconv.Itoa(int(d.Retry.Backoff.Seconds())))
			}
			if d.MaxInFlight > 0 {
				typed.set("max_in_flight", strconv.Itoa(d.MaxInFlight))
			}
		}
	}
	return view{
		Title: "Settings of " + nameOf(s), Nav: navOf(s.Kind), Crumbs: r.crumbs(s), Source: r.headOf(s, "settings"), Form: typed,
		Data: map[string]any{
			"Source": s, "Path": pathOf(refOf(s)), "Kind": string(s.Kind),
			"MayChange": k.save != nil && r.caller.May(k.change) == nil, "MayDelete": r.caller.May(k.remove) == nil,
		},
	}
}

func (c *Console) saveSettings(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	f := formOf(r.PostForm)
	if err := settings[of.Kind].save(ctx, c.cfg.Service, r.caller, of, f); err != nil {
		s, other := c.source(ctx, r, of)
		if other != nil {
			return answer{}, other
		}
		return r.invalid("settings", c.settingsView(r, s, f), err)
	}
	return r.redirect(pathOf(of)+"/settings", "The settings are saved")
}

// askDelete asks before a source is deleted.
func (c *Console) askDelete(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	s, err := c.source(ctx, r, of)
	if err != nil {
		return answer{}, err
	}
	return r.page("source-delete", view{
		Title: "Delete " + nameOf(s), Nav: navOf(of.Kind), Crumbs: append(r.crumbs(s), link{nameOf(s), pathOf(of)}),
		Data: map[string]any{"Name": nameOf(s), "Path": pathOf(of), "Kind": string(of.Kind)},
	})
}

func (c *Console) deleteSource(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	if err := settings[of.Kind].erase(ctx, c.cfg.Service, r.caller, of); err != nil {
		return answer{}, err
	}
	return r.redirect("/console/"+navOf(of.Kind), "The "+string(of.Kind)+" is deleted")
}
