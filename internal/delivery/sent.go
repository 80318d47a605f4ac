package delivery

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"boathook/internal/boathook"
	"boathook/internal/dialect"
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
	m := dialect.Message{DeliveryID: d.ID, EventType: d.EventType, SentAt: a.SentAt, Body: d.Body.Bytes()}
	if !slices.ContainsFunc(w.HeaderNames, boathook.IsTraceHeader) {
		place := d.Trace
		place.Parent = cmp.Or(a.TraceParent, place.Parent)
		maps.Copy(headers, place.Headers())
	}
	maps.Copy(headers, boathook.JoinedHeaders(speaks.Header(m, a.Signature)))
	return headers, nil
}
