package queue

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"

	"boathook/internal/boathook"
	"boathook/internal/compress"
)

// The envelopes are JSON with short names; their payloads are compressed and,
// as []byte, base64 on the wire. A field may be added; one that is there never
// changes its meaning, since messages outlive deployments by days.
//
// On one machine, where short payloads are not compressed, they are no field but follow
// the envelope as they are, behind a line feed; an envelope has none itself.

// enclose gives what an envelope has of a payload, and what follows it. Who reads neither
// finds no payload.
func enclose(b boathook.Body) (packed, behind []byte) {
	if plain := b.Bytes(); len(plain) > 0 && compress.StaysPlain(plain) && isText(plain) {
		return nil, plain
	}
	return compress.Pack(b), nil
}

// message is an envelope and what follows it.
func message(envelope any, behind []byte, group string) (Message, error) {
	text, err := json.Marshal(envelope)
	if err != nil {
		return Message{}, err
	}
	if behind == nil {
		return Message{Body: string(text), Group: group}, nil
	}
	var body strings.Builder
	body.Grow(len(text) + 1 + len(behind))
	body.Write(text)
	body.WriteByte('\n')
	body.Write(behind)
	return Message{Body: body.String(), Group: group}, nil
}

// disclose undoes enclose.
func disclose(packed []byte, behind string, limit int) (boathook.Body, error) {
	switch {
	case behind == "":
		return compress.Open(packed, limit)
	case packed != nil:
		return boathook.Body{}, errors.New("it is in the envelope and behind it")
	case len(behind) > limit:
		return boathook.Body{}, fmt.Errorf("longer than %d bytes", limit)
	}
	return boathook.NewBody([]byte(behind)), nil
}

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
	EventName     string               `json:"en,omitempty"`
	EventSource   string               `json:"es,omitempty"`
	Fenced        bool                 `json:"fe,omitempty"`
	Details       *detailsEnvelope     `json:"d,omitempty"`
	RetryOf       string               `json:"ro,omitempty"`
	Trace         traceEnvelope        `json:"tc,omitzero"`
	RetryNumber   int                  `json:"rn,omitempty"`
	StartsAt      int64                `json:"sa,omitempty"` // Unix milliseconds
	TakesTurn     bool                 `json:"tt,omitempty"`
	Burst         *burstEnvelope       `json:"b,omitempty"`
	Input         []byte               `json:"i"`
}

type detailsEnvelope struct {
	Event       string `json:"e,omitempty"`
	DeliveryID  string `json:"d,omitempty"`
	ContentType string `json:"c,omitempty"`
	Query       string `json:"q,omitempty"`
	FilterError string `json:"f,omitempty"`
}

// burstEnvelope are the triggers that a run takes the place of, as far as they were known.
type burstEnvelope struct {
	Count    int                    `json:"n"`
	Triggers []burstTriggerEnvelope `json:"t"`
}

type burstTriggerEnvelope struct {
	ID         string `json:"i"`
	DeliveryID string `json:"d,omitempty"`
	At         int64  `json:"a"` // Unix milliseconds
}

func newBurstEnvelope(b *boathook.Burst) *burstEnvelope {
	if b == nil {
		return nil
	}
	e := &burstEnvelope{Count: b.Count}
	for _, t := range b.Triggers {
		e.Triggers = append(e.Triggers, burstTriggerEnvelope{t.ID, t.DeliveryID, t.At.UnixMilli()})
	}
	return e
}

func (e *burstEnvelope) burst() *boathook.Burst {
	if e == nil {
		return nil
	}
	b := &boathook.Burst{Count: e.Count}
	for _, t := range e.Triggers {
		b.Triggers = append(b.Triggers, boathook.BurstTrigger{ID: t.ID, DeliveryID: t.DeliveryID, At: time.UnixMilli(t.At).UTC()})
	}
	return b
}

// traceEnvelope is the place in a trace that a run or a delivery follows from.
type traceEnvelope struct {
	Parent string `json:"p"`
	State  string `json:"s,omitempty"`
}

// EncodeRun makes the message of a pending run.
func EncodeRun(r boathook.Run) (Message, error) {
	input, behind := enclose(r.Input)
	e := runEnvelope{
		ID: r.ID, WorkspaceID: r.WorkspaceID, SourceID: r.SourceID, VersionID: r.VersionID,
		VersionNumber: r.VersionNumber, Environment: r.Environment, Trigger: r.Trigger,
		WebhookID: r.WebhookID, CreatedAt: r.CreatedAt.UnixMilli(),
		EventName: r.EventName, EventSource: r.EventSource, Fenced: r.Fenced, Input: input,
		RetryOf: r.RetryOf, RetryNumber: r.RetryNumber, Trace: traceEnvelope(r.Trace), TakesTurn: r.TakesTurn, Burst: newBurstEnvelope(r.Burst),
	}
	if !r.StartsAt.IsZero() {
		e.StartsAt = r.StartsAt.UnixMilli()
	}
	if !r.Details.IsZero() {
		details := detailsEnvelope(r.Details)
		e.Details = &details
	}
	m, err := message(e, behind, r.SourceID)
	if err != nil {
		return Message{}, fmt.Errorf("encode run %s: %w", r.ID, err)
	}
	return m, nil
}

