package service

import (
	"context"

	"boathook/internal/boathook"
)

// Alerts is the source of a workspace's alerts. There is one in each workspace: it is
// stored with its first webhook or setting.
func Alerts(workspaceID string) SourceRef {
	return SourceRef{Kind: boathook.Alerts, ID: boathook.NewAlertsID(workspaceID)}
}

// alerts are the caller's, of revision 0 while they are not stored.
func (k *core) alerts(ctx context.Context, c Caller) (boathook.Source, error) {
	id := boathook.NewAlertsID(c.Workspace)
	s, err := k.cfg.Store.Source(ctx, c.Workspace, id)
	if boathook.IsKind(err, boathook.NotFound) {
		return boathook.Source{ID: id, WorkspaceID: c.Workspace, Kind: boathook.Alerts, Name: "alerts", CreatedAt: k.cfg.Now()}, nil
	}
	return s, err
}

// storeAlerts stores a workspace's alerts if nobody has: what belongs to a source is
// deleted with it, and so must have one.
func (k *core) storeAlerts(ctx context.Context, s boathook.Source) error {
	if s.Kind != boathook.Alerts || s.Revision > 0 {
		return nil
	}
	err := k.cfg.Store.PutSource(ctx, s)
	if boathook.IsKind(err, boathook.Conflict) {
		return nil // another was faster
	}
	return err
}
