package service

import (
	"context"
	"maps"
	"slices"
	"unicode/utf8"

	"boathook/internal/boathook"
)

// Customers are whom the workspace sends webhooks to.
type Customers struct{ *core }

// CustomerChange has what a customer can be set to; nil leaves a field as it is.
type CustomerChange struct {
	Name       *string
	ExternalID **string          // nil in it: it has none any more
	Metadata   map[string]string // the whole of it
}

// apply changes a customer.
func (in CustomerChange) apply(s *boathook.Source) error {
	if in.Name != nil {
		if err := checkName(*in.Name); err != nil {
			return err
		}
		s.Name = *in.Name
	}
	customer := *s.Customer
	if in.ExternalID != nil {
		id, err := readExternalID(*in.ExternalID)
		if err != nil {
			return err
		}
		customer.ExternalID = id
	}
	if in.Metadata != nil {
		if err := checkMetadata(in.Metadata); err != nil {
			return err
		}
		customer.Metadata = maps.Clone(in.Metadata)
	}
	s.Customer = &customer
	return nil
}

// readExternalID is the id that is given; empty for nil.
func readExternalID(id *string) (string, error) {
	if id == nil {
		return "", nil
	}
	return *id, checkExternalID(*id)
}

func checkExternalID(id string) error {
	if !boathook.IsForeignID(id) {
		return boathook.InvalidField("external_id", "must have 1 to %d printable characters, in at most as many bytes of UTF-8", boathook.MaxForeignIDLength)
	}
	return nil
}

// checkMetadata refuses more, or longer, notes than a customer may have.
func checkMetadata(metadata map[string]string) error {
	if len(metadata) > boathook.MaxMetadata {
		return boathook.InvalidField("metadata", "must have at most %d values", boathook.MaxMetadata)
	}
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		if n := utf8.RuneCountInString(key); n == 0 || n > boathook.MaxMetadataKey {
			return boathook.InvalidField("metadata", "must have names of 1 to %d characters", boathook.MaxMetadataKey)
		}
		if utf8.RuneCountInString(metadata[key]) > boathook.MaxMetadataValue {
			return boathook.InvalidField("metadata."+key, "must have at most %d characters", boathook.MaxMetadataValue)
		}
	}
	return nil
}

// putCustomer stores a customer that was changed. Of two that take an external id
// at once, the store lets one have it.
func (k *core) putCustomer(ctx context.Context, in CustomerChange, s boathook.Source) (boathook.Source, error) {
	if err := in.apply(&s); err != nil {
		return boathook.Source{}, err
	}
	s.Customer.UpdatedAt = k.cfg.Now()
	return s, k.cfg.Store.PutSource(ctx, s)
}

// Create makes a customer, which needs a name.
func (k Customers) Create(ctx context.Context, c Caller, in CustomerChange) (boathook.Source, error) {
	if err := c.May("Customers.Create"); err != nil {
		return boathook.Source{}, err
	}
	if err := required(wanted{"name", in.Name != nil}); err != nil {
		return boathook.Source{}, err
	}
	return k.putCustomer(ctx, in, boathook.Source{
		ID: boathook.NewID(boathook.CustomerID), WorkspaceID: c.Workspace, Kind: boathook.Customer, CreatedAt: k.cfg.Now(),
		Customer: &boathook.CustomerSettings{},
	})
}

// List gives the newest first. With an external id it gives the one that has it, or
// none; nil asks for all.
func (k Customers) List(ctx context.Context, c Caller, externalID *string, p boathook.Page) (customers []boathook.Source, next string, err error) {
	if err := c.May("Customers.List"); err != nil {
		return nil, "", err
	}
	if externalID == nil {
		return k.cfg.Store.Sources(ctx, c.Workspace, boathook.Customer, p)
	}
	if err := checkExternalID(*externalID); err != nil {
		return nil, "", err
	}
	s, err := k.cfg.Store.CustomerByExternalID(ctx, c.Workspace, *externalID)
	if boathook.IsKind(err, boathook.NotFound) {
		return nil, "", nil
	}
	return []boathook.Source{s}, "", err
}

// Get finds one by its id.
func (k Customers) Get(ctx context.Context, c Caller, id string) (boathook.Source, error) {
	if err := c.May("Customers.Get"); err != nil {
		return boathook.Source{}, err
	}
	s, err := k.source(ctx, c, boathook.Customer, id)
	return c.withoutNotes(s), err
}

// Change sets what is given.
func (k Customers) Change(ctx context.Context, c Caller, id string, in CustomerChange) (boathook.Source, error) {
	if err := c.May("Customers.Change"); err != nil {
		return boathook.Source{}, err
	}
	s, err := k.source(ctx, c, boathook.Customer, id)
	if err != nil {
		return boathook.Source{}, err
	}
	return k.putCustomer(ctx, in, s)
}

// Delete removes a customer and its webhooks.
func (k Customers) Delete(ctx context.Context, c Caller, id string) error {
	if err := c.May("Customers.Delete"); err != nil {
		return err
	}
	return k.deleteSource(ctx, c, boathook.Customer, boathook.CustomerID, id)
}
