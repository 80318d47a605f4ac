package native

import (
	"context"
	"encoding/json"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// EventTypes are described with [service.EventTypes].
type EventTypes interface {
	List(ctx context.Context, c service.Caller, p boathook.Page) (types []service.EventType, next string, err error)
	Get(ctx context.Context, c service.Caller, name boathook.EventType) (service.EventType, error)
	Put(ctx context.Context, c service.Caller, name boathook.EventType, in service.EventTypeInput) (service.EventType, error)
	Archive(ctx context.Context, c service.Caller, name boathook.EventType) error
}

type eventTypeView struct {
	Type        boathook.EventType  `json:"type"`
	Source      boathook.SourceKind `json:"source"`
	Publishable bool                `json:"publishable"` // by POST /v1/events; others are Boathook's own, or archived
	Description string              `json:"description"`
	Version     *string             `json:"version"` // null: it has none
	Schema      json.RawMessage     `json:"schema"`  // null: any object
	Example     json.RawMessage     `json:"example"` // null: it has none
	CreatedAt   boathook.Time       `json:"created_at"`
	UpdatedAt   boathook.Time       `json:"updated_at"`
	ArchivedAt  boathook.Time       `json:"archived_at"`
}

func viewEventType(t service.EventType) eventTypeView {
	return eventTypeView{
		t.Name, t.Source, t.Publishable, t.Description, httpjson.Nullable(t.Version), orNull(t.Schema), orNull(t.Example),
		boathook.Time{Time: t.CreatedAt}, boathook.Time{Time: t.UpdatedAt}, boathook.Time{Time: t.ArchivedAt},
	}
}

func orNull(text json.RawMessage) json.RawMessage {
	if text == nil {
		return json.RawMessage("null")
	}
	return text
}

// eventTypeInput is a type as it is given, whole.
type eventTypeInput struct {
	Description *string         `json:"description"`
	Version     *string         `json:"version"`
	Schema      json.RawMessage `json:"schema"`
	Example     json.RawMessage `json:"example"`
}

func (f face) listEventTypes(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.List[eventTypeView], error) {
	return httpjson.Listed(c, viewEventType, func(p boathook.Page) ([]service.EventType, string, error) {
		return f.EventTypes.List(ctx, c.Caller, p)
	})
}

func (f face) getEventType(ctx context.Context, c httpjson.Call, _ httpjson.None) (eventTypeView, error) {
	t, err := f.EventTypes.Get(ctx, c.Caller, boathook.EventType(c.PathValue("type")))
	return viewEventType(t), err
}

func (f face) putEventType(ctx context.Context, c httpjson.Call, in eventTypeInput) (eventTypeView, error) {
	t, err := f.EventTypes.Put(ctx, c.Caller, boathook.EventType(c.PathValue("type")), service.EventTypeInput(in))
	return viewEventType(t), err
}

func (f face) archiveEventType(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.None, error) {
	return httpjson.None{}, f.EventTypes.Archive(ctx, c.Caller, boathook.EventType(c.PathValue("type")))
}
