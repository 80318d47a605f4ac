package native

import (
	"encoding/json"

	"boathook/internal/boathook"
	"boathook/internal/preset"
	"boathook/internal/service"
)

// verificationInput is how an incoming webhook's senders are to prove
// themselves. The secret may be left out where the preset stays: then it stays
// too.
type verificationInput struct {
	Preset          string  `json:"preset"`
	Secret          *string `json:"secret"`
	Header          string  `json:"header"`
	Algorithm       string  `json:"algorithm"`
	Encoding        string  `json:"encoding"`
	Prefix          string  `json:"prefix"`
	Separator       string  `json:"separator"`
	TimestampHeader string  `json:"timestamp_header"`
	DeliveryHeader  string  `json:"delivery_header"`
	EventHeader     string  `json:"event_header"`
	EventPointer    string  `json:"event_pointer"`
	TopicARN        string  `json:"topic_arn"`
}

// verificationView has all but the secret, which is never shown.
type verificationView struct {
	Preset          string `json:"preset"`
	Header          string `json:"header,omitempty"`
	Algorithm       string `json:"algorithm,omitempty"`
	Encoding        string `json:"encoding,omitempty"`
	Prefix          string `json:"prefix,omitempty"`
	Separator       string `json:"separator,omitempty"`
	TimestampHeader string `json:"timestamp_header,omitempty"`
	DeliveryHeader  string `json:"delivery_header,omitempty"`
	EventHeader     string `json:"event_header,omitempty"`
	EventPointer    string `json:"event_pointer,omitempty"`
	TopicARN        string `json:"topic_arn,omitempty"`
}

func viewVerification(v boathook.Verification) verificationView {
	view := verificationView{
		Preset: v.Preset, Header: v.Header, Algorithm: v.Algorithm, Encoding: v.Encoding, Prefix: v.Prefix, Separator: v.Separator,
		TimestampHeader: v.TimestampHeader, DeliveryHeader: v.DeliveryHeader, EventHeader: v.EventHeader, EventPointer: v.EventPointer, TopicARN: v.TopicARN,
	}
	if view.Preset == "" {
		view.Preset = preset.None
	}
	return view
}

// filterView is a [boathook.Filter], as it is given and as it is shown.
type filterView struct {
	Events  []string        `json:"events,omitempty"`
	Pointer string          `json:"pointer,omitempty"`
	Equals  json.RawMessage `json:"equals,omitempty"`
	JQ      string          `json:"jq,omitempty"`
}

// viewFilter is nil where every request passes.
func viewFilter(f boathook.Filter) *filterView {
	if f.IsZero() {
		return nil
	}
	return &filterView{f.Events, f.Pointer, f.Equals, f.JQ}
}

// read gives the verification that is asked for; nil asks for no change.
func (in *verificationInput) read() *service.Verification {
	if in == nil {
		return nil
	}
	return &service.Verification{Secret: in.Secret, Verification: boathook.Verification{
		Preset: in.Preset, Header: in.Header, Algorithm: in.Algorithm, Encoding: in.Encoding, Prefix: in.Prefix, Separator: in.Separator,
		TimestampHeader: in.TimestampHeader, DeliveryHeader: in.DeliveryHeader, EventHeader: in.EventHeader, EventPointer: in.EventPointer, TopicARN: in.TopicARN,
	}}
}

// read gives the filter that is asked for; nil asks for no change.
func (f *filterView) read() *boathook.Filter {
	if f == nil {
		return nil
	}
	return &boathook.Filter{Events: f.Events, Pointer: f.Pointer, Equals: f.Equals, JQ: f.JQ}
}
