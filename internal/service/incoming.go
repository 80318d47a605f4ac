package service

import (
	"context"
	"fmt"
	"slices"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/seal"
	"boathook/internal/store"
)

// Incoming are the incoming webhooks of deployments: URLs that start runs.
type Incoming struct{ *core }

// IncomingChange has what an incoming webhook can be set to; nil leaves a field as it
// is.
type IncomingChange struct {
	Name           *string
	Enabled        *bool
	WaitForStartMS *int
	Verification   *Verification // of the preset "none" ends it
	RerunFailed    *bool
	Filter         *boathook.Filter // the zero one ends it
	Coalesce       *Coalesce        // the zero one ends it
}

// Coalesce has the triggers of a burst become one run.
type Coalesce struct {
	Key            string // in jq
	QuietSeconds   *int
	MaxWaitSeconds *int // nil: as QuietSeconds
}

func (in Coalesce) read() (c boathook.Coalescing, err error) {
	if in == (Coalesce{}) {
		return c, nil
	}
	const most, longest = int(boathook.MaxQuiet / time.Second), int(boathook.MaxBurstWait / time.Second)
	if in.Key == "" {
		return c, boathook.InvalidField("coalesce.key", "is required: the expression null puts all triggers together")
	}
	if err := checkExpression("coalesce.key", in.Key); err != nil {
		return c, err
	}
	if in.QuietSeconds == nil || *in.QuietSeconds < 1 || *in.QuietSeconds > most {
		return c, boathook.InvalidField("coalesce.quiet_seconds", "must be 1 to %d", most)
	}
	wait := *in.QuietSeconds
	if in.MaxWaitSeconds != nil {
		wait = *in.MaxWaitSeconds
	}
	if wait < *in.QuietSeconds || wait > longest {
		return c, boathook.InvalidField("coalesce.max_wait_seconds", "must be quiet_seconds to %d", longest)
	}
	return boathook.Coalescing{Key: in.Key, Quiet: time.Duration(*in.QuietSeconds) * time.Second, MaxWait: time.Duration(wait) * time.Second}, nil
}

// incoming finds a deployment's webhook.
func (k *core) incoming(ctx context.Context, c Caller, deploymentID, id string) (boathook.IncomingWebhook, error) {
	var w boathook.IncomingWebhook
	err := beside(func() error {
		_, err := k.source(ctx, c, boathook.Deployment, deploymentID)
		return err
	}, func() (err error) {
		w, err = k.cfg.Store.Incoming(ctx, deploymentID, id)
		return missing("incoming webhook", id, err)
	})
	return w, err
}

// Create makes a webhook that runs what is live in an environment.
func (k Incoming) Create(ctx context.Context, c Caller, deploymentID string, env boathook.Environment, in IncomingChange) (w boathook.IncomingWebhook, token boathook.URLToken, err error) {
	if err := c.May("Incoming.Create"); err != nil {
		return w, token, err
	}
	s, err := k.source(ctx, c, boathook.Deployment, deploymentID)
	if err != nil {
		return w, token, err
	}
	if err := checkEnvironment(env); err != nil {
		return w, token, err
	}
	w = boathook.IncomingWebhook{
		ID: boathook.NewID(boathook.IncomingID), WorkspaceID: s.WorkspaceID, SourceID: s.ID,
		Environment: env, Enabled: true, WaitForStart: boathook.DefaultWaitForStart, CreatedAt: k.cfg.Now(),
	}
	if err := k.applyIncoming(ctx, in, &w); err != nil {
		return w, token, err
	}
	others, err := k.cfg.Store.AllIncoming(ctx, s.ID)
	if err != nil {
		return w, token, err
	}
	if len(others) >= boathook.MaxWebhooks {
		return w, token, boathook.Errorf(boathook.Invalid, "a deployment has at most %d incoming webhooks", boathook.MaxWebhooks)
	}
	return k.putWithNewToken(ctx, w)
}

// putWithNewToken stores a webhook with a new token. The URL that it had stops
// working.
func (k *core) putWithNewToken(ctx context.Context, w boathook.IncomingWebhook) (boathook.IncomingWebhook, boathook.URLToken, error) {
	token := boathook.NewURLToken(w.SourceID, w.ID)
	sealed, err := k.cfg.Seal.Seal(ctx, w.WorkspaceID, seal.IncomingToken(w.ID), []byte(token.Text))
	if err != nil {
		return w, token, fmt.Errorf("seal the token of %s: %w", w.ID, err)
	}
	w.TokenHash, w.SealedToken = token.Hash(), sealed
	w.UpdatedAt = k.cfg.Now()
	return w, token, k.cfg.Store.PutIncoming(ctx, w)
}

// List gives the newest first.
func (k Incoming) List(ctx context.Context, c Caller, deploymentID string, p boathook.Page) (webhooks []boathook.IncomingWebhook, next string, err error) {
	if err := c.May("Incoming.List"); err != nil {
		return nil, "", err
	}
	s, err := k.source(ctx, c, boathook.Deployment, deploymentID)
	if err != nil {
		return nil, "", err
	}
	all, err := k.cfg.Store.AllIncoming(ctx, s.ID)
	if err != nil {
		return nil, "", err
	}
	return cut(all, p, func(w boathook.IncomingWebhook) place { return place{w.CreatedAt, w.ID} })
}

// Get finds one of a deployment.
func (k Incoming) Get(ctx context.Context, c Caller, deploymentID, id string) (boathook.IncomingWebhook, error) {
	if err := c.May("Incoming.Get"); err != nil {
		return boathook.IncomingWebhook{}, err
	}
	return k.incoming(ctx, c, deploymentID, id)
}

