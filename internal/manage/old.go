package manage

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/preset"
	"boathook/internal/seal"
	"boathook/internal/store"
)

// The limits of a sender's secret, in bytes, and of what describes a signature.
const (
	minSenderSecret = 8
	maxSenderSecret = 256
	maxHeaderName   = 100
	maxPrefix       = 50
	maxSeparator    = 10
)

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
func (h *Handler) sealVerification(ctx context.Context, in verificationInput, of verified) (boathook.Verification, error) {
	v := boathook.Verification{
		Preset: in.Preset, Header: in.Header, Algorithm: in.Algorithm, Encoding: in.Encoding, Prefix: in.Prefix, Separator: in.Separator,
		TimestampHeader: in.TimestampHeader, DeliveryHeader: in.DeliveryHeader, EventHeader: in.EventHeader, EventPointer: in.EventPointer, TopicARN: in.TopicARN,
	}
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
	v.SealedSecret, err = h.cfg.Seal.Seal(ctx, of.workspaceID, of.subject, []byte(*in.Secret))
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

// addVersion makes a source's next version and puts it live.
func (h *Handler) addVersion(ctx context.Context, s boathook.Source, env boathook.Environment, in targetInput) (boathook.Version, error) {
	target, err := h.target(in)
	if err != nil {
		return boathook.Version{}, boathook.Within("target", err)
	}
	v := boathook.Version{
		ID: boathook.NewID(boathook.VersionID), SourceID: s.ID, WorkspaceID: s.WorkspaceID,
		Environment: env, Target: target, CreatedAt: h.cfg.Now(),
	}
	v.SealedHeaders, err = h.sealHeaders(ctx, v.WorkspaceID, seal.TargetHeaders(v.ID), v.Target.Headers)
	if err != nil {
		return boathook.Version{}, err
	}
	v.Target.Headers = boathook.Masked(v.Target.Headers)
	return h.cfg.Store.AddVersion(ctx, v)
}

// target refuses one that is not whole, has fields of another type, or is not
// allowed here.
func (h *Handler) target(in targetInput) (boathook.Target, error) {
	t := boathook.Target{Type: in.Type, Headers: in.Headers, Argv: in.Argv}
	fields := []struct {
		name   string
		given  bool
		of     boathook.TargetType
		needed bool
	}{
		{"url", in.URL != nil, boathook.TargetHTTP, true},
		{"headers", in.Headers != nil, boathook.TargetHTTP, false},
		{"function_arn", in.FunctionARN != nil, boathook.TargetLambda, true},
		{"runtime_arn", in.RuntimeARN != nil, boathook.TargetAgentCore, true},
		{"argv", in.Argv != nil, boathook.TargetCommand, true},
	}
	known := false
	for _, f := range fields {
		known = known || f.of == t.Type
	}
	if !known {
		return t, boathook.InvalidField("type", "must be %s, %s, %s or %s",
			boathook.TargetHTTP, boathook.TargetLambda, boathook.TargetAgentCore, boathook.TargetCommand)
	}
	for _, f := range fields {
		if f.given && f.of != t.Type {
			return t, boathook.InvalidField(f.name, "does not belong to a target of type %s", t.Type)
		}
		if f.needed && f.of == t.Type && !f.given {
			return t, boathook.InvalidField(f.name, "is required")
		}
	}

	if in.TimeoutSeconds != nil {
		if err := checkSeconds("timeout_seconds", *in.TimeoutSeconds, 1, boathook.MaxRunTimeout); err != nil {
			return t, err
		}
		t.TimeoutSeconds = *in.TimeoutSeconds
	}
	switch t.Type {
	case boathook.TargetHTTP:
		if err := h.cfg.CheckURL("url", *in.URL); err != nil {
			return t, err
		}
		if err := checkHeaders(in.Headers); err != nil {
			return t, err
		}
		t.URL = *in.URL
	case boathook.TargetLambda:
		t.FunctionARN = *in.FunctionARN
	case boathook.TargetAgentCore:
		t.RuntimeARN = *in.RuntimeARN
	case boathook.TargetCommand:
		if err := checkArgv(in.Argv); err != nil {
			return t, err
		}
	}
	return t, h.cfg.AllowTarget(t)
}

// listAgentRequests lists the triggers of an agent, which is its own webhook.
func (h *Handler) listAgentRequests(ctx context.Context, c call, _ httpjson.None) (httpjson.List[arrivalView], error) {
	s, err := h.agent(ctx, c)
	if err != nil {
		return httpjson.List[arrivalView]{}, err
	}
	return h.requests(ctx, c, s.ID, s.ID)
}

func (h *Handler) requests(ctx context.Context, c call, sourceID, webhookID string) (httpjson.List[arrivalView], error) {
	p, err := c.Page()
	if err != nil {
		return httpjson.List[arrivalView]{}, err
	}
	q := store.RequestQuery{
		WorkspaceID: c.Workspace, SourceID: sourceID, WebhookID: webhookID, Page: p,
		Outcome: boathook.RequestOutcome(c.URL.Query().Get("outcome")),
	}
	if q.Outcome != "" && !slices.Contains(boathook.RequestOutcomes, q.Outcome) {
		return httpjson.List[arrivalView]{}, boathook.InvalidField("outcome", "must be %s, %s, %s, %s or %s", boathook.RequestAccepted,
			boathook.RequestRepeated, boathook.RequestIgnored, boathook.RequestAnswered, boathook.RequestRejected)
	}
	requests, next, err := h.cfg.Store.Requests(ctx, q)
	return httpjson.ViewList(requests, next, viewArrival), err
}
