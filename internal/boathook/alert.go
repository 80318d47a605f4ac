package boathook

import (
	"strconv"
	"time"
)

// Alerts are a source of each workspace: what its webhooks are told of is how Boathook
// itself fares in it.

// The alerts' events. [EventWebhookDisabled] is one too.
const (
	EventWebhookFailing    EventType = "webhook.failing"    // see [OutgoingWebhook.FailingAlert]
	EventWebhookRecovered  EventType = "webhook.recovered"  // see [OutgoingWebhook.RecoveredAlert]
	EventDeliveryExhausted EventType = "delivery.exhausted" // see [OutgoingWebhook.ExhaustedAlert]
	EventRunLost           EventType = "run.lost"           // see [Run.LostAlert]
)

// NewAlertsID is the id of a workspace's alerts, of which it has one.
func NewAlertsID(workspaceID string) string { return DeriveID(AlertsID, workspaceID) }

// AlertThreshold is when a webhook counts as failing: after so many failures in a row, of
// which the last came so long after the first. The zero value is [DefaultAlertThreshold].
type AlertThreshold struct {
	Failures int
	Over     time.Duration
}

// DefaultAlertThreshold has an endpoint that was away for a moment wake nobody.
var DefaultAlertThreshold = AlertThreshold{Failures: 3, Over: time.Minute}

// The highest thresholds. More failures are not counted; see [Health.Counts].
const (
	MaxAlertFailures = minFailures
	MaxAlertOver     = FailingPatience
)

// OrDefault is the threshold that is in force.
func (a AlertThreshold) OrDefault() AlertThreshold {
	if a == (AlertThreshold{}) {
		return DefaultAlertThreshold
	}
	return a
}

// Reached reports whether a webhook that fails at a time is over its threshold.
func (a AlertThreshold) Reached(h Health, at time.Time) bool {
	a = a.OrDefault()
	return !h.FailingSince.IsZero() && h.Failures >= a.Failures && at.Sub(h.FailingSince) >= a.Over
}

// Alert is how far the alerts of a webhook's failures have come. It is zero while there is
// nothing to tell. The two alerts of an incident, that it begins and that it is over, are
// told once each: who moves the state to a step tells of it, and then notes that it is
// told. What was begun and not told for [AlertPatience] is told by whoever comes by.
type Alert struct {
	Step  AlertStep
	At    time.Time // when the step was begun
	Since time.Time // since when the webhook fails or failed
}

// AlertStep is a step of an [Alert].
type AlertStep string

// The steps.
const (
	AlertNone       AlertStep = ""
	AlertFailing    AlertStep = "failing"    // webhook.failing is being told
	AlertTold       AlertStep = "told"       // it was
	AlertRecovering AlertStep = "recovering" // webhook.recovered is being told
)

// AlertPatience is how long who tells of a step may take.
const AlertPatience = time.Minute

// Stale reports whether who began a step has had the time to tell of it.
func (a Alert) Stale(at time.Time) bool { return at.Sub(a.At) >= AlertPatience }

// about is what the alerts of a webhook say of it. Of its URL they have the host alone,
// since the rest may hold a token; a queue's ARN holds none.
type about struct {
	WebhookID string `json:"webhook_id"`
	SourceID  string `json:"source_id"`
	Name      string `json:"name"`
	Host      string `json:"host"` // empty: it has a queue or a listener
	QueueARN  string `json:"queue_arn,omitempty"`
}

func (w *OutgoingWebhook) about() about {
	return about{w.ID, w.SourceID, w.Name, hostOf(w.URL), w.Destination.QueueARN}
}

// alert is an event of a workspace's alerts. The same parts make the same event.
func alert(t EventType, workspaceID string, env Environment, at time.Time, data any, parts ...string) Event {
	text, err := EncodeJSON(data)
	if err != nil {
		panic(err) // strings, numbers and times always encode
	}
	source := NewAlertsID(workspaceID)
	return Event{
		ID:          DeriveID(EventID, append([]string{source, string(t)}, parts...)...),
		WorkspaceID: workspaceID, SourceID: source, Environment: env, Type: t, Time: at, Data: text,
	}
}

// FailingAlert tells, at the time of an attempt that failed, that a webhook is over its
// threshold. The same incident always gives the same event id.
func (w *OutgoingWebhook) FailingAlert(a Alert, last Attempt) Event {
	return alert(EventWebhookFailing, w.WorkspaceID, w.Environment, a.At, struct {
		about
		FailingSince   Time    `json:"failing_since"`
		ResponseStatus *int    `json:"response_status"` // of the last attempt; null: it had no answer
		Error          *string `json:"error"`
	}{w.about(), Time{a.Since}, statusOf(last), nullable(last.Error)}, w.ID, a.Since.UTC().Format(TimeLayout))
}

// RecoveredAlert tells that a webhook works again of which [OutgoingWebhook.FailingAlert]
// was told. The same incident always gives the same event id.
func (w *OutgoingWebhook) RecoveredAlert(a Alert) Event {
	return alert(EventWebhookRecovered, w.WorkspaceID, w.Environment, a.At, struct {
		about
		FailingSince Time `json:"failing_since"`
		RecoveredAt  Time `json:"recovered_at"`
	}{w.about(), Time{a.Since}, Time{a.At}}, w.ID, a.Since.UTC().Format(TimeLayout))
}

// DisabledAlert is [OutgoingWebhook.DisabledEvent] for the workspace's alerts.
func (w *OutgoingWebhook) DisabledAlert(d Disabling) Event {
	return alert(EventWebhookDisabled, w.WorkspaceID, w.Environment, d.At, struct {
		about
		Reason     string `json:"reason"`
		DisabledAt Time   `json:"disabled_at"`
	}{w.about(), d.Reason, Time{d.At}}, w.ID, d.At.UTC().Format(TimeLayout))
}

// ExhaustedAlert tells that a delivery to a webhook has failed for good, with the attempt
// that was its last. The same delivery gives the same event id, unless it is resent.
func (w *OutgoingWebhook) ExhaustedAlert(d Delivery, last Attempt) Event {
	return alert(EventDeliveryExhausted, w.WorkspaceID, d.Environment, last.SentAt, struct {
		about
		DeliveryID     string    `json:"delivery_id"`
		EventID        string    `json:"event_id"`
		EventType      EventType `json:"event_type"`
		Attempts       int       `json:"attempts"`
		ResponseStatus *int      `json:"response_status"` // null: it had no answer
		Error          *string   `json:"error"`
	}{w.about(), d.ID.String(), d.EventID, d.EventType, d.Attempts, statusOf(last), nullable(last.Error)},
		d.ID.String(), strconv.Itoa(d.Resend))
}

func statusOf(a Attempt) *int {
	if a.Response == nil {
		return nil
	}
	return &a.Response.Status
}

// LostAlert tells that the run's runner was lost; see [RunHead.WasLost].
func (r *Run) LostAlert() Event {
	return alert(EventRunLost, r.WorkspaceID, r.Environment, r.CompletedAt, struct {
		RunID         string      `json:"run_id"`
		SourceID      string      `json:"source_id"`
		VersionNumber int         `json:"version_number"`
		Environment   Environment `json:"environment"`
		StartedAt     Time        `json:"started_at"`
		LostAt        Time        `json:"lost_at"` // when that was found
	}{r.ID, r.SourceID, r.VersionNumber, r.Environment, Time{r.StartedAt}, Time{r.CompletedAt}}, r.ID)
}
