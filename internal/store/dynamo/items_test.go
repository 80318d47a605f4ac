package dynamo_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"boathook/internal/boathook"
	"boathook/internal/catalogue"
	"boathook/internal/dialect"
	"boathook/internal/store"
	"boathook/internal/store/dynamo"
)

func run() boathook.Run {
	input := json.RawMessage(`{"repository":"acme/site","branch":"main"}`)
	return boathook.Run{RunHead: boathook.RunHead{
		ID: "run_aaaaaaaaaaaaaaaaaaaaaaaa", WorkspaceID: "ws_bbbbbbbbbbbbbbbbbbbbbbbb", SourceID: "dep_cccccccccccccccccccccccc",
		VersionID: "ver_dddddddddddddddddddddddd", VersionNumber: 5, Environment: boathook.Production,
		Trigger: boathook.TriggerWebhook, WebhookID: "in_eeeeeeeeeeeeeeeeeeeeeeee",
		InputHash: boathook.HashInput(input), CreatedAt: now, Status: boathook.RunPending,
	}, Input: boathook.NewBody(input)}
}

func delivery(body []byte) boathook.Delivery {
	e := boathook.Event{ID: "evt_ffffffffffffffffffffffff", Time: now}
	return boathook.Delivery{
		ID: boathook.NewDeliveryID(&e, "out_gggggggggggggggggggggggg"), WorkspaceID: "ws_bbbbbbbbbbbbbbbbbbbbbbbb",
		SourceID: "dep_cccccccccccccccccccccccc", WebhookID: "out_gggggggggggggggggggggggg",
		EventID: e.ID, EventType: boathook.EventRunSucceeded, Environment: boathook.Production, Dialect: "crewship", Body: boathook.NewBody(body),
		Status: boathook.DeliverySucceeded, Attempts: 1,
	}
}

func attempt(number int) boathook.Attempt {
	return boathook.Attempt{
		Number: number, SentAt: now, Duration: 123 * time.Millisecond,
		Signature: "5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd",
		Response: &boathook.Response{
			Status: http.StatusOK,
			Headers: http.Header{
				"Content-Type": {"application/json; charset=utf-8"}, "Content-Length": {"11"}, "Connection": {"keep-alive"},
				"Date": {"Sat, 21 Nov 2026 18:00:00 GMT"}, "Server": {"nginx/1.24.0"}, "X-Request-Id": {"16555c02-a320-4bec-a14a-52754d783970"},
			},
			Body: []byte(`{"ok":true}`),
		},
	}
}

func rejection(outcome boathook.RequestOutcome) boathook.Request {
	return boathook.Request{
		ID: "req_aaaaaaaaaaaaaaaaaaaaaaaa", WorkspaceID: "ws_bbbbbbbbbbbbbbbbbbbbbbbb", WebhookID: "in_eeeeeeeeeeeeeeeeeeeeeeee",
		At: now, Outcome: outcome, Status: http.StatusUnauthorized, Reason: "signature is over another body or with another secret",
		Sender: &boathook.Sender{
			IP: "2001:db8:85a3:8d3:1319:8a2e:370:7348", UserAgent: "GitHub-Hookshot/044aadd", ContentType: "application/json",
			Headers:  []string{"Accept", "Content-Type", "User-Agent", "X-Github-Delivery", "X-Github-Event", "X-Hub-Signature-256"},
			BodySize: 7890, BodySHA256: strings.Repeat("0f", 32),
		},
	}
}

