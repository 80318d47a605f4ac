package delivery_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/delivery"
	"boathook/internal/dialect"
	"boathook/internal/queue"
)

// The end of a run of the largest input and output can be read from its message in
// every dialect and format, also where an encoder may make characters longer.
func TestTheEndOfTheLargestRunCanBeDelivered(t *testing.T) {
	text := func(n int) json.RawMessage {
		text := append([]byte{'"'}, strings.Repeat("<&>\u2028\u2029é", n/16)...)
		return append(append(text, bytes.Repeat([]byte("<"), n-1-len(text))...), '"')
	}
	for source, name := range map[string]string{"dep_a": dialect.Crewship, "agent_a": dialect.Crewship, "dep_b": dialect.Standard} {
		for _, format := range []boathook.Format{boathook.Raw, boathook.Slack, boathook.Discord, boathook.Teams} {
			r := boathook.Run{
				RunHead: boathook.RunHead{
					ID: boathook.NewID(boathook.RunID), WorkspaceID: "ws_a", SourceID: source, VersionID: "ver_a", VersionNumber: 1,
					Environment: boathook.Production, Trigger: boathook.TriggerWebhook, Status: boathook.RunSucceeded,
					CreatedAt: time.Now(), StartedAt: time.Now(), CompletedAt: time.Now(),
				},
				Input: boathook.NewBody(text(boathook.MaxTriggerBody)), Output: text(boathook.MaxRunOutput),
			}
			e, ok := r.Event()
			if !ok {
				t.Fatal("its end is no event")
			}
			w := webhook("out_a")
			w.Dialect, w.Format = name, format
			q := &sent{}
			p := delivery.Publisher{Store: webhooks{list: []boathook.OutgoingWebhook{w}}, Queue: q, Log: slog.New(slog.DiscardHandler)}
			if err := p.Publish(t.Context(), e); err != nil || len(q.messages) != 1 {
				t.Fatalf("%s, %s: %d messages, %v", name, format, len(q.messages), err)
			}
			if err := q.messages[0].Validate(); err != nil {
				t.Errorf("%s, %s: the queue refuses it: %v", name, format, err)
			}
			d, err := queue.DecodeDelivery(q.messages[0].Body)
			if err != nil {
				t.Errorf("%s, %s: %v", name, format, err)
			}
			if format == boathook.Raw && (!bytes.Contains(d.Body.Bytes(), r.Input.Bytes()) || !bytes.Contains(d.Body.Bytes(), r.Output)) {
				t.Errorf("%s: a body of %d bytes lacks the input or the output", name, d.Body.Len())
			}
		}
	}
}
