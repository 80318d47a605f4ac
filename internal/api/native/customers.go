package native

import (
	"context"
	"time"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// Customers are described with [service.Customers].
type Customers interface {
	Create(ctx context.Context, c service.Caller, in service.CustomerChange) (boathook.Source, error)
	List(ctx context.Context, c service.Caller, externalID *string, p boathook.Page) (customers []boathook.Source, next string, err error)
	Get(ctx context.Context, c service.Caller, id string) (boathook.Source, error)
	Change(ctx context.Context, c service.Caller, id string, in service.CustomerChange) (boathook.Source, error)
	Delete(ctx context.Context, c service.Caller, id string) error
	Portal(ctx context.Context, c service.Caller, id string, seconds *int) (token string, until time.Time, err error)
}

type customerView struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	ExternalID *string           `json:"external_id"` // null: it has none
	Metadata   map[string]string `json:"metadata"`
	CreatedAt  boathook.Time     `json:"created_at"`
	UpdatedAt  boathook.Time     `json:"updated_at"`
}

// viewCustomer shows a customer; of the zero source, which stands beside an error,
// nothing.
func viewCustomer(s boathook.Source) customerView {
	if s.Customer == nil {
		return customerView{}
	}
	return customerView{
		s.ID, s.Name, httpjson.Nullable(s.Customer.ExternalID), shownMetadata(s.Customer.Metadata),
		boathook.Time{Time: s.CreatedAt}, boathook.Time{Time: s.Customer.UpdatedAt},
	}
}

// shownMetadata shows none as an object without fields.
func shownMetadata(metadata map[string]string) map[string]string {
	if metadata == nil {
		return map[string]string{}
	}
	return metadata
}

// customerInput has what a customer can be set to; nil leaves a field as it is.
type customerInput struct {
	Name       *string           `json:"name"`
	ExternalID **string          `json:"external_id"` // null: it has none any more
	Metadata   map[string]string `json:"metadata"`
}

func (f face) createCustomer(ctx context.Context, c httpjson.Call, in customerInput) (customerView, error) {
	s, err := f.Customers.Create(ctx, c.Caller, service.CustomerChange(in))
	return viewCustomer(s), err
}

func (f face) listCustomers(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.List[customerView], error) {
	var externalID *string
	if query := c.URL.Query(); query.Has("external_id") {
		externalID = new(query.Get("external_id"))
	}
	return httpjson.Listed(c, viewCustomer, func(p boathook.Page) ([]boathook.Source, string, error) {
		return f.Customers.List(ctx, c.Caller, externalID, p)
	})
}

func (f face) getCustomer(ctx context.Context, c httpjson.Call, _ httpjson.None) (customerView, error) {
	s, err := f.Customers.Get(ctx, c.Caller, c.PathValue("customer"))
	return viewCustomer(s), err
}

func (f face) changeCustomer(ctx context.Context, c httpjson.Call, in customerInput) (customerView, error) {
	s, err := f.Customers.Change(ctx, c.Caller, c.PathValue("customer"), service.CustomerChange(in))
	return viewCustomer(s), err
}

func (f face) deleteCustomer(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.None, error) {
	return httpjson.None{}, f.Customers.Delete(ctx, c.Caller, c.PathValue("customer"))
}