// TestEveryItemKeepsItsKeyAndItsAttributes is a golden test: what is stored
// outlives the code, so no key may change, nor the name or the type of an
// attribute.
func TestEveryItemKeepsItsKeyAndItsAttributes(t *testing.T) {
	ctx := t.Context()
	r := run()
	r.Status, r.Error, r.ExitCode, r.Output = boathook.RunFailed, "exit status 7", new(7), json.RawMessage(`{}`)
	r.StartedAt, r.CompletedAt, r.LogLines, r.Published = now, now, 12, true
	r.EventName, r.EventSource, r.Fenced = "push", "github", true
	r.Details = boathook.TriggerDetails{Event: "push", DeliveryID: "72d3162e", ContentType: "application/json", Query: "a=1"}
	r.RetryOf = "run_bbbbbbbbbbbbbbbbbbbbbbbb"
	r.RetriedBy = boathook.Retry{RunID: "run_cccccccccccccccccccccccc", At: now, StartsAt: now}
	r.RetryNumber, r.StartsAt = 2, now
	r.TakesTurn, r.WaitsSince = true, now
	r.Burst = &boathook.Burst{Count: 2, Triggers: []boathook.BurstTrigger{{ID: "run_d", DeliveryID: "72d3162e", At: now}}}
	r.Claim, r.CancelRequested = boathook.Claim{ID: "claim_x", LeaseUntil: now}, true
	failed := delivery([]byte(`{}`))
	failed.Status = boathook.DeliveryFailed
	retrying := delivery(printable(400 << 10))
	retrying.Status, retrying.Attempts, retrying.NextAttemptAt = boathook.DeliveryRetrying, 2, now

	var got strings.Builder
	for _, c := range []struct {
		name string
		call func(s *dynamo.Store) error
	}{
		{"workspace", func(s *dynamo.Store) error {
			return s.PutWorkspace(ctx, boathook.Workspace{ID: "ws_a", DataKey: []byte{1}, CreatedAt: now})
		}},
		{"workspace with portals", func(s *dynamo.Store) error {
			return s.PutWorkspace(ctx, boathook.Workspace{ID: "ws_b", CreatedAt: now, Portal: boathook.PortalSettings{
				Name: "Kestrel", Accent: "#7a2d63", AccentDark: "#e0a2cd", FrameOrigins: []string{"https://a.example"},
			}})
		}},
		{"portal settings", func(s *dynamo.Store) error {
			return s.PutPortal(ctx, "ws_a", boathook.PortalSettings{Accent: "#7a2d63"})
		}},
		{"token", func(s *dynamo.Store) error {
			return s.PutToken(ctx, boathook.Token{ID: "tok_a", WorkspaceID: "ws_a", CreatedAt: now})
		}},
		{"source", func(s *dynamo.Store) error {
			return s.PutSource(ctx, boathook.Source{ID: "dep_a", WorkspaceID: "ws_a", Kind: boathook.Deployment, CreatedAt: now,
				Deployment: &boathook.DeploymentSettings{Retry: boathook.RunRetries{Max: 3, Backoff: time.Minute}, MaxInFlight: 2}})
		}},
		{"version", func(s *dynamo.Store) error {
			_, err := s.AddVersion(ctx, boathook.Version{
				ID: "ver_a", SourceID: "dep_a", Environment: boathook.Staging, CreatedAt: now, SealedHeaders: []byte{1},
				Target: boathook.Target{Headers: map[string]string{"A": ""}, Argv: []string{"sh"}},
			})
			return err
		}},
		{"incoming webhook", func(s *dynamo.Store) error {
			return s.PutIncoming(ctx, boathook.IncomingWebhook{
				ID: "in_a", SourceID: "dep_a", CreatedAt: now, UpdatedAt: now, Verification: boathook.Verification{SealedSecret: []byte{1}},
				Filter:   boathook.Filter{Events: []string{"push"}, Equals: json.RawMessage(`1`)},
				Coalesce: boathook.Coalescing{Key: ".body", Quiet: time.Second, MaxWait: time.Minute},
			})
		}},
		{"outgoing webhook", func(s *dynamo.Store) error {
			return s.PutOutgoing(ctx, boathook.OutgoingWebhook{
				ID: "out_a", SourceID: "dep_a", CreatedAt: now, UpdatedAt: now, SealedHeaders: []byte{1}, HeaderNames: []string{"A"},
				Events: []boathook.EventType{boathook.EventRunFailed}, Retry: []time.Duration{time.Second},
				Secrets: boathook.SealedSecrets{Current: []byte{1}, Previous: []byte{1}, PreviousUntil: now},
			})
		}},
		{"outgoing webhook of a queue", func(s *dynamo.Store) error {
			return s.PutOutgoing(ctx, boathook.OutgoingWebhook{
				ID: "out_b", SourceID: "dep_a", CreatedAt: now, UpdatedAt: now,
				Destination: boathook.Destination{Type: boathook.DestinationSQS, QueueARN: "arn:aws:sqs:eu-west-1:123456789012:q"},
			})
		}},
		{"outgoing webhook of channels", func(s *dynamo.Store) error {
			return s.PutOutgoing(ctx, boathook.OutgoingWebhook{
				ID: "out_c", SourceID: "dep_a", CreatedAt: now, UpdatedAt: now, Channels: []string{"eu"}, Metadata: map[string]string{"plan": "team"},
			})
		}},
		{"event type", func(s *dynamo.Store) error {
			return s.PutEventType(ctx, boathook.TypeDefinition{
				WorkspaceID: "ws_a", Name: "invoice.paid", Schema: json.RawMessage(`{}`), Example: json.RawMessage(`{}`), CreatedAt: now, UpdatedAt: now, ArchivedAt: now,
			})
		}},
		{"outgoing webhook with expressions", func(s *dynamo.Store) error {
			return s.PutOutgoing(ctx, boathook.OutgoingWebhook{ID: "out_d", SourceID: "dep_a", CreatedAt: now, UpdatedAt: now, Filter: "true", Transform: "."})
		}},
		{"outgoing webhook disabled", func(s *dynamo.Store) error {
			return s.DisableOutgoing(ctx, "dep_a", "out_a", boathook.Disabling{At: now, Reason: "gone"})
		}},
		{"failing webhook", func(s *dynamo.Store) error { _, err := s.MarkFailure(ctx, "out_a", now); return err }},
		{"slow webhook", func(s *dynamo.Store) error { _, err := s.MarkSlow(ctx, "out_a", now); return err }},
		{"hanging webhook", func(s *dynamo.Store) error {
			_, err := s.MoveProbe(ctx, "out_a", boathook.Probe{}, boathook.Probe{At: now, Wait: time.Minute})
			return err
		}},
		{"webhook that is told of", func(s *dynamo.Store) error {
			_, err := s.MoveAlert(ctx, "out_a", boathook.Alert{}, boathook.Alert{Step: boathook.AlertFailing, At: now, Since: now})
			return err
		}},
		{"backlog", func(s *dynamo.Store) error {
			_, err := s.MoveBacklog(ctx, "dep_a", time.Time{}, now)
			return err
		}},
		{"burst", func(s *dynamo.Store) error {
			_, err := s.MoveBurst(ctx, "in_a", "key", "", store.Burst{RunID: "run_a", At: now})
			return err
		}},
		{"turns", func(s *dynamo.Store) error {
			_, err := s.MoveTurns(ctx, "dep_a", store.TurnsView{}, map[string]time.Time{"run_a": now})
			return err
		}},
		{"run in line", func(s *dynamo.Store) error {
			return s.StandInLine(ctx, "dep_a", store.Waiting{RunID: "run_a", At: now})
		}},
		{"webhook that is being disabled", func(s *dynamo.Store) error {
			_, err := s.MarkDisabling(ctx, "out_a", boathook.Disabling{At: now, Reason: "gone"})
			return err
		}},
		{"agent", func(s *dynamo.Store) error {
			return s.PutSource(ctx, boathook.Source{
				ID: "agent_a", WorkspaceID: "ws_a", Kind: boathook.Agent, CreatedAt: now,
				Agent: &boathook.AgentSettings{
					CrewID: "crew_a", Slug: "a", SealedSecret: []byte{1}, Verification: boathook.Verification{SealedSecret: []byte{1}},
				},
			})
		}},
		{"app", func(s *dynamo.Store) error {
			return s.PutSource(ctx, boathook.Source{
				ID: "app_a", WorkspaceID: "ws_a", Kind: boathook.App, CreatedAt: now, App: &boathook.AppSettings{Type: "ios", UpdatedAt: now},
			})
		}},
		{"customer", func(s *dynamo.Store) error {
			return s.PutSource(ctx, boathook.Source{
				ID: "cus_a", WorkspaceID: "ws_a", Kind: boathook.Customer, CreatedAt: now,
				Customer: &boathook.CustomerSettings{ExternalID: "acct#1", Metadata: map[string]string{"plan": "team"}, UpdatedAt: now},
			})
		}},
		{"source that keeps events", func(s *dynamo.Store) error {
			return s.PutSource(ctx, boathook.Source{
				ID: "dep_b", WorkspaceID: "ws_a", Kind: boathook.Deployment, CreatedAt: now, Feed: &boathook.FeedSettings{RetentionDays: 30, Raised: now},
			})
		}},
		{"event in a feed", func(s *dynamo.Store) error {
			return s.AppendEvents(ctx, "dep_b", 24*time.Hour, boathook.Event{
				ID: "acme#1", Environment: boathook.Staging, Type: boathook.EventRunFailed, Channels: []string{"a"}, Time: now, Data: json.RawMessage(`{}`),
			})
		}},
		{"load", func(s *dynamo.Store) error {
			limit := store.Limit{RatePerMinute: 60, MaxInFlight: 8}
			if _, err := s.Admit(ctx, "agent_a", "run_a", limit, store.Load{}, now); err != nil {
				return err
			}
			first, err := store.Load{}.Admit("run_a", limit, now)
			if err != nil {
				return err
			}
			_, err = s.Admit(ctx, "agent_a", "run_b", limit, first, now)
			return err
		}},
		{"pinned run", func(s *dynamo.Store) error {
			_, err := s.PinRun(ctx, "run_b", "run_a")
			return err
		}},
		{"released run", func(s *dynamo.Store) error { return s.Release(ctx, "agent_a", "run_a", time.Time{}) }},
		{"pending run", func(s *dynamo.Store) error { return s.CreateRun(ctx, run()) }},
		{"run", func(s *dynamo.Store) error { return s.CreateRun(ctx, r) }},
		{"rejected request", func(s *dynamo.Store) error {
			return s.PutRequest(ctx, 7, rejection(boathook.RequestRejected))
		}},
		{"repeated request", func(s *dynamo.Store) error {
			r := rejection(boathook.RequestRepeated)
			r.RunID, r.Sender = "run_a", nil
			return s.PutRequest(ctx, 199, r)
		}},
		{"log", func(s *dynamo.Store) error {
			return s.AppendLog(ctx, boathook.RunHead{ID: "run_a", SourceID: "dep_a"}, 1234, []boathook.LogLine{{Time: now, Stream: "stdout", Text: "hello"}})
		}},
		{"an agent's log", func(s *dynamo.Store) error {
			return s.AppendLog(ctx, boathook.RunHead{ID: "run_a", SourceID: "agent_a", CreatedAt: now}, 1234, []boathook.LogLine{{Time: now, Stream: "stdout", Text: "hello"}})
		}},
		{"pinned event", func(s *dynamo.Store) error {
			_, err := s.PinEvent(ctx, store.EventPin{WorkspaceID: "ws_a", ID: "order 1", Time: now})
			return err
		}},
		{"run of a sender's delivery", func(s *dynamo.Store) error {
			r := run()
			r.Details = boathook.TriggerDetails{DeliveryID: "72d3162e #1"}
			return s.CreateRun(ctx, r)
		}},
		{"entered deliveries", func(s *dynamo.Store) error { return s.EnterDeliveries(ctx, delivery(nil)) }},
		{"an hour's attempts", func(s *dynamo.Store) error {
			c := boathook.AttemptCounts{From: now}
			c.Count(boathook.DeliverySucceeded, 120*time.Millisecond)
			return s.CountAttempts(ctx, "out_a", c)
		}},
		{"first attempt", func(s *dynamo.Store) error { return s.RecordAttempt(ctx, failed, attempt(1)) }},
		{"first attempt of a delivery with a body of its own", func(s *dynamo.Store) error {
			own := failed
			own.ContentType, own.Fault = "text/plain; charset=utf-8", "transform: error: no"
			return s.RecordAttempt(ctx, own, attempt(1))
		}},
		{"later attempt that makes the record of a long body", func(s *dynamo.Store) error {
			return s.RecordAttempt(ctx, retrying, attempt(2))
		}},
		{"canceled delivery", func(s *dynamo.Store) error {
			d := delivery([]byte(`{}`))
			d.Reason = "the webhook was deleted"
			return s.CancelDelivery(ctx, d)
		}},
		{"reopened delivery", func(s *dynamo.Store) error { return s.ReopenDelivery(ctx, failed, now) }},
		{"due row", func(s *dynamo.Store) error {
			return s.PutDue(ctx, store.Due{At: now, ID: "run_a", Kind: store.DueRun, Payload: []byte{1}})
		}},
		{"slot", func(s *dynamo.Store) error {
			_, err := s.ReserveSlot(ctx, "out_a", time.Second, now)
			return err
		}},
		{"run that follows from a trace", func(s *dynamo.Store) error {
			r := run()
			r.Trace = boathook.TraceContext{Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", State: "a=1"}
			return s.CreateRun(ctx, r)
		}},
		{"delivery that follows from a trace", func(s *dynamo.Store) error {
			d := delivery([]byte(`{}`))
			d.Trace = boathook.TraceContext{Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
			return s.RecordAttempt(ctx, d, attempt(1))
		}},
		{"incoming webhook whose URL can be shown again", func(s *dynamo.Store) error {
			return s.PutIncoming(ctx, boathook.IncomingWebhook{ID: "in_b", SourceID: "dep_a", SealedToken: []byte{1}, CreatedAt: now, UpdatedAt: now})
		}},
		{"connection", func(s *dynamo.Store) error {
			return s.PutConnection(ctx, boathook.Connection{ID: "L0SM9cOFvHcCIhw=", WorkspaceID: "ws_a", TokenID: "tok_a", ConnectedAt: now})
		}},
		{"watcher", func(s *dynamo.Store) error {
			return s.Watch(ctx, boathook.Connection{ID: "L0SM9cOFvHcCIhw=", WorkspaceID: "ws_a", TokenID: "tok_a", ConnectedAt: now}, boathook.LogChannel)
		}},
		{"watcher of deliveries", func(s *dynamo.Store) error {
			return s.Watch(ctx, boathook.Connection{ID: "L0SM9cOFvHcCIhw=", WorkspaceID: "ws_a", TokenID: "tok_a", ConnectedAt: now}, boathook.DeliveriesChannel)
		}},
	} {
		s, w := onWire(func(r request) *reply {
			switch {
			case r.operation == "UpdateItem" && r.input["TableName"] == "config":
				return ok(`{"Attributes":{"Versions":{"N":"5"}}}`)
			case r.operation == "UpdateItem" && sortKey(r) == "counter":
				return ok(`{"Attributes":{"n":{"N":"4711"}}}`)
			case r.operation == "UpdateItem" && strings.Contains(fmt.Sprint(r.input["Key"]), "stats#"):
				return ok(`{}`)
			case r.operation == "UpdateItem" && strings.Contains(fmt.Sprint(r.input["Key"]), "health#"):
				return ok(`{}`) // which makes it
			case r.operation == "UpdateItem":
				return failure("ConditionalCheckFailedException") // nothing is there
			}
			return ok(`{}`)
		})
		if err := c.call(s); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		var written []string
		for _, r := range w.requests {
			written = append(written, r.writes()...)
		}
		slices.Sort(written) // some are written side by side
		fmt.Fprintf(&got, "%s\n\n%s\n", c.name, strings.Join(written, "\n"))
	}
	want, err := os.ReadFile("testdata/items.golden")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("what is stored (-want +got):\n%s", diff)
	}
}

type attributes = map[string]any

// writes describes what a request writes: keys and places with their values,
// other attributes with their types.
func (r request) writes() (described []string) {
	switch r.operation {
	case "PutItem":
		return []string{describe(r.input["TableName"], r.input["Item"].(attributes), "")}
	case "UpdateItem":
		change := r.input["UpdateExpression"].(string)
		if names, ok := r.input["ExpressionAttributeNames"].(attributes); ok {
			for stand, name := range names {
				change = strings.ReplaceAll(change, stand, name.(string))
			}
		}
		return []string{describe(r.input["TableName"], r.input["Key"].(attributes), change)}
	case "BatchWriteItem":
		for table, writes := range r.input["RequestItems"].(map[string]any) {
			for _, write := range writes.([]any) {
				put := write.(map[string]any)["PutRequest"].(map[string]any)
				described = append(described, describe(table, put["Item"].(attributes), ""))
			}
		}
	}
	return described
}

func describe(table any, item attributes, change string) string {
	lines := []string{fmt.Sprintf("  %v", table)}
	for _, name := range []string{"pk", "sk", "parent", "workspace", "active", "place"} {
		if value, ok := item[name].(attributes); ok {
			lines = append(lines, fmt.Sprintf("    %-6s %s", name, value["S"]))
		}
	}
	var rest []string
	for name, value := range item {
		if !slices.Contains([]string{"pk", "sk", "parent", "workspace", "active", "place"}, name) {
			rest = append(rest, name+" "+typeOf(value.(attributes)))
		}
	}
	slices.Sort(rest)
	if change != "" {
		rest = append(rest, change)
	}
	return strings.Join(append(lines, "    "+strings.Join(rest, ", ")), "\n") + "\n"
}

func typeOf(value attributes) string {
	for kind, v := range value {
		if kind != "M" {
			return kind
		}
		var fields []string
		for name, value := range v.(attributes) {
			fields = append(fields, name+" "+typeOf(value.(attributes)))
		}
		slices.Sort(fields)
		return "{" + strings.Join(fields, ", ") + "}"
	}
	return ""
}

// TestADeliverysFirstAttemptIsOneWriteOfOneUnit holds the store to what a
// delivery costs, for every example of the catalogue in every dialect and
// format.
func TestADeliverysFirstAttemptIsOneWriteOfOneUnit(t *testing.T) {
	for _, typ := range catalogue.All() {
		for _, name := range []string{dialect.Crewship, dialect.Shipway, dialect.Capawesome, dialect.Standard} {
			for _, format := range []boathook.Format{boathook.Raw, boathook.Slack, boathook.Discord, boathook.Teams} {
				t.Run(fmt.Sprintf("%s, %s, %s", typ.Name, name, format), func(t *testing.T) {
					e := boathook.Event{ID: boathook.NewID(boathook.EventID), Type: typ.Name, Environment: boathook.Production, Time: now, Data: typ.Example}
					if run, ok := finished().Event(); ok && typ.Name == run.Type {
						e = run // with ids that hardly compress
					}
					wantOneUnit(t, e, name, format)
				})
			}
		}
	}
}

func wantOneUnit(t *testing.T, e boathook.Event, name string, format boathook.Format) {
	t.Helper()
	speaks, _ := dialect.Lookup(name)
	body, err := speaks.Body(format, e)
	if err != nil {
		t.Fatal(err)
	}
	d, a := delivery(body), attempt(1)
	d.SourceID, d.WebhookID, d.WorkspaceID = boathook.NewID(boathook.RepositoryID), boathook.NewID(boathook.OutgoingID), boathook.NewID(boathook.WorkspaceID)
	d.EventID, d.EventType, d.Environment = e.ID, e.Type, e.Environment
	a.Signature, err = speaks.Sign(dialect.Message{DeliveryID: d.ID, EventType: e.Type, SentAt: now, Body: body}, boathook.NewSigningSecret())
	if err != nil {
		t.Fatal(err)
	}
	s, w := onWire(func(request) *reply { return ok(`{}`) })
	if err := s.RecordAttempt(t.Context(), d, a); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"PutItem"}, w.operations()); diff != "" {
		t.Fatalf("requests (-want +got):\n%s", diff)
	}
	item := w.requests[0].input["Item"].(attributes)
	if n := size(item); n > 1024 {
		t.Errorf("the record of a body of %d bytes has %d, more than one write unit", len(body), n)
	} else {
		t.Logf("%d bytes, for a body of %d", n, len(body))
	}
	if _, indexed := item["parent"]; indexed {
		t.Error("it is in an index")
	}
}

