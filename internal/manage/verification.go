package manage

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"boathook/internal/boathook"
	"boathook/internal/provider"
	"boathook/internal/seal"
)

// The limits of a sender's secret, in bytes, and of what describes a signature.
const (
	minSenderSecret = 8
	maxSenderSecret = 256
	maxHeaderName   = 100
	maxPrefix       = 50
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
	TimestampHeader string  `json:"timestamp_header"`
	DeliveryHeader  string  `json:"delivery_header"`
}

// verificationView has all but the secret, which is never shown.
type verificationView struct {
	Preset          string `json:"preset"`
	Header          string `json:"header,omitempty"`
	Algorithm       string `json:"algorithm,omitempty"`
	Encoding        string `json:"encoding,omitempty"`
	Prefix          string `json:"prefix,omitempty"`
	TimestampHeader string `json:"timestamp_header,omitempty"`
	DeliveryHeader  string `json:"delivery_header,omitempty"`
}

func viewVerification(v boathook.Verification) verificationView {
	view := verificationView{v.Preset, v.Header, v.Algorithm, v.Encoding, v.Prefix, v.TimestampHeader, v.DeliveryHeader}
	if view.Preset == "" {
		view.Preset = provider.None
	}
	return view
}

// filterView is a [boathook.Filter], as it is given and as it is shown.
type filterView struct {
	Events  []string        `json:"events,omitempty"`
	Pointer string          `json:"pointer,omitempty"`
	Equals  json.RawMessage `json:"equals,omitempty"`
}

// viewFilter is nil where every request passes.
func viewFilter(f boathook.Filter) *filterView {
	if f.IsZero() {
		return nil
	}
	return &filterView{f.Events, f.Pointer, f.Equals}
}

// sealVerification checks a verification and seals its secret for w, whose own
// is the one before.
func (h *Handler) sealVerification(ctx context.Context, in verificationInput, w boathook.IncomingWebhook) (boathook.Verification, error) {
	v := boathook.Verification{
		Preset: in.Preset, Header: in.Header, Algorithm: in.Algorithm, Encoding: in.Encoding, Prefix: in.Prefix,
		TimestampHeader: in.TimestampHeader, DeliveryHeader: in.DeliveryHeader,
	}
	if in.Preset == "" {
		return v, boathook.InvalidField("verification.preset", "is required: %s, for one", provider.GitHub)
	}
	for _, f := range []struct{ name, value string }{
		{"header", in.Header}, {"timestamp_header", in.TimestampHeader}, {"delivery_header", in.DeliveryHeader},
	} {
		if f.value != "" && (!isToken(f.value) || len(f.value) > maxHeaderName) {
			return v, boathook.InvalidField("verification."+f.name, "must be a header's name of at most %d bytes", maxHeaderName)
		}
	}
	if len(in.Prefix) > maxPrefix || strings.ContainsFunc(in.Prefix, isControl) {
		return v, boathook.InvalidField("verification.prefix", "must have at most %d bytes, without control characters", maxPrefix)
	}
	sender, err := provider.New(v)
	if err != nil {
		return v, err
	}
	switch {
	case !sender.Verifies() && in.Secret != nil:
		return v, boathook.InvalidField("verification.secret", "the preset %s has none", v.Preset)
	case !sender.Verifies():
		return v, nil
	case in.Secret == nil && v.Preset == w.Verification.Preset:
		v.SealedSecret = w.Verification.SealedSecret
		return v, nil
	case in.Secret == nil:
		return v, boathook.InvalidField("verification.secret", "is required: the one that the sender signs with")
	}
	if err := checkSenderSecret(*in.Secret, sender); err != nil {
		return v, err
	}
	v.SealedSecret, err = h.cfg.Seal.Seal(ctx, w.WorkspaceID, seal.IncomingSecret(w.ID), []byte(*in.Secret))
	if err != nil {
		return v, fmt.Errorf("seal the secret of %s: %w", w.ID, err)
	}
	return v, nil
}

func checkSenderSecret(secret string, sender *provider.Provider) error {
	const field = "verification.secret"
	if len(secret) < minSenderSecret || len(secret) > maxSenderSecret {
		return boathook.InvalidField(field, "must have %d to %d bytes", minSenderSecret, maxSenderSecret)
	}
	if secret != strings.TrimSpace(secret) || strings.ContainsFunc(secret, isControl) {
		return boathook.InvalidField(field, "has control characters, or spaces around it")
	}
	if err := sender.CheckSecret(secret); err != nil {
		return boathook.InvalidField(field, "%s", err)
	}
	return nil
}