// DecodeRun reads a message of [EncodeRun]. An error is permanent: the same
// message will never read better.
func DecodeRun(body string) (boathook.Run, error) {
	envelope, behind, _ := strings.Cut(body, "\n")
	var e runEnvelope
	if err := jsonv2.Unmarshal([]byte(envelope), &e); err != nil {
		return boathook.Run{}, fmt.Errorf("decode run: %w", err)
	}
	input, err := disclose(e.Input, behind, boathook.MaxTriggerBody)
	if err != nil {
		return boathook.Run{}, fmt.Errorf("decode run %q: input: %w", e.ID, err)
	}
	if e.ID == "" || e.WorkspaceID == "" || e.SourceID == "" || e.VersionID == "" {
		return boathook.Run{}, fmt.Errorf("decode run %q: incomplete", e.ID)
	}
	var details boathook.TriggerDetails
	if e.Details != nil {
		details = boathook.TriggerDetails(*e.Details)
	}
	var startsAt time.Time
	if e.StartsAt != 0 {
		startsAt = time.UnixMilli(e.StartsAt).UTC()
	}
	return boathook.Run{
		RunHead: boathook.RunHead{
			ID: e.ID, WorkspaceID: e.WorkspaceID, SourceID: e.SourceID, VersionID: e.VersionID,
			VersionNumber: e.VersionNumber, Environment: e.Environment, Trigger: e.Trigger,
			WebhookID: e.WebhookID, InputHash: boathook.HashInput(input.Bytes()),
			CreatedAt: time.UnixMilli(e.CreatedAt).UTC(), Status: boathook.RunPending,
			EventName: e.EventName, EventSource: e.EventSource, Fenced: e.Fenced, Details: details,
			RetryOf: e.RetryOf, RetryNumber: e.RetryNumber, StartsAt: startsAt,
			Trace: boathook.TraceContext(e.Trace), TakesTurn: e.TakesTurn, Burst: e.Burst.burst(),
		},
		Input: input,
	}, nil
}

// MaxDeliveryBody is the longest body of a delivery: a run's event, which
// holds an input and an output, with room for the rest. It fits a message: JSON is
// text in UTF-8, whose bytes are not all as likely, so that even noise shrinks to
// less than 19/20, and the base64 of that is below [MaxBody].
const MaxDeliveryBody = boathook.MaxTriggerBody + boathook.MaxRunOutput + 16<<10

// Delivery is an attempt that is to be made.
type Delivery struct {
	boathook.Delivery     // its identity and body; the rest is the record's to know
	Attempt           int // the number of the attempt to make, from 1
	First             int // the attempt at which the retry schedule (re)started: 1, or a resend's
	Skipped           int // waits of the schedule that passed without an attempt: see Since

	// NotBefore is set while the attempt is postponed, and is then when it is made
	// (to the millisecond).
	NotBefore time.Time
	// Since is when the schedule began, of a delivery that has had to wait for its
	// endpoint to answer: its waits pass from then on, with attempts or without.
	Since time.Time
	// CutAt is when an earlier request of the same attempt was given up, to make
	// room for others. Its receiver may have taken it.
	CutAt time.Time
	// Again is set of a first attempt that somebody asks for: another message may have led
	// to it already.
	Again bool
}

// Postponed reports whether the attempt was postponed.
func (d Delivery) Postponed() bool { return !d.NotBefore.IsZero() }

// Failures is how many waits of the retry schedule are used up if the attempt
// fails.
func (d Delivery) Failures() int { return d.Attempt - d.First + 1 + d.Skipped }

// Next is the attempt after d.
func (d Delivery) Next() Delivery {
	return Delivery{Delivery: d.Delivery, Attempt: d.Attempt + 1, First: d.First, Skipped: d.Skipped, Since: d.Since}
}