// TestARunsHeadIsOneUnit since each heartbeat rewrites it.
func TestARunsHeadIsOneUnit(t *testing.T) {
	s, w := onWire(func(request) *reply { return ok(`{}`) })
	r := finished()
	r.Claim, r.CancelRequested = boathook.Claim{ID: boathook.NewID("claim"), LeaseUntil: now}, true
	if err := s.CreateRun(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	for _, sent := range w.requests {
		item := sent.input["Item"].(attributes)
		if n := size(item); item["sk"].(attributes)["S"] == "head" && n > 1024 {
			t.Errorf("the head has %d bytes", n)
		}
	}
}

// TestARequestIsOneUnit even where its sender fills every limit that package
// intake keeps: 200 bytes of a reason, 100 of each text, 300 of headers' names.
func TestARequestIsOneUnit(t *testing.T) {
	s, w := onWire(func(request) *reply { return ok(`{}`) })
	r := rejection(boathook.RequestRejected)
	r.Reason, r.Sender.UserAgent, r.Sender.ContentType = string(printable(200)), string(printable(100)), string(printable(100))
	r.Sender.Headers = slices.Repeat([]string{strings.Repeat("X", 15)}, 20)
	if err := s.PutRequest(t.Context(), 0, r); err != nil {
		t.Fatal(err)
	}
	if n := size(w.requests[0].input["Item"].(attributes)); n > 1024 {
		t.Errorf("the item has %d bytes", n)
	}
}

// finished is a run with ids of real length, which hardly compress.
func finished() boathook.Run {
	r := run()
	r.ID, r.SourceID, r.VersionID = boathook.NewID("run"), boathook.NewID("dep"), boathook.NewID("ver")
	r.Status, r.Output = boathook.RunSucceeded, json.RawMessage(`{"summary":"Deployed 3 services to production"}`)
	r.StartedAt, r.CompletedAt, r.LogLines = now.Add(345*time.Millisecond), now.Add(67_891*time.Millisecond), 12
	return r
}

// size is an item's by DynamoDB's rules: names and texts count their bytes,
// numbers one for two digits and one more, maps and lists a few.
func size(item attributes) (bytes int) {
	for name, value := range item {
		bytes += len(name)
		for kind, v := range value.(attributes) {
			switch kind {
			case "S":
				bytes += len(v.(string))
			case "B":
				raw, _ := base64.StdEncoding.DecodeString(v.(string))
				bytes += len(raw)
			case "N":
				bytes += (len(v.(string))+1)/2 + 1
			case "M":
				bytes += 3 + size(v.(attributes))
			case "L":
				for _, element := range v.([]any) {
					bytes += 1 + size(attributes{"": element})
				}
			default:
				bytes++ // a null or a bool
			}
		}
	}
	return bytes
}

// printable is random printable ASCII, which hardly compresses.
func printable(n int) []byte {
	text := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(text)
	for i, b := range text {
		text[i] = ' ' + b%('~'-' '+1)
	}
	return text
}
