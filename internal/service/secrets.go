package service

import (
	"context"
	"encoding/json"
	"fmt"

	"boathook/internal/boathook"
	"boathook/internal/dialect"
	"boathook/internal/seal"
)

// sealHeaders encrypts headers, which often hold a credential. No headers seal
// to nil.
func (k *core) sealHeaders(ctx context.Context, workspaceID, subject string, headers map[string]string) ([]byte, error) {
	if len(headers) == 0 {
		return nil, nil
	}
	plain, err := json.Marshal(headers)
	if err != nil {
		return nil, fmt.Errorf("encode the headers of %s: %w", subject, err)
	}
	sealed, err := k.cfg.Seal.Seal(ctx, workspaceID, subject, plain)
	if err != nil {
		return nil, fmt.Errorf("seal the headers of %s: %w", subject, err)
	}
	return sealed, nil
}

// sealSecret gives a webhook its current secret.
func (k *core) sealSecret(ctx context.Context, w *boathook.OutgoingWebhook, secret string) error {
	sealed, err := k.cfg.Seal.Seal(ctx, w.WorkspaceID, seal.OutgoingSecret(w.ID), []byte(secret))
	if err != nil {
		return fmt.Errorf("seal the secret of %s: %w", w.ID, err)
	}
	w.Secrets.Current = sealed
	return nil
}

// setSecret gives a webhook the secret that its user brings, or none if that is
// empty. A secret of before is gone at once.
func (k *core) setSecret(ctx context.Context, w *boathook.OutgoingWebhook, secret string) error {
	if len(secret) > maxSecret {
		return boathook.InvalidField(secretField, "must have at most %d bytes", maxSecret)
	}
	if err := checkSecret(w.Dialect, secret); err != nil {
		return err
	}
	w.Secrets = boathook.SealedSecrets{}
	if secret == "" {
		return nil
	}
	return k.sealSecret(ctx, w, secret)
}

const secretField = "signing_secret"

// checkSecret refuses a secret that can't sign in a dialect, and none, which is
// the empty one, where it must sign.
func checkSecret(name, secret string) error {
	d, ok := dialect.Lookup(name)
	if !ok {
		return boathook.InvalidField("dialect", "must be one of %s", oneOf(dialect.Names()))
	}
	if secret == "" {
		if d.SecretOptional {
			return nil
		}
		return boathook.InvalidField(secretField, "is required by the dialect %s", name)
	}
	if err := d.CheckSecret(secret); err != nil {
		return boathook.InvalidField(secretField, "%s", err)
	}
	return nil
}

// changeDialect checks that the webhook's secret can sign in the dialect that
// it has now, and ends an overlap: the secret before may not.
func (k *core) changeDialect(ctx context.Context, w *boathook.OutgoingWebhook) error {
	w.Secrets = boathook.SealedSecrets{Current: w.Secrets.Current}
	var secret []byte
	if w.Secrets.Current != nil {
		var err error
		if secret, err = k.cfg.Seal.Open(ctx, w.WorkspaceID, seal.OutgoingSecret(w.ID), w.Secrets.Current); err != nil {
			return fmt.Errorf("open the secret of %s: %w", w.ID, err)
		}
	}
	if err := checkSecret(w.Dialect, string(secret)); err != nil {
		return boathook.InvalidField("dialect", "the webhook's %s; rotate-secret makes one that will do", err)
	}
	return nil
}
