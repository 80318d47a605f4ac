package storetest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"boathook/internal/boathook"
)

func (s *suite) newCustomer(workspaceID, externalID string) boathook.Source {
	return boathook.Source{
		ID: boathook.NewID(boathook.CustomerID), WorkspaceID: workspaceID, Kind: boathook.Customer, Name: "Acme", CreatedAt: s.clock.Now(),
		Customer: &boathook.CustomerSettings{ExternalID: externalID, Metadata: map[string]string{"plan": "team", "#": ""}, UpdatedAt: s.clock.Now()},
	}
}

func (s *suite) testCustomers(t *testing.T) {
	workspaceID := boathook.NewID(boathook.WorkspaceID)
	put := func(t *testing.T, c boathook.Source) boathook.Source {
		t.Helper()
		must(t, s.PutSource(t.Context(), c))
		c.Revision++
		return c
	}
	called := func(c boathook.Source, externalID string) boathook.Source {
		c.Customer = new(*c.Customer)
		c.Customer.ExternalID = externalID
		return c
	}
	wantTaken := func(t *testing.T, c boathook.Source) {
		t.Helper()
		err := s.PutSource(t.Context(), c)
		if e, ok := errors.AsType[*boathook.Error](err); !ok || e.Kind != boathook.Conflict || e.Field != "external_id" {
			t.Errorf("putting a customer with another's external id: %v, want a Conflict about it", err)
		}
	}
	wantNone := func(t *testing.T, workspaceID, externalID string) {
		t.Helper()
		_, err := s.CustomerByExternalID(t.Context(), workspaceID, externalID)
		wantKind(t, "CustomerByExternalID", err, boathook.NotFound)
	}
	wantFound := func(t *testing.T, want boathook.Source) {
		t.Helper()
		got := read(s.CustomerByExternalID(t.Context(), want.WorkspaceID, want.Customer.ExternalID))(t)
		wantSame(t, "the customer of the external id", got, want)
	}

	t.Run("an external id is one customer's of its workspace", func(t *testing.T) {
		wantNone(t, workspaceID, "x")
		first := put(t, s.newCustomer(workspaceID, "x"))
		second := s.newCustomer(workspaceID, "x")
		wantTaken(t, second)
		_, err := s.Source(t.Context(), workspaceID, second.ID)
		wantKind(t, "the refused one", err, boathook.NotFound)
		put(t, s.newCustomer(boathook.NewID(boathook.WorkspaceID), "x"))
		first.Name = "renamed"
		wantFound(t, put(t, first)) // it has its external id already
		second = put(t, called(second, "y"))
		wantTaken(t, called(second, "x"))
		wantSame(t, "the refused change", read(s.Source(t.Context(), workspaceID, second.ID))(t), second)
		wantFound(t, second)
	})
	t.Run("an external id that is given up is free", func(t *testing.T) {
		first := put(t, s.newCustomer(workspaceID, "a"))
		first = put(t, called(first, "b"))
		wantNone(t, workspaceID, "a")
		second := put(t, s.newCustomer(workspaceID, "a"))
		first = put(t, called(first, ""))
		wantNone(t, workspaceID, "b")
		second = put(t, called(second, "b"))
		wantFound(t, second)
		must(t, s.DeleteSource(t.Context(), workspaceID, second.ID))
		wantNone(t, workspaceID, "b")
		wantFound(t, put(t, called(first, "b")))
	})
	t.Run("any number have none", func(t *testing.T) {
		for range 2 {
			c := s.newCustomer(workspaceID, "")
			c.Customer.Metadata = nil
			c = put(t, c)
			wantSame(t, "the customer", read(s.Source(t.Context(), workspaceID, c.ID))(t), c)
		}
		wantNone(t, workspaceID, "")
	})
	t.Run("external ids are told apart to the letter", func(t *testing.T) {
		ids := []string{"Case", "case", "case ", "case#case", "case#", "#case", "é", "e\u0301", "%", "_", "'"}
		for _, id := range ids {
			put(t, s.newCustomer(workspaceID, id))
		}
		for _, id := range ids {
			if got := read(s.CustomerByExternalID(t.Context(), workspaceID, id))(t); got.Customer.ExternalID != id {
				t.Errorf("%q is the external id of %q", id, got.Customer.ExternalID)
			}
		}
	})
	t.Run("what is no external id is refused", func(t *testing.T) {
		for _, id := range []string{"a\x00", "a\n", "\xff", strings.Repeat("a", boathook.MaxForeignIDLength+1)} {
			wantKind(t, "PutSource", s.PutSource(t.Context(), s.newCustomer(workspaceID, id)), boathook.Invalid)
			wantNone(t, workspaceID, id)
		}
	})
	t.Run("of several that take an external id at once, one has it", func(t *testing.T) {
		customers := make([]boathook.Source, 8)
		for i := range customers {
			customers[i] = s.newCustomer(workspaceID, "raced")
		}
		won := atOnce(t, len(customers), func(ctx context.Context, i int) error { return s.PutSource(ctx, customers[i]) })
		if len(won) != 1 {
			t.Fatalf("%d have it", len(won))
		}
		customers[won[0]].Revision++
		wantFound(t, customers[won[0]])
	})
}
