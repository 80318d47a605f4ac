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
	if err := checkVerification(v); err != nil {
		return v, err
	}
	sender, err := preset.New(v)
	if err != nil {
		return v, err
	}
	if can, must := sender.TakesSecret(); !can {
		return v, wantNoSecret(in, of)
	} else if in.Secret == nil {
		if v.Preset == of.now.Preset {
			v.SealedSecret = of.now.SealedSecret
			return v, nil
		}
		bySecretOfItsOwn := of.ownSecret && sender.CheckSecret(boathook.NewAgentSecret()) == nil
		if must && !bySecretOfItsOwn {
			return v, boathook.InvalidField("verification.secret", "is required: the one that the sender signs with")
		}
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

// checkVerification checks what a verification says of the signature's form. Which of it a
// preset takes is the preset's to say.
func checkVerification(v boathook.Verification) error {
	if v.Preset == "" {
		return boathook.InvalidField("verification.preset", "is required: %s, for one", preset.GitHub)
	}
	for _, f := range []struct{ name, value string }{
		{"header", v.Header}, {"timestamp_header", v.TimestampHeader}, {"delivery_header", v.DeliveryHeader}, {"event_header", v.EventHeader},
	} {
		if f.value != "" && (!isToken(f.value) || len(f.value) > maxHeaderName) {
			return boathook.InvalidField("verification."+f.name, "must be a header's name of at most %d bytes", maxHeaderName)
		}
	}
	for _, f := range []struct {
		name, value string
		most        int
	}{{"prefix", v.Prefix, maxPrefix}, {"separator", v.Separator, maxSeparator}} {
		if len(f.value) > f.most || strings.ContainsFunc(f.value, isControl) {
			return boathook.InvalidField("verification."+f.name, "must have at most %d bytes, without control characters", f.most)
		}
	}
	return nil
}

// wantNoSecret refuses a secret for a preset that has none, and such a preset for what
// must be proven by a secret.
func wantNoSecret(in Verification, of verified) error {
	switch {
	case of.ownSecret && in.IsSet():
		return boathook.InvalidField("verification.preset", "%s is not by a secret: an agent needs one that is", in.Preset)
	case in.Secret != nil:
		return boathook.InvalidField("verification.secret", "the preset %s has none", in.Preset)
	}
	return nil
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
