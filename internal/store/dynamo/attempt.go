package dynamo

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/compress"
)

// attemptText is an attempt as it is stored: this in JSON and, if there is a
// response with a body, a line break and the body. Both are compressed as one,
// since many a word is in both.
type attemptText struct {
	Number    int           `json:"n"`
	SentAt    int64         `json:"t"` // Unix milliseconds
	Duration  int64         `json:"d"` // milliseconds
	URL       string        `json:"u,omitempty"`
	Signature string        `json:"g,omitempty"`
	Response  *responseText `json:"r,omitempty"`
	Error     string        `json:"e,omitempty"`
	CutAt     int64         `json:"c,omitempty"` // Unix milliseconds
	Trace     string        `json:"p,omitempty"`

	Destination *destinationText `json:"w,omitempty"` // nil: it was sent to a URL
}

type destinationText struct {
	Type     boathook.DestinationType `json:"t"`
	QueueARN string                   `json:"q,omitempty"`
}

type responseText struct {
	Status    int         `json:"s"`
	Headers   http.Header `json:"h,omitempty"`
	Truncated bool        `json:"t,omitempty"`
	MessageID string      `json:"m,omitempty"`
}

func packAttempt(a boathook.Attempt) ([]byte, error) {
	t := attemptText{
		Number: a.Number, SentAt: a.SentAt.UnixMilli(), Duration: a.Duration.Milliseconds(),
		URL: a.URL, Signature: a.Signature, Error: a.Error, Trace: a.TraceParent,
	}
	if !a.Destination.IsZero() {
		t.Destination = new(destinationText(a.Destination))
	}
	if !a.CutAt.IsZero() {
		t.CutAt = a.CutAt.UnixMilli()
	}
	var body []byte
	if r := a.Response; r != nil {
		t.Response = &responseText{r.Status, r.Headers, r.Truncated, r.MessageID}
		body = r.Body
	}
	text, err := boathook.EncodeJSON(t)
	if err != nil {
		return nil, err
	}
	if len(body) > 0 {
		text = append(append(text, '\n'), body...)
	}
	return compress.Compress(text), nil
}

func unpackAttempt(packed []byte) (a boathook.Attempt, err error) {
	text, err := compress.Decompress(packed, maxText)
	if err != nil {
		return a, err
	}
	text, body, _ := bytes.Cut(text, []byte{'\n'})
	var t attemptText
	if err := json.Unmarshal(text, &t); err != nil {
		return a, err
	}
	a = boathook.Attempt{
		Number: t.Number, SentAt: time.UnixMilli(t.SentAt).UTC(), Duration: time.Duration(t.Duration) * time.Millisecond,
		URL: t.URL, Signature: t.Signature, Error: t.Error, TraceParent: t.Trace,
	}
	if t.Destination != nil {
		a.Destination = boathook.Destination(*t.Destination)
	}
	if t.CutAt != 0 {
		a.CutAt = time.UnixMilli(t.CutAt).UTC()
	}
	if r := t.Response; r != nil {
		a.Response = &boathook.Response{Status: r.Status, Headers: r.Headers, Body: body, Truncated: r.Truncated, MessageID: r.MessageID}
	}
	return a, nil
}
