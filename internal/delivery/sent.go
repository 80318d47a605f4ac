package delivery

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/dialect"
	"boathook/internal/seal"
)

// SentHeaders recomputes the headers of an attempt, of which only the time and
// the signature are kept. Those that the webhook's owner has set have masks for
// values, and are those of today.
func SentHeaders(w boathook.OutgoingWebhook, d boathook.Delivery, a boathook.Attempt) (map[string]string, error) {
	name := cmp.Or(d.Dialect, w.Dialect)
	speaks, ok := dialect.Lookup(name)
	if !ok {
		return nil, fmt.Errorf("delivery %s has the unknown dialect %q", d.ID, name)
	}
	headers := boathook.ShownHeaders(w)
	if !slices.ContainsFunc(w.HeaderNames, boathook.IsTraceHeader) {
		place := d.Trace
		place.Parent = cmp.Or(a.TraceParent, place.Parent)
		maps.Copy(headers, place.Headers())
	}
	maps.Copy(headers, boathook.JoinedHeaders(speaks.Header(messageOf(d, a.SentAt), a.Signature)))
	return headers, nil
}

// PreviewHeaders are those of a delivery that would be sent at a time, as [SentHeaders]
// gives them.
func PreviewHeaders(ctx context.Context, o Opener, w boathook.OutgoingWebhook, d boathook.Delivery, at time.Time) (map[string]string, error) {
	speaks, ok := dialect.Lookup(d.Dialect)
	if !ok {
		return nil, fmt.Errorf("webhook %s has the unknown dialect %q", w.ID, d.Dialect)
	}
	keys, err := secrets(ctx, o, &w, at)
	if err != nil {
		return nil, err
	}
	a := boathook.Attempt{SentAt: at}
	if a.Signature, err = speaks.Sign(messageOf(d, at), keys...); err != nil {
		return nil, err
	}
	return SentHeaders(w, d, a)
}

// messageOf is what a dialect signs of a delivery that is sent at a time.
func messageOf(d boathook.Delivery, at time.Time) dialect.Message {
	return dialect.Message{DeliveryID: d.ID, EventType: d.EventType, SentAt: at, Body: d.Body.Bytes(), ContentType: d.ContentType}
}

// secrets are those with which a webhook signs at a time, the current one first; none if
// it has none.
func secrets(ctx context.Context, o Opener, w *boathook.OutgoingWebhook, at time.Time) ([]string, error) {
	if w.Secrets.Current == nil {
		return nil, nil
	}
	sealed := [][]byte{w.Secrets.Current}
	if at.Before(w.Secrets.PreviousUntil) {
		sealed = append(sealed, w.Secrets.Previous)
	}
	opened := make([]string, len(sealed))
	for i, s := range sealed {
		secret, err := o.Open(ctx, w.WorkspaceID, seal.OutgoingSecret(w.ID), s)
		if err != nil {
			return nil, fmt.Errorf("open the secret of webhook %s: %w", w.ID, err)
		}
		opened[i] = string(secret)
	}
	return opened, nil
}