// Change sets what is given.
func (k Incoming) Change(ctx context.Context, c Caller, deploymentID, id string, in IncomingChange) (boathook.IncomingWebhook, error) {
	if err := c.May("Incoming.Change"); err != nil {
		return boathook.IncomingWebhook{}, err
	}
	w, err := k.incoming(ctx, c, deploymentID, id)
	if err != nil {
		return boathook.IncomingWebhook{}, err
	}
	if err := k.applyIncoming(ctx, in, &w); err != nil {
		return boathook.IncomingWebhook{}, err
	}
	w.UpdatedAt = k.cfg.Now()
	return w, k.cfg.Store.PutIncoming(ctx, w)
}

func (k *core) applyIncoming(ctx context.Context, in IncomingChange, w *boathook.IncomingWebhook) error {
	if in.Name != nil {
		if err := checkName(*in.Name); err != nil {
			return err
		}
		w.Name = *in.Name
	}
	if in.Enabled != nil {
		w.Enabled = *in.Enabled
	}
	if in.WaitForStartMS != nil {
		const limit = int(boathook.MaxWaitForStart / time.Millisecond)
		if *in.WaitForStartMS < 0 || *in.WaitForStartMS > limit {
			return boathook.InvalidField("wait_for_start_ms", "must be from 0 to %d", limit)
		}
		w.WaitForStart = time.Duration(*in.WaitForStartMS) * time.Millisecond
	}
	if in.Filter != nil {
		w.Filter = *in.Filter
		if err := w.Filter.Check(); err != nil {
			return err
		}
		if err := checkExpression("filter.jq", w.Filter.JQ); err != nil {
			return err
		}
	}
	if in.Coalesce != nil {
		c, err := in.Coalesce.read()
		if err != nil {
			return err
		}
		w.Coalesce = c
	}
	if in.RerunFailed != nil {
		w.RerunFailed = in.RerunFailed
	}
	if in.Verification != nil {
		v, err := k.sealVerification(ctx, *in.Verification, verifiedWebhook(*w))
		if err != nil {
			return err
		}
		w.Verification = v
	}
	return nil
}

// Delete removes a webhook: its URL is answered as if it had never been.
func (k Incoming) Delete(ctx context.Context, c Caller, deploymentID, id string) error {
	if err := c.May("Incoming.Delete"); err != nil {
		return err
	}
	s, err := k.source(ctx, c, boathook.Deployment, deploymentID)
	if err != nil {
		return err
	}
	return missing("incoming webhook", id, k.cfg.Store.DeleteIncoming(ctx, s.ID, id))
}

// Rotate gives a webhook a new token. The URL that it had stops working.
func (k Incoming) Rotate(ctx context.Context, c Caller, deploymentID, id string) (w boathook.IncomingWebhook, token boathook.URLToken, err error) {
	if err := c.May("Incoming.Rotate"); err != nil {
		return w, token, err
	}
	if w, err = k.incoming(ctx, c, deploymentID, id); err != nil {
		return w, token, err
	}
	return k.putWithNewToken(ctx, w)
}

// URL gives the token of a webhook's URL again. Who reads it is in the log, and the token
// is not.
func (k Incoming) URL(ctx context.Context, c Caller, deploymentID, id string) (boathook.URLToken, error) {
	if err := c.May("Incoming.URL"); err != nil {
		return boathook.URLToken{}, err
	}
	w, err := k.incoming(ctx, c, deploymentID, id)
	if err != nil {
		return boathook.URLToken{}, err
	}
	if len(w.SealedToken) == 0 {
		return boathook.URLToken{}, boathook.Errorf(boathook.NotFound, "the URL of %s was not kept when it was made: rotate the webhook, and it has a new one", w.ID)
	}
	text, err := k.cfg.Seal.Open(ctx, w.WorkspaceID, seal.IncomingToken(w.ID), w.SealedToken)
	if err != nil {
		return boathook.URLToken{}, fmt.Errorf("open the token of %s: %w", w.ID, err)
	}
	k.cfg.Log.InfoContext(ctx, "webhook URL shown", "webhook_id", w.ID, "workspace_id", c.Workspace, "token_id", c.TokenID)
	return boathook.URLToken{SourceID: w.SourceID, WebhookID: w.ID, Text: string(text)}, nil
}

// Requests lists what came to a webhook, the newest first; an outcome of "" is any.
func (k Incoming) Requests(ctx context.Context, c Caller, deploymentID, id string, outcome boathook.RequestOutcome, p boathook.Page) (requests []boathook.Request, next string, err error) {
	if err := c.May("Incoming.Requests"); err != nil {
		return nil, "", err
	}
	w, err := k.incoming(ctx, c, deploymentID, id)
	if err != nil {
		return nil, "", err
	}
	return k.requests(ctx, c, w.SourceID, w.ID, outcome, p)
}

func (k *core) requests(ctx context.Context, c Caller, sourceID, webhookID string, outcome boathook.RequestOutcome, p boathook.Page) (requests []boathook.Request, next string, err error) {
	if outcome != "" && !slices.Contains(boathook.RequestOutcomes, outcome) {
		return nil, "", boathook.InvalidField("outcome", "must be %s, %s, %s, %s, %s or %s", boathook.RequestAccepted,
			boathook.RequestRepeated, boathook.RequestCoalesced, boathook.RequestIgnored, boathook.RequestAnswered, boathook.RequestRejected)
	}
	return k.cfg.Store.Requests(ctx, store.RequestQuery{
		WorkspaceID: c.Workspace, SourceID: sourceID, WebhookID: webhookID, Page: p, Outcome: outcome,
	})
}
