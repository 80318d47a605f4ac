package native

import (
	"context"
	"net/http"
	"time"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// Deliveries are described with [service.Deliveries].
type Deliveries interface {
	Get(ctx context.Context, c service.Caller, id string) (service.DeliveryDetail, error)
	List(ctx context.Context, c service.Caller, of service.SourceRef, webhookID string, only service.DeliveryFilter, p boathook.Page) (deliveries []boathook.Delivery, next string, err error)
	All(ctx context.Context, c service.Caller, in service.DeliverySearch, p boathook.Page) (deliveries []boathook.Delivery, next string, err error)
	Resend(ctx context.Context, c service.Caller, id string) (boathook.DeliveryID, error)
}

type deliveryView struct {
	ID string `json:"id"`
	sourceRef
	WebhookID     string                  `json:"webhook_id"`
	EventID       string                  `json:"event_id"`
	Event         boathook.EventType      `json:"event"`
	Environment   *string                 `json:"environment"` // null: the event is of none
	Status        boathook.DeliveryStatus `json:"status"`
	AttemptCount  int                     `json:"attempt_count"`
	LastAttempt   *lastAttemptView        `json:"last_attempt"` // null before the first
	NextAttemptAt boathook.Time           `json:"next_attempt_at"`
	Reason        *string                 `json:"reason"`     // why it was canceled
	CreatedAt     boathook.Time           `json:"created_at"` // when the event happened
}

// lastAttemptView is what lists tell of a delivery's last attempt.
type lastAttemptView struct {
	Number         int           `json:"number"`
	SentAt         boathook.Time `json:"sent_at"`
	DurationMS     int64         `json:"duration_ms"`
	ResponseStatus *int          `json:"response_status"` // null: there was no response
	Error          *string       `json:"error"`
}

func viewLastAttempt(last boathook.Summary) *lastAttemptView {
	if last.Number == 0 {
		return nil
	}
	view := &lastAttemptView{
		Number: last.Number, SentAt: boathook.Time{Time: last.SentAt}, DurationMS: last.Duration.Milliseconds(), Error: httpjson.Nullable(last.Error),
	}
	if last.Status != 0 {
		view.ResponseStatus = &last.Status
	}
	return view
}

func viewDelivery(d boathook.Delivery) deliveryView {
	return deliveryView{
		ID: d.ID.String(), sourceRef: refTo(d.SourceID), WebhookID: d.WebhookID, EventID: d.EventID, Event: d.EventType,
		Environment: httpjson.Nullable(string(d.Environment)), Status: d.Status, AttemptCount: d.Attempts, LastAttempt: viewLastAttempt(d.Last),
		NextAttemptAt: boathook.Time{Time: d.NextAttemptAt}, Reason: httpjson.Nullable(d.Reason), CreatedAt: boathook.Time{Time: d.ID.Time()},
	}
}

// deliveryDetail is a delivery with what was sent and what came of it.
type deliveryDetail struct {
	deliveryView
	Request  requestView   `json:"request"`
	Attempts []attemptView `json:"attempts"`
}

// requestView is the request as the last attempt made it. What was sent to a queue has no URL and a destination, and
// its headers are the message's attributes. What a listener was told of has them as well, and is the request that a URL
// would have been sent. Headers are null once the webhook is deleted, and before the first attempt.
// Of a delivery whose body could not be made there are no headers, and the body is empty.
type requestView struct {
	Method      string            `json:"method"`
	URL         *string           `json:"url"`
	Destination *destinationView  `json:"destination,omitempty"`
	Headers     map[string]string `json:"headers"`
	Body        string            `json:"body"`
	BodyMissing bool              `json:"body_missing,omitempty"` // the store has lost it
}

type attemptView struct {
	Number            int               `json:"number"`
	SentAt            boathook.Time     `json:"sent_at"`
	DurationMS        int64             `json:"duration_ms"`
	ResponseStatus    *int              `json:"response_status"`
	ResponseHeaders   map[string]string `json:"response_headers"`
	ResponseBody      *string           `json:"response_body"`        // as text: what is not UTF-8 is replaced
	ResponseTruncated bool              `json:"response_truncated"`   // the receiver sent more than is kept
	MessageID         *string           `json:"message_id,omitempty"` // that a queue gave to it
	Error             *string           `json:"error"`
	CutAt             boathook.Time     `json:"cut_at"` // when an earlier request of it was given up; the receiver may have taken it
}

func viewAttempt(a boathook.Attempt) attemptView {
	view := attemptView{
		Number: a.Number, SentAt: boathook.Time{Time: a.SentAt}, DurationMS: a.Duration.Milliseconds(), Error: httpjson.Nullable(a.Error),
		CutAt: boathook.Time{Time: a.CutAt},
	}
	if r := a.Response; r != nil {
		body := httpjson.BodyText(r)
		view.ResponseStatus, view.ResponseHeaders = &r.Status, boathook.JoinedHeaders(r.Headers)
		view.ResponseBody, view.ResponseTruncated = &body, r.Truncated
		view.MessageID = httpjson.Nullable(r.MessageID)
	}
	return view
}

func viewDetail(d service.DeliveryDetail) deliveryDetail {
	detail := deliveryDetail{
		deliveryView: viewDelivery(d.Delivery),
		Request:      requestView{Method: http.MethodPost, Headers: d.Headers, Body: d.Sent().String(), BodyMissing: d.Body.Len() == 0},
		Attempts:     make([]attemptView, len(d.Attempts)),
	}
	for i, a := range d.Attempts {
		detail.Attempts[i] = viewAttempt(a)
		// The last attempt's: the webhook's may be another by now.
		detail.Request.URL, detail.Request.Destination = httpjson.Nullable(a.URL), viewDestination(a.Destination)
	}
	if d := detail.Request.Destination; d != nil {
		detail.Request.Method = methodTo(boathook.Destination(*d))
	}
	return detail
}

// methodTo is how deliveries are sent to a destination.
func methodTo(d boathook.Destination) string {
	if d.Type == boathook.DestinationSQS {
		return "SendMessage" // the action of Amazon SQS
	}
	return http.MethodPost
}

func (f face) getDelivery(ctx context.Context, c httpjson.Call, _ httpjson.None) (deliveryDetail, error) {
	d, err := f.Deliveries.Get(ctx, c.Caller, c.PathValue("delivery"))
	return viewDetail(d), err
}

func (f face) listDeliveries(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.List[deliveryView], error) {
	params := c.URL.Query()
	only := service.DeliveryFilter{Status: boathook.DeliveryStatus(params.Get("status")), Event: boathook.EventType(params.Get("event"))}
	return httpjson.Listed(c, viewDelivery, func(p boathook.Page) ([]boathook.Delivery, string, error) {
		return f.Deliveries.List(ctx, c.Caller, sourceInPath(c), c.PathValue("outgoing"), only, p)
	})
}

func (f face) searchDeliveries(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.List[deliveryView], error) {
	params := c.URL.Query()
	search := service.DeliverySearch{
		SourceID: params.Get("source_id"), WebhookID: params.Get("webhook_id"), EventType: boathook.EventType(params.Get("event_type")),
		Status: boathook.DeliveryStatus(params.Get("status")), ResponseStatus: params.Get("response_status"),
	}
	var err error
	if search.Since, err = optionalTime(c, "since"); err != nil {
		return httpjson.List[deliveryView]{}, err
	}
	if search.Until, err = optionalTime(c, "until"); err != nil {
		return httpjson.List[deliveryView]{}, err
	}
	return httpjson.Listed(c, viewDelivery, func(p boathook.Page) ([]boathook.Delivery, string, error) {
		return f.Deliveries.All(ctx, c.Caller, search, p)
	})
}

// optionalTime is a time of the query; zero if it is not given.
func optionalTime(c httpjson.Call, name string) (time.Time, error) {
	text := c.URL.Query().Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	return parseTime(name, text)
}

func (f face) resendDelivery(ctx context.Context, c httpjson.Call, _ httpjson.None) (queued, error) {
	id, err := f.Deliveries.Resend(ctx, c.Caller, c.PathValue("delivery"))
	return queued{id.String()}, err
}
