package queue

import (
	"encoding/json"
	"fmt"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/deflate"
)

// The envelopes are JSON with short names; their payloads are compressed and,
// as []byte, base64 on the wire. A field may be added; one that is there never
// changes its meaning, since messages outlive deployments by days.

// runEnvelope is a run on its way to execute. It carries all that the run's
// record would hold, so that a run whose record could not be written executes
// all the same.
type runEnvelope struct {
	ID            string               `json:"r"`
	WorkspaceID   string               `json:"w"`
	SourceID      string               `json:"s"`
	VersionID     string               `json:"v"`
	VersionNumber int                  `json:"n"`
	Environment   boathook.Environment `json:"e"`
	Trigger       boathook.Trigger     `json:"t"`
	WebhookID     string               `json:"h,omitempty"`
	CreatedAt     int64                `json:"c"` // Unix milliseconds
	Input         []byte               `json:"i"`
}

// EncodeRun makes the message of a pending run.
func EncodeRun(r boathook.Run) (Message, error) {
	body, err := json.Marshal(runEnvelope{
		ID: r.ID, WorkspaceID: r.WorkspaceID, SourceID: r.SourceID, VersionID: r.VersionID,
		VersionNumber: r.VersionNumber, Environment: r.Environment, Trigger: r.Trigger,
		WebhookID: r.WebhookID, CreatedAt: r.CreatedAt.UnixMilli(), Input: deflate.Compress(r.Input),
	})
	if err != nil {
		return Message{}, fmt.Errorf("encode run %s: %w", r.ID, err)
	}
	return Message{Body: string(body), Group: r.SourceID}, nil
}

// DecodeRun reads a message of [EncodeRun]. An error is permanent: the same
// message will never read better.
func DecodeRun(body string) (boathook.Run, error) {
	var e runEnvelope
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		return boathook.Run{}, fmt.Errorf("decode run: %w", err)
	}
	input, err := deflate.Decompress(e.Input, boathook.MaxTriggerBody)
	if err != nil {
		return boathook.Run{}, fmt.Errorf("decode run %q: input: %w", e.ID, err)
	}
	if e.ID == "" || e.WorkspaceID == "" || e.SourceID == "" || e.VersionID == "" {
		return boathook.Run{}, fmt.Errorf("decode run %q: incomplete", e.ID)
	}
	return boathook.Run{
		RunHead: boathook.RunHead{
			ID: e.ID, WorkspaceID: e.WorkspaceID, SourceID: e.SourceID, VersionID: e.VersionID,
			VersionNumber: e.VersionNumber, Environment: e.Environment, Trigger: e.Trigger,
			WebhookID: e.WebhookID, InputHash: boathook.HashInput(input),
			CreatedAt: time.UnixMilli(e.CreatedAt).UTC(), Status: boathook.RunPending,
		},
		Input: input,
	}, nil
}

// MaxDeliveryBody is the longest body of a delivery: a run's event, which
// holds an input and an output, with room for the rest.
const MaxDeliveryBody = boathook.MaxTriggerBody + boathook.MaxRunOutput + 16<<10

// Delivery is an attempt that is to be made.
type Delivery struct {
	boathook.Delivery     // its identity and body; the rest is the record's to know
	Attempt           int // the number of the attempt to make, from 1
	Series            int // the attempt at which the retry schedule (re)started: 1, or a resend's

	// NotBefore is set while the attempt is put off: it had to wait for its
	// turn, and is made at this time (to the millisecond).
	NotBefore time.Time
}

// PutOff reports whether the attempt was put off.
func (d Delivery) PutOff() bool { return !d.NotBefore.IsZero() }

// Next is the attempt after d.
func (d Delivery) Next() Delivery {
	d.Attempt++
	d.NotBefore = time.Time{}
	return d
}

type deliveryEnvelope struct {
	ID          string               `json:"d"`
	WorkspaceID string               `json:"w"`
	SourceID    string               `json:"s"`
	WebhookID   string               `json:"h"`
	EventID     string               `json:"i"`
	EventType   boathook.EventType   `json:"t"`
	Environment boathook.Environment `json:"e,omitempty"`
	Attempt     int                  `json:"a"`
	Series      int                  `json:"f"`
	NotBefore   int64                `json:"q,omitempty"` // Unix milliseconds
	Body        []byte               `json:"b"`
}

// EncodeDelivery makes the message of an attempt.
func EncodeDelivery(d Delivery) (Message, error) { return encodeDelivery(d, deflate.Compress(d.Body)) }

// EncodeFirst makes the messages of the first attempts of deliveries that all
// send one body, which is compressed once. The deliveries' own are not looked at.
func EncodeFirst(body []byte, deliveries ...boathook.Delivery) ([]Message, error) {
	packed := deflate.Compress(body)
	messages := make([]Message, len(deliveries))
	for i, d := range deliveries {
		var err error
		if messages[i], err = encodeDelivery(Delivery{Delivery: d, Attempt: 1, Series: 1}, packed); err != nil {
			return nil, err
		}
	}
	return messages, nil
}

func encodeDelivery(d Delivery, packed []byte) (Message, error) {
	envelope := deliveryEnvelope{
		ID: d.ID.String(), WorkspaceID: d.WorkspaceID, SourceID: d.SourceID, WebhookID: d.WebhookID,
		EventID: d.EventID, EventType: d.EventType, Environment: d.Environment,
		Attempt: d.Attempt, Series: d.Series, Body: packed,
	}
	if d.PutOff() {
		envelope.NotBefore = d.NotBefore.UnixMilli()
	}
	body, err := json.Marshal(envelope)
	if err != nil {
		return Message{}, fmt.Errorf("encode delivery %s: %w", d.ID, err)
	}
	return Message{Body: string(body), Group: d.WebhookID}, nil
}

// DecodeDelivery reads a message of [EncodeDelivery]. An error is permanent.
func DecodeDelivery(body string) (Delivery, error) {
	var e deliveryEnvelope
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		return Delivery{}, fmt.Errorf("decode delivery: %w", err)
	}
	id, err := boathook.ParseDeliveryID(e.ID)
	if err != nil {
		return Delivery{}, fmt.Errorf("decode delivery %q: %w", e.ID, err)
	}
	text, err := deflate.Decompress(e.Body, MaxDeliveryBody)
	if err != nil {
		return Delivery{}, fmt.Errorf("decode delivery %s: body: %w", id, err)
	}
	if e.WorkspaceID == "" || e.SourceID == "" || e.WebhookID == "" || e.Attempt < 1 || e.Series < 1 || e.Series > e.Attempt {
		return Delivery{}, fmt.Errorf("decode delivery %s: incomplete", id)
	}
	d := Delivery{
		Delivery: boathook.Delivery{
			ID: id, WorkspaceID: e.WorkspaceID, SourceID: e.SourceID, WebhookID: e.WebhookID,
			EventID: e.EventID, EventType: e.EventType, Environment: e.Environment, Body: text,
		},
		Attempt: e.Attempt, Series: e.Series,
	}
	if e.NotBefore != 0 {
		d.NotBefore = time.UnixMilli(e.NotBefore).UTC()
	}
	return d, nil
}
