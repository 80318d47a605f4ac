package shipway

import (
	"context"
	"encoding/json"
	"net/http"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
)

// deliveryView is a delivery as its last attempt left it.
type deliveryView struct {
	ID          int64              `json:"id"`
	GUID        string             `json:"guid"`
	DeliveredAt string             `json:"delivered_at"`
	Redelivery  bool               `json:"redelivery"`
	Duration    float64            `json:"duration"` // seconds
	Status      string             `json:"status"`
	StatusCode  int                `json:"status_code"` // 0: there was no answer
	Event       boathook.EventType `json:"event"`

	Action         *string `json:"action"`          // null: Shipway's events have none
	InstallationID *int64  `json:"installation_id"` // null: there are no apps to install
	RepositoryID   int32   `json:"repository_id"`

	deliveryDetail
}

// deliveryDetail is not in lists.
type deliveryDetail struct {
	URL      string        `json:"url,omitempty"`
	Request  *requestView  `json:"request,omitempty"`
	Response *responseView `json:"response,omitempty"`
}

type requestView struct {
	Headers map[string]string `json:"headers"`
	Payload json.RawMessage   `json:"payload"`
}

type responseView struct {
	Headers map[string]string `json:"headers"`
	Payload *string           `json:"payload"`
}

func viewDelivery(d boathook.Delivery) deliveryView {
	view := deliveryView{
		ID: d.ID.Number(), GUID: d.ID.String(), Event: d.EventType,
		DeliveredAt: formatTime(d.ID.Time()), Status: d.Reason,
		RepositoryID: (&boathook.Source{ID: d.SourceID}).Number(),
	}
	last := d.Last
	if last.Number == 0 {
		return view // it was canceled before the first
	}
	view.DeliveredAt, view.Redelivery = formatTime(last.SentAt), last.Number > 1
	view.Duration, view.StatusCode, view.Status = last.Duration.Seconds(), last.Status, last.Error
	if last.Error == "" {
		view.Status = http.StatusText(last.Status)
	}
	return view
}

func (f face) listDeliveries(w http.ResponseWriter, c httpjson.Call) error {
	page := boathook.Page{Limit: perPage(c), Cursor: c.URL.Query().Get("cursor")}
	deliveries, next, err := f.Hooks.Deliveries(c.Context(), c.Caller, repositoryInPath(c), hookInPath(c), page)
	if err != nil {
		return err
	}
	views := make([]deliveryView, len(deliveries))
	for i, d := range deliveries {
		views[i] = viewDelivery(d)
	}
	if next != "" {
		setLinks(w, []string{linkTo(c, "next", "cursor", next)})
	}
	return httpjson.Answer(w, http.StatusOK, views)
}

func (f face) getDelivery(ctx context.Context, c httpjson.Call, _ httpjson.None) (deliveryView, error) {
	h, d, err := f.Hooks.Delivery(ctx, c.Caller, repositoryInPath(c), hookInPath(c), c.PathValue("delivery"))
	if err != nil {
		return deliveryView{}, err
	}
	view := viewDelivery(d.Delivery)
	view.URL = h.URL
	view.Request, view.Response = &requestView{Headers: d.Headers, Payload: d.Body.Bytes()}, &responseView{}
	if len(d.Attempts) == 0 {
		return view, nil
	}
	if r := d.Attempts[len(d.Attempts)-1].Response; r != nil {
		text := httpjson.BodyText(r)
		view.Response.Headers, view.Response.Payload = boathook.JoinedHeaders(r.Headers), &text
	}
	return view, nil
}

func (f face) redeliver(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.None, error) {
	return httpjson.None{}, f.Hooks.Redeliver(ctx, c.Caller, repositoryInPath(c), hookInPath(c), c.PathValue("delivery"))
}
