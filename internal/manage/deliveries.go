package manage

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/dialect"
	"boathook/internal/queue"
	"boathook/internal/store"
)

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
// its headers are the message's attributes. Headers are null once the webhook is deleted, and before the first attempt.
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
		body := strings.ToValidUTF8(string(r.Body), "\uFFFD")
		view.ResponseStatus, view.ResponseHeaders = &r.Status, joined(r.Headers)
		view.ResponseBody, view.ResponseTruncated = &body, r.Truncated
		view.MessageID = httpjson.Nullable(r.MessageID)
	}
	return view
}

// joined has one value for each name, as HTTP allows to write several.
func joined(h http.Header) map[string]string {
	m := make(map[string]string, len(h))
	for name, values := range h {
		m[name] = strings.Join(values, ", ")
	}
	return m
}

var errNoDelivery = boathook.Errorf(boathook.NotFound, "there is no such delivery")

// deliveryID is the one that the path names.
func deliveryID(c call) (boathook.DeliveryID, error) {
	id, err := boathook.ParseDeliveryID(c.PathValue("delivery"))
	if err != nil {
		return id, noSuch("delivery", c.PathValue("delivery"))
	}
	return id, nil
}

func (h *Handler) getDelivery(ctx context.Context, c call, _ httpjson.None) (deliveryDetail, error) {
	id, err := deliveryID(c)
	if err != nil {
		return deliveryDetail{}, err
	}
	d, attempts, err := h.cfg.Store.Attempts(ctx, c.Workspace, id)
	if err != nil {
		return deliveryDetail{}, missing("delivery", c.PathValue("delivery"), err)
	}
	detail := deliveryDetail{
		deliveryView: viewDelivery(d),
		Request:      requestView{Method: http.MethodPost, Body: string(d.Body), BodyMissing: len(d.Body) == 0},
		Attempts:     make([]attemptView, len(attempts)),
	}
	for i, a := range attempts {
		detail.Attempts[i] = viewAttempt(a)
		// The last attempt's: the webhook's may be another by now.
		detail.Request.URL, detail.Request.Destination = httpjson.Nullable(a.URL), viewDestination(a.Destination)
	}
	if detail.Request.Destination != nil {
		detail.Request.Method = "SendMessage" // the action of Amazon SQS
	}
	w, err := h.cfg.Store.Outgoing(ctx, d.SourceID, d.WebhookID)
	if boathook.IsKind(err, boathook.NotFound) {
		return detail, nil
	}
	if err != nil {
		return deliveryDetail{}, err
	}
	if len(attempts) > 0 {
		detail.Request.Headers, err = sentHeaders(w, d, attempts[len(attempts)-1])
	}
	return detail, err
}

// sentHeaders recomputes the headers of an attempt, of which only the time and
// the signature are kept.
func sentHeaders(w boathook.OutgoingWebhook, d boathook.Delivery, a boathook.Attempt) (map[string]string, error) {
	name := cmp.Or(d.Dialect, w.Dialect)
	speaks, ok := dialect.Lookup(name)
	if !ok {
		return nil, fmt.Errorf("delivery %s has the unknown dialect %q", d.ID, name)
	}
	headers := boathook.ShownHeaders(w)
	m := dialect.Message{DeliveryID: d.ID, EventType: d.EventType, SentAt: a.SentAt, Body: d.Body}
	maps.Copy(headers, joined(speaks.Header(m, a.Signature)))
	return headers, nil
}

func (h *Handler) listDeliveries(ctx context.Context, c call, _ httpjson.None) (httpjson.List[deliveryView], error) {
	s, w, err := h.outgoing(ctx, c)
	if err != nil {
		return httpjson.List[deliveryView]{}, err
	}
	p, err := c.Page()
	if err != nil {
		return httpjson.List[deliveryView]{}, err
	}
	params := c.URL.Query()
	q := store.DeliveryQuery{
		WorkspaceID: c.Workspace, WebhookID: w.ID, Page: p,
		EventType: boathook.EventType(params.Get("event")),
	}
	if status := boathook.DeliveryStatus(params.Get("status")); status != "" {
		if !status.Valid() {
			return httpjson.List[deliveryView]{}, boathook.InvalidField("status", "must be %s, %s, %s or %s",
				boathook.DeliverySucceeded, boathook.DeliveryRetrying, boathook.DeliveryFailed, boathook.DeliveryCanceled)
		}
		q.Statuses = []boathook.DeliveryStatus{status}
	}
	if q.EventType != "" && !slices.Contains(boathook.EventTypes[s.Kind], q.EventType) {
		return httpjson.List[deliveryView]{}, boathook.InvalidField("event", "a %s has no event %q", s.Kind, q.EventType)
	}
	deliveries, next, err := h.cfg.Store.Deliveries(ctx, q)
	return httpjson.ViewList(deliveries, next, viewDelivery), err
}

func (h *Handler) resendDelivery(ctx context.Context, c call, _ httpjson.None) (queued, error) {
	id, err := deliveryID(c)
	if err != nil {
		return queued{}, err
	}
	d, err := h.cfg.Store.Delivery(ctx, c.Workspace, id)
	if err != nil {
		return queued{}, missing("delivery", c.PathValue("delivery"), err)
	}
	w, err := h.cfg.Store.Outgoing(ctx, d.SourceID, d.WebhookID)
	if boathook.IsKind(err, boathook.NotFound) {
		return queued{}, boathook.Errorf(boathook.Conflict, "the delivery's webhook is deleted")
	}
	if err != nil {
		return queued{}, err
	}
	return queued{d.ID.String()}, h.resend(ctx, w, d)
}

// resend queues one more attempt, with which the retry schedule starts again.
// While the delivery is being retried, it only comes sooner: a queued attempt
// of the same number finds itself made.
func (h *Handler) resend(ctx context.Context, w boathook.OutgoingWebhook, d boathook.Delivery) error {
	if !w.Enabled {
		return errDisabled
	}
	m, err := queue.EncodeDelivery(resend(w, d, h.cfg.Now()))
	if err != nil {
		return err
	}
	if err := h.cfg.Retries.Send(ctx, m); err != nil {
		return fmt.Errorf("queue a resend of %s: %w", d.ID, err)
	}
	return nil
}

// resend is one more attempt of a delivery, with which its retry schedule starts
// again. One that has waited for its first counts as postponed until now, so that
// the message that it waits with finds it made; but not past a rate limit.
func resend(w boathook.OutgoingWebhook, d boathook.Delivery, now time.Time) queue.Delivery {
	r := queue.Delivery{Delivery: d, Attempt: d.Attempts + 1, Series: d.Attempts + 1}
	if d.Attempts == 0 && w.RateLimit == 0 {
		r.NotBefore = now
	}
	return r
}
