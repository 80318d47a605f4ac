package storetest

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"boathook/internal/boathook"
)

func (s *suite) newEventType(workspaceID string, name boathook.EventType) boathook.TypeDefinition {
	return boathook.TypeDefinition{
		WorkspaceID: workspaceID, Name: name, Description: "An invoice was paid.", Version: "2",
		Schema: json.RawMessage(`{"type":"object"}`), Example: json.RawMessage(`{"amount":12345678901234567890}`),
		CreatedAt: s.clock.Now(), UpdatedAt: s.clock.Now(),
	}
}

func (s *suite) testEventTypes(t *testing.T) {
	ctx, workspace := t.Context(), boathook.Workspace{ID: boathook.NewID(boathook.WorkspaceID), CreatedAt: s.clock.Now()}
	must(t, s.PutWorkspace(ctx, workspace))
	put := func(t *testing.T, d boathook.TypeDefinition) boathook.TypeDefinition {
		t.Helper()
		must(t, s.PutEventType(ctx, d))
		d.Revision++
		return d
	}
	wantListed := func(t *testing.T, want ...boathook.TypeDefinition) {
		t.Helper()
		wantSame(t, "the types", read(s.AllEventTypes(ctx, workspace.ID))(t), want)
	}

	paid := s.newEventType(workspace.ID, "invoice.paid")
	t.Run("a type is made and changed if it is as it was read", func(t *testing.T) {
		wantListed(t)
		_, err := s.EventType(ctx, workspace.ID, paid.Name)
		wantKind(t, "EventType", err, boathook.NotFound)
		paid = put(t, paid)
		wantSame(t, "the type", read(s.EventType(ctx, workspace.ID, paid.Name))(t), paid)
		wantKind(t, "making it once more", s.PutEventType(ctx, s.newEventType(workspace.ID, paid.Name)), boathook.Conflict)
		stale := paid
		paid.Description, paid.Version, paid.Schema, paid.Example = "", "", nil, nil
		paid.ArchivedAt, paid.UpdatedAt = s.clock.Now().Add(time.Minute), s.clock.Now().Add(time.Minute)
		paid = put(t, paid)
		wantKind(t, "changing what was changed", s.PutEventType(ctx, stale), boathook.Conflict)
		wantSame(t, "the type", read(s.EventType(ctx, workspace.ID, paid.Name))(t), paid)
		unread := s.newEventType(workspace.ID, "never.made")
		unread.Revision = 1
		wantKind(t, "changing what is not there", s.PutEventType(ctx, unread), boathook.Conflict)
	})
	t.Run("they are a workspace's, by name, told apart to the letter", func(t *testing.T) {
		upper := put(t, s.newEventType(workspace.ID, "Invoice.Paid"))
		short := put(t, s.newEventType(workspace.ID, "invoice"))
		long := put(t, s.newEventType(workspace.ID, "invoice.paid.late"))
		other := put(t, s.newEventType(boathook.NewID(boathook.WorkspaceID), "invoice.paid"))
		wantListed(t, upper, short, paid, long)
		wantSame(t, "another workspace's", read(s.AllEventTypes(ctx, other.WorkspaceID))(t), []boathook.TypeDefinition{other})
	})
	t.Run("of several that make one at once, one does", func(t *testing.T) {
		raced := s.newEventType(workspace.ID, "raced")
		won := atOnce(t, 8, func(ctx context.Context, _ int) error { return s.PutEventType(ctx, raced) })
		if len(won) != 1 {
			t.Errorf("%d have made it", len(won))
		}
	})
	t.Run("they go with their workspace, which may be deleted while it has some", func(t *testing.T) {
		must(t, s.DeleteWorkspace(ctx, workspace.ID))
		wantListed(t)
		_, err := s.EventType(ctx, workspace.ID, paid.Name)
		wantKind(t, "EventType", err, boathook.NotFound)
	})
}
