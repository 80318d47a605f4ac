package console

import (
	"context"
	"fmt"
	"net/http"

	"boathook/internal/boathook"
	"boathook/internal/service"
)

// versionRoutes has the pages of what deployments execute.
func (c *Console) versionRoutes(mux *http.ServeMux) {
	for _, p := range places {
		if p.kind == boathook.Deployment {
			c.get(mux, p.path+"/versions", p.at(c.versions))
			c.get(mux, p.path+"/versions/new", p.at(c.newVersion))
			c.post(mux, p.path+"/versions", p.at(c.createVersion))
			c.post(mux, p.path+"/versions/{version}/activate", p.at(c.activateVersion))
		}
	}
}

// versionRow is a version in a list.
type versionRow struct {
	boathook.Version
	Live  []boathook.Environment
	Where string // what executes it
	Type  string
	To    []boathook.Environment // where it can be put live
}

// versions lists what a deployment has executed, the newest first.
func (c *Console) versions(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	var s boathook.Source
	var found []boathook.Version
	var live service.LiveVersions
	var next string
	err := beside(func() (err error) {
		s, err = c.source(ctx, r, of)
		return err
	}, func() (err error) {
		found, live, next, err = c.cfg.Service.Versions.List(ctx, r.caller, of.ID, r.part())
		return err
	})
	if err != nil {
		return answer{}, err
	}
	rows := make([]versionRow, len(found))
	for i, v := range found {
		rows[i] = versionRow{Version: v, Where: targetText(v.Target), Type: targetName(v.Target)}
		for _, e := range boathook.Environments {
			if live[e].ID == v.ID {
				rows[i].Live = append(rows[i].Live, e)
			} else {
				rows[i].To = append(rows[i].To, e)
			}
		}
	}
	return r.page("versions", view{
		Title: "Versions of " + nameOf(s), Nav: navOf(s.Kind), Crumbs: r.crumbs(s), Source: headOf(s, "versions"),
		Data: map[string]any{
			"Rows": rows, "Path": pathOf(of) + "/versions", "MayAdd": r.caller.May("Versions.Create") == nil, "MayActivate": r.caller.May("Versions.Activate") == nil,
			"Pager": r.pager(len(rows), plural(len(rows), "version", "versions"), next),
		},
	})
}

func (c *Console) newVersion(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	if err := r.caller.May("Versions.Create"); err != nil {
		return answer{}, err
	}
	s, err := c.source(ctx, r, of)
	if err != nil {
		return answer{}, err
	}
	return r.page("version-new", newVersionView(r, s, of))
}

func newVersionView(r *request, s boathook.Source, of service.SourceRef) view {
	return view{
		Title: "Add version", Nav: navOf(s.Kind), Crumbs: append(r.crumbs(s), link{nameOf(s), pathOf(of)}, link{"Versions", pathOf(of) + "/versions"}),
		Data: map[string]any{"Path": pathOf(of) + "/versions", "Types": targetTypes},
	}
}

func (c *Console) createVersion(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	f := formOf(r.PostForm)
	target, err := targetOf(f)
	var v boathook.Version
	if err == nil {
		v, err = c.cfg.Service.Versions.Create(ctx, r.caller, of.ID, boathook.Environment(f.Value("environment")), target)
	}
	if err != nil {
		s, other := c.source(ctx, r, of)
		if other != nil {
			return answer{}, other
		}
		return r.invalid("version-new", newVersionView(r, s, of), ofTarget(err))
	}
	return r.redirect(pathOf(of)+"/versions", fmt.Sprintf("Version %d is live in %s", v.Number, v.Environment))
}

func (c *Console) activateVersion(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	env := boathook.Environment(r.PostForm.Get("environment"))
	v, _, err := c.cfg.Service.Versions.Activate(ctx, r.caller, of.ID, r.PathValue("version"), env)
	if err != nil {
		return answer{}, err
	}
	return r.redirect(pathOf(of)+"/versions", fmt.Sprintf("Version %d is live in %s", v.Number, env))
}
