package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/claim"
)

// How long the link of a portal is good, unless it is told otherwise, and at most.
const (
	DefaultPortalLife = time.Hour
	MaxPortalLife     = 7 * 24 * time.Hour
)

// portalPurpose is what the token of a portal's link is signed for. It is a claim of the
// workspace and the customer.
const portalPurpose claim.Purpose = "boathook customer portal v1\n"

// ofPortals are the operations that a customer's portal has. It has them for the customer
// alone: [core.source], [core.sourceOf] and the look-ups of deliveries see to that.
var ofPortals = map[Operation]bool{
	"Customers.Get": true,

	"Outgoing.Create":       true, // with a URL
	"Outgoing.List":         true,
	"Outgoing.Get":          true,
	"Outgoing.Change":       true,
	"Outgoing.Delete":       true,
	"Outgoing.RotateSecret": true,
	"Outgoing.Test":         true,
	"Outgoing.Preview":      true,
	"Outgoing.Recover":      true,
	"Outgoing.Replay":       true,
	"Outgoing.Stats":        true,
	"Outgoing.StatsOfAll":   true,

	"Deliveries.Get":    true,
	"Deliveries.Resend": true,
	"Deliveries.List":   true,
	"Deliveries.All":    true,
	"Deliveries.Names":  true,

	"Feeds.Events": true,
	"Feeds.Newest": true,
	"Feeds.Event":  true,

	"EventTypes.List": true, // of customers
	"EventTypes.Get":  true, // of customers
}

// reaches reports whether a caller may know of a source of the workspace: a portal's
// knows of its customer only.
func (c Caller) reaches(sourceID string) bool { return c.Customer == "" || c.Customer == sourceID }

// mayTell reports whether a caller may know of a type of events.
func (c Caller) mayTell(t EventType) bool { return c.Customer == "" || t.Source == boathook.Customer }

// withoutNotes is a source as a caller sees it: what the workspace notes about a customer,
// and what it calls him, is not for him.
func (c Caller) withoutNotes(s boathook.Source) boathook.Source {
	if c.Customer != "" && s.Customer != nil {
		s.Customer = &boathook.CustomerSettings{UpdatedAt: s.Customer.UpdatedAt}
	}
	return s
}

// mayChange refuses settings of a webhook that are the workspace's, though the webhook is
// a customer's: a queue lies in an account of the workspace's, its alerts are told to the
// workspace, and its notes are not for customers.
func (c Caller) mayChange(in OutgoingChange) error {
	if c.Customer == "" {
		return nil
	}
	for _, f := range []wanted{{"destination", in.Destination != nil}, {"alert_after", in.AlertAfter != nil}, {"metadata", in.Metadata != nil}} {
		if f.given {
			return &boathook.Error{Kind: boathook.Forbidden, Field: f.name, Message: "can't be set in a portal"}
		}
	}
	return nil
}

// Portal makes the token of a link to a customer's portal, which is good for so many
// seconds; nil: [DefaultPortalLife]. It is stored nowhere, and so it can't be taken back:
// it ends with its time, or when the customer is deleted.
func (k Customers) Portal(ctx context.Context, c Caller, id string, seconds *int) (token string, until time.Time, err error) {
	if err := c.May("Customers.Portal"); err != nil {
		return "", until, err
	}
	life := DefaultPortalLife
	if seconds != nil {
		if err := checkSeconds("expires_seconds", *seconds, 1, MaxPortalLife); err != nil {
			return "", until, err
		}
		life = time.Duration(*seconds) * time.Second
	}
	s, err := k.source(ctx, c, boathook.Customer, id)
	if err != nil {
		return "", until, err
	}
	secret, err := k.portalSecret(ctx)
	if err != nil {
		return "", until, err
	}
	until = k.cfg.Now().Add(life).Truncate(time.Second).UTC()
	k.cfg.Log.InfoContext(ctx, "portal link made", "customer_id", s.ID, "until", until, "token_id", c.TokenID)
	return portalPurpose.Sign(secret, until, c.Workspace, s.ID), until, nil
}

func (k *core) portalSecret(ctx context.Context) (string, error) {
	secret, err := k.cfg.StreamSecret(ctx)
	if err != nil {
		return "", fmt.Errorf("read the secret of the portals' links: %w", err)
	}
	return secret, nil
}

// PortalVisit is a customer who has followed a link to his portal.
type PortalVisit struct {
	Caller   Caller
	Customer boathook.Source // as the caller sees it
	Sender   string          // who has made the link: the workspace, as customers are to call it
	Look     boathook.PortalSettings
	Until    time.Time // when the link ends
}

// FindPortal is the visit of who holds the token of a link. The error is
// [boathook.Unauthorized] for a token that is none, and [boathook.Gone] where the link has
// ended, or the customer is deleted; the visit beside it has its sender, who can make
// another link, and its look.
func (k Callers) FindPortal(ctx context.Context, token string) (v PortalVisit, err error) {
	secret, err := k.portalSecret(ctx)
	if err != nil {
		return v, err
	}
	of, until, err := portalPurpose.Verify(secret, token, 2, k.cfg.Now())
	ended := errors.Is(err, claim.ErrEnded)
	if err != nil && !ended {
		return v, boathook.Errorf(boathook.Unauthorized, "this is no link to a portal")
	}
	v, err = k.Portal(ctx, Caller{Workspace: of[0], Customer: of[1], Role: boathook.Member})
	if err == nil && ended {
		return v.ended()
	}
	v.Until = until
	return v, err
}

// Portal is the visit of who has been found by [Callers.FindPortal] before. The error is
// [boathook.Gone] if the customer is deleted, with a visit as there.
func (k Callers) Portal(ctx context.Context, c Caller) (v PortalVisit, err error) {
	var w boathook.Workspace
	var s boathook.Source
	deleted := false
	err = beside(func() (err error) {
		w, err = k.cfg.Store.Workspace(ctx, c.Workspace)
		return err
	}, func() (err error) {
		s, err = k.source(ctx, c, boathook.Customer, c.Customer)
		if boathook.IsKind(err, boathook.NotFound) {
			deleted, err = true, nil
		}
		return err
	})
	switch {
	case boathook.IsKind(err, boathook.NotFound):
		return v, boathook.Errorf(boathook.Gone, "the workspace is deleted")
	case err != nil:
		return v, fmt.Errorf("look up a portal: %w", err)
	}
	v = PortalVisit{Caller: c, Customer: c.withoutNotes(s), Sender: cmp.Or(w.Portal.Name, w.Name), Look: w.Portal}
	if deleted {
		return v.ended()
	}
	return v, nil
}

// ended is what is left of a visit whose link is good no more.
func (v PortalVisit) ended() (PortalVisit, error) {
	return PortalVisit{Sender: v.Sender, Look: v.Look}, boathook.Errorf(boathook.Gone, "the link has ended: ask %s for another", v.Sender)
}
