package service

import (
	"context"
	"fmt"
	"strings"

	"boathook/internal/boathook"
	"boathook/internal/preset"
	"boathook/internal/seal"
)

// The limits of a sender's secret, in bytes, and of what describes a signature.
const (
	minSenderSecret = 8
	maxSenderSecret = 256
	maxHeaderName   = 100
	maxPrefix       = 50
	maxSeparator    = 10
)

// Verification is how senders are to prove themselves. Without a secret the one that
// there is stays, where the preset stays.
type Verification struct {
	boathook.Verification         // its sealed secret does not count
	Secret                *string // in clear; nil: none is given
}

// verified is what keeps a verification: a webhook or an agent.
type verified struct {
	workspaceID, id string
	subject         string // of its secret; see package seal
	now             boathook.Verification
	ownSecret       bool // a verification without a secret is by another that it has
}

func verifiedWebhook(w boathook.IncomingWebhook) verified {
	return verified{workspaceID: w.WorkspaceID, id: w.ID, subject: seal.IncomingSecret(w.ID), now: w.Verification}
}

// sealVerification checks a verification and seals its secret for what keeps it.
func (k *core) sealVerification(ctx context.Context, in Verification, of verified) (boathook.Verification, error) {
	v := in.Verification
	v.SealedSecret = nil
	if in.Preset == "" {
		return v, boathook.InvalidField("verification.preset", "is required: %s, for one", preset.GitHub)
	}
	for _, f := range []struct{ name, value string }{
		{"header", in.Header}, {"timestamp_header", in.TimestampHeader}, {"delivery_header", in.DeliveryHeader}, {"event_header", in.EventHeader},
	} {
		if f.value != "" && (!isToken(f.value) || len(f.value) > maxHeaderName) {
			return v, boathook.InvalidField("verification."+f.name, "must be a header's name of at most %d bytes", maxHeaderName)
		}
	}
	if len(in.Prefix) > maxPrefix || strings.ContainsFunc(in.Prefix, isControl) {
		return v, boathook.InvalidField("verification.prefix", "must have at most %d bytes, without control characters", maxPrefix)
	}
	if len(in.Separator) > maxSeparator || strings.ContainsFunc(in.Separator, isControl) {
		return v, boathook.InvalidField("verification.separator", "must have at most %d bytes, without control characters", maxSeparator)
	}
	sender, err := preset.New(v)
	if err != nil {
		return v, err
	}
	can, must := sender.TakesSecret()
	switch {
	case !can && of.ownSecret && v.IsSet():
		return v, boathook.InvalidField("verification.preset", "%s is not by a secret: an agent needs one that is", v.Preset)
	case !can && in.Secret != nil:
		return v, boathook.InvalidField("verification.secret", "the preset %s has none", v.Preset)
	case !can:
		return v, nil
	case in.Secret == nil && v.Preset == of.now.Preset:
		v.SealedSecret = of.now.SealedSecret
		return v, nil
	case in.Secret == nil && must && !(of.ownSecret && sender.CheckSecret(boathook.NewAgentSecret()) == nil):
		return v, boathook.InvalidField("verification.secret", "is required: the one that the sender signs with")
	case in.Secret == nil:
		return v, nil
	}
	if err := checkSenderSecret(*in.Secret, sender); err != nil {
		return v, err
	}
	v.SealedSecret, err = k.cfg.Seal.Seal(ctx, of.workspaceID, of.subject, []byte(*in.Secret))
	if err != nil {
		return v, fmt.Errorf("seal the secret of %s: %w", of.id, err)
	}
	return v, nil
}

func checkSenderSecret(secret string, sender *preset.Sender) error {
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