type deliveryEnvelope struct {
	ID          string               `json:"d"`
	WorkspaceID string               `json:"w"`
	SourceID    string               `json:"s"`
	WebhookID   string               `json:"h"`
	EventID     string               `json:"i"`
	EventType   boathook.EventType   `json:"t"`
	Environment boathook.Environment `json:"e,omitempty"`
	Dialect     string               `json:"l,omitempty"`
	Attempt     int                  `json:"a"`
	First       int                  `json:"f"`
	Skipped     int                  `json:"k,omitempty"`
	NotBefore   int64                `json:"q,omitempty"` // Unix milliseconds, as the others
	Since       int64                `json:"p,omitempty"`
	CutAt       int64                `json:"c,omitempty"`
	Again       bool                 `json:"g,omitempty"`
	Trace       traceEnvelope        `json:"tc,omitzero"`
	ContentType string               `json:"y,omitempty"`
	Fault       string               `json:"x,omitempty"`
	Body        []byte               `json:"b,omitempty"` // never empty in a message
}

// EncodeDelivery makes the message of an attempt.
func EncodeDelivery(d Delivery) (Message, error) {
	packed, behind := enclose(d.Body)
	m, err := message(newDeliveryEnvelope(d, packed), behind, d.WebhookID)
	if err != nil {
		return Message{}, fmt.Errorf("encode delivery %s: %w", d.ID, err)
	}
	return m, nil
}

func newDeliveryEnvelope(d Delivery, packed []byte) deliveryEnvelope {
	return deliveryEnvelope{
		ID: d.ID.String(), WorkspaceID: d.WorkspaceID, SourceID: d.SourceID, WebhookID: d.WebhookID,
		EventID: d.EventID, EventType: d.EventType, Environment: d.Environment, Dialect: d.Dialect, ContentType: d.ContentType, Fault: d.Fault,
		Attempt: d.Attempt, First: d.First, Skipped: d.Skipped,
		NotBefore: millis(d.NotBefore), Since: millis(d.Since), CutAt: millis(d.CutAt), Again: d.Again, Trace: traceEnvelope(d.Trace), Body: packed,
	}
}

// EncodeWaiting is a message without its body and its trace, for an attempt that waits
// in the store: the delivery's record has both.
func EncodeWaiting(d Delivery) ([]byte, error) {
	d.Trace = boathook.TraceContext{}
	text, err := json.Marshal(newDeliveryEnvelope(d, nil))
	if err != nil {
		return nil, fmt.Errorf("encode delivery %s: %w", d.ID, err)
	}
	return text, nil
}

// DecodeWaiting reads what [EncodeWaiting] made. An error is permanent.
func DecodeWaiting(text []byte) (Delivery, error) {
	d, packed, err := decodeEnvelope(text)
	if err == nil && packed != nil {
		err = fmt.Errorf("decode delivery %s: it has a body", d.ID)
	}
	return d, err
}

// DecodeDelivery reads a message of [EncodeDelivery]. An error is permanent.
func DecodeDelivery(body string) (Delivery, error) {
	envelope, behind, _ := strings.Cut(body, "\n")
	d, packed, err := decodeEnvelope([]byte(envelope))
	if err != nil {
		return Delivery{}, err
	}
	if d.Body, err = disclose(packed, behind, MaxDeliveryBody); err != nil {
		return Delivery{}, fmt.Errorf("decode delivery %s: body: %w", d.ID, err)
	}
	return d, nil
}

func decodeEnvelope(text []byte) (d Delivery, packed []byte, err error) {
	var e deliveryEnvelope
	if err := jsonv2.Unmarshal(text, &e); err != nil {
		return d, nil, fmt.Errorf("decode delivery: %w", err)
	}
	id, err := boathook.ParseDeliveryID(e.ID)
	if err != nil {
		return d, nil, fmt.Errorf("decode delivery %q: %w", e.ID, err)
	}
	if e.WorkspaceID == "" || e.SourceID == "" || e.WebhookID == "" || e.Attempt < 1 || e.First < 1 || e.First > e.Attempt || e.Skipped < 0 {
		return d, nil, fmt.Errorf("decode delivery %s: incomplete", id)
	}
	return Delivery{
		Delivery: boathook.Delivery{
			ID: id, WorkspaceID: e.WorkspaceID, SourceID: e.SourceID, WebhookID: e.WebhookID,
			EventID: e.EventID, EventType: e.EventType, Environment: e.Environment, Dialect: e.Dialect, ContentType: e.ContentType, Fault: e.Fault,
			Trace: boathook.TraceContext(e.Trace),
		},
		Attempt: e.Attempt, First: e.First, Skipped: e.Skipped,
		NotBefore: atMillis(e.NotBefore), Since: atMillis(e.Since), CutAt: atMillis(e.CutAt), Again: e.Again,
	}, e.Body, nil
}

// millis is a time in Unix milliseconds, and 0 for none.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func atMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
