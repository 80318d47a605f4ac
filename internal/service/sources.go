package service

import (
	"context"

	"boathook/internal/boathook"
)

// SourceRef names a source by its kind and id, and an agent by its crew too.
type SourceRef struct {
	Kind boathook.SourceKind // empty: there is none
	ID   string
	Crew string // of an agent
}

// sourceOf finds the caller's source that a reference names.
func (k *core) sourceOf(ctx context.Context, c Caller, ref SourceRef) (boathook.Source, error) {
	switch {
	case ref.Kind == boathook.Agent:
		return k.agentOf(ctx, c, ref.Crew, ref.ID)
	case ref.Kind == boathook.Alerts && c.reaches(ref.ID):
		return k.alerts(ctx, c)
	case ref.ID != "":
		return k.source(ctx, c, ref.Kind, ref.ID)
	}
	return boathook.Source{}, boathook.Errorf(boathook.NotFound, "there is no such source")
}

// agentOf finds an agent of a crew.
func (k *core) agentOf(ctx context.Context, c Caller, crewID, id string) (boathook.Source, error) {
	s, err := k.source(ctx, c, boathook.Agent, id)
	if err == nil {
		err = wantAgent(s, crewID)
	}
	return s, err
}

// wantAgent refuses a source that is no agent of a crew.
func wantAgent(s boathook.Source, crewID string) error {
	if err := wantKind(s, boathook.Agent); err != nil {
		return err
	}
	if s.Agent.CrewID != crewID {
		return noSuch(string(boathook.Agent), s.ID)
	}
	return nil
}

// source is the caller's, if it is of a kind.
func (k *core) source(ctx context.Context, c Caller, kind boathook.SourceKind, id string) (boathook.Source, error) {
	if !c.reaches(id) {
		return boathook.Source{}, noSuch(string(kind), id)
	}
	s, err := k.cfg.Store.Source(ctx, c.Workspace, id)
	if err == nil {
		err = wantKind(s, kind)
	}
	return s, missing(string(kind), id, err)
}

// noSuch tells that there is nothing of a kind with an id that the caller gave.
func noSuch(what, id string) error {
	const maxNamed = 100 // bytes
	err := boathook.Errorf(boathook.NotFound, "there is no %s %q", what, boathook.Shorten(id, maxNamed))
	err.Absent = what
	return err
}

// missing is an error of a look-up, in the caller's words where nothing was found.
func missing(what, id string, err error) error {
	if boathook.IsKind(err, boathook.NotFound) {
		return noSuch(what, id)
	}
	return err
}

// wantKind refuses a source of another kind.
func wantKind(s boathook.Source, kind boathook.SourceKind) error {
	if s.Kind != kind {
		return noSuch(string(kind), s.ID)
	}
	return nil
}

// deleteSource removes a source if its id is of a kind. One that was deleted by
// half has nothing but its id to tell its kind.
func (k *core) deleteSource(ctx context.Context, c Caller, kind boathook.SourceKind, idKind, id string) error {
	if !boathook.HasIDKind(id, idKind) {
		return noSuch(string(kind), id)
	}
	return missing(string(kind), id, k.cfg.Store.DeleteSource(ctx, c.Workspace, id))
}

// deleteIdle deletes a source on which nothing runs. check refuses a source that is not
// the one that the caller means.
func (k *core) deleteIdle(ctx context.Context, c Caller, kind boathook.SourceKind, idKind, id string, check func(boathook.Source) error) error {
	var s boathook.Source
	var active bool
	err := beside(func() (err error) {
		s, err = k.cfg.Store.Source(ctx, c.Workspace, id)
		return err
	}, func() (err error) {
		active, err = k.cfg.Store.AnyActive(ctx, id)
		return err
	})
	if boathook.IsKind(err, boathook.NotFound) {
		// Perhaps deleted by half: the store removes what is left, if it is
		// the caller's.
		return k.deleteSource(ctx, c, kind, idKind, id)
	}
	if err != nil {
		return err
	}
	if err := check(s); err != nil {
		return err
	}
	if active {
		return boathook.Errorf(boathook.Conflict, "the %s has a run that is not over: cancel it, or wait", s.Kind)
	}
	return k.cfg.Store.DeleteSource(ctx, c.Workspace, s.ID)
}

// rename gives a source another name; nil leaves it.
func (k *core) rename(ctx context.Context, s boathook.Source, name *string) (boathook.Source, error) {
	if name != nil {
		if err := checkName(*name); err != nil {
			return boathook.Source{}, err
		}
		s.Name = *name
	}
	return s, k.cfg.Store.PutSource(ctx, s)
}

// addSource makes a source that has an id and a name only.
func (k *core) addSource(ctx context.Context, c Caller, kind boathook.SourceKind, idKind, name string) (boathook.Source, error) {
	if err := checkName(name); err != nil {
		return boathook.Source{}, err
	}
	s := boathook.Source{ID: boathook.NewID(idKind), WorkspaceID: c.Workspace, Kind: kind, Name: name, CreatedAt: k.cfg.Now()}
	return s, k.cfg.Store.PutSource(ctx, s)
}
