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
	}, Input: input}
}

func delivery(body []byte) boathook.Delivery {
	e := boathook.Event{ID: "evt_ffffffffffffffffffffffff", Time: now}
	return boathook.Delivery{
		ID: boathook.NewDeliveryID(&e, "out_gggggggggggggggggggggggg"), WorkspaceID: "ws_bbbbbbbbbbbbbbbbbbbbbbbb",
		SourceID: "dep_cccccccccccccccccccccccc", WebhookID: "out_gggggggggggggggggggggggg",
		EventID: e.ID, EventType: boathook.EventRunSucceeded, Environment: boathook.Production, Body: body,
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

// TestEveryItemKeepsItsKeyAndItsAttributes is a golden test: what is stored
// outlives the code, so no key may change, nor the name or the type of an
// attribute. In the config table these are the domain's fields.
func TestEveryItemKeepsItsKeyAndItsAttributes(t *testing.T) {
	ctx := t.Context()
	r := run()
	r.Status, r.Error, r.ExitCode, r.Output = boathook.RunFailed, "exit status 7", new(7), json.RawMessage(`{}`)
	r.StartedAt, r.CompletedAt, r.LogLines, r.Published = now, now, 12, true
	r.EventName, r.EventSource = "push", "github"
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
		{"token", func(s *dynamo.Store) error {
			return s.PutToken(ctx, boathook.Token{ID: "tok_a", WorkspaceID: "ws_a", CreatedAt: now})
		}},
		{"source", func(s *dynamo.Store) error {
			return s.PutSource(ctx, boathook.Source{ID: "dep_a", WorkspaceID: "ws_a", Kind: boathook.Deployment, CreatedAt: now})
		}},
		{"version", func(s *dynamo.Store) error {
			_, err := s.AddVersion(ctx, boathook.Version{
				ID: "ver_a", SourceID: "dep_a", Environment: boathook.Staging, CreatedAt: now, SealedHeaders: []byte{1},
				Target: boathook.Target{Headers: map[string]string{"A": ""}, Argv: []string{"sh"}},
			})
			return err
		}},
		{"incoming webhook", func(s *dynamo.Store) error {
			return s.PutIncoming(ctx, boathook.IncomingWebhook{ID: "in_a", SourceID: "dep_a", CreatedAt: now, UpdatedAt: now})
		}},
		{"outgoing webhook", func(s *dynamo.Store) error {
			return s.PutOutgoing(ctx, boathook.OutgoingWebhook{
				ID: "out_a", SourceID: "dep_a", CreatedAt: now, UpdatedAt: now, SealedHeaders: []byte{1},
				Events: []boathook.EventType{boathook.EventRunFailed}, Retry: []time.Duration{time.Second},
				Secrets: boathook.SealedSecrets{Current: []byte{1}, Previous: []byte{1}, PreviousUntil: now},
			})
		}},
		{"agent", func(s *dynamo.Store) error {
			return s.PutSource(ctx, boathook.Source{
				ID: "agent_a", WorkspaceID: "ws_a", Kind: boathook.Agent, CreatedAt: now,
				Agent: &boathook.AgentSettings{CrewID: "crew_a", Slug: "a", SealedSecret: []byte{1}},
			})
		}},
		{"load", func(s *dynamo.Store) error {
			limit := store.Limit{RatePerMinute: 60, MaxInFlight: 8}
			if err := s.Admit(ctx, "agent_a", "run_a", limit, store.Load{}, now); err != nil {
				return err
			}
			first, err := store.Load{}.Admit("run_a", limit, now)
			if err != nil {
				return err
			}
			return s.Admit(ctx, "agent_a", "run_b", limit, first, now)
		}},
		{"released run", func(s *dynamo.Store) error { return s.Release(ctx, "agent_a", "run_a") }},
		{"run", func(s *dynamo.Store) error { return s.CreateRun(ctx, r) }},
		{"log", func(s *dynamo.Store) error {
			return s.AppendLog(ctx, "run_a", 1234, []store.LogLine{{Time: now, Stream: "stdout", Text: "hello"}})
		}},
		{"first attempt", func(s *dynamo.Store) error { return s.RecordAttempt(ctx, failed, attempt(1)) }},
		{"later attempt that makes the record of a long body", func(s *dynamo.Store) error {
			return s.RecordAttempt(ctx, retrying, attempt(2))
		}},
		{"canceled delivery", func(s *dynamo.Store) error {
			d := delivery([]byte(`{}`))
			d.Reason = "the webhook was deleted"
			return s.CancelDelivery(ctx, d)
		}},
		{"due row", func(s *dynamo.Store) error {
			return s.PutDue(ctx, store.Due{At: now, ID: "run_a", Kind: store.DueRun, Payload: []byte{1}})
		}},
		{"connection", func(s *dynamo.Store) error {
			return s.PutConnection(ctx, boathook.Connection{ID: "L0SM9cOFvHcCIhw=", WorkspaceID: "ws_a", ConnectedAt: now})
		}},
		{"watcher", func(s *dynamo.Store) error {
			return s.Watch(ctx, boathook.Connection{ID: "L0SM9cOFvHcCIhw=", WorkspaceID: "ws_a", ConnectedAt: now})
		}},
	} {
		s, w := onWire(func(r request) *reply {
			switch {
			case r.operation == "UpdateItem" && r.input["TableName"] == "config":
				return ok(`{"Attributes":{"Versions":{"N":"5"}}}`)
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
		return []string{describe(r.input["TableName"], r.input["Key"].(attributes), r.input["UpdateExpression"].(string))}
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
	for _, name := range []string{"pk", "sk", "parent", "place"} {
		if value, ok := item[name].(attributes); ok {
			lines = append(lines, fmt.Sprintf("    %-6s %s", name, value["S"]))
		}
	}
	var rest []string
	for name, value := range item {
		if !slices.Contains([]string{"pk", "sk", "parent", "place"}, name) {
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
// delivery costs, for the bodies that the four systems document.
func TestADeliverysFirstAttemptIsOneWriteOfOneUnit(t *testing.T) {
	event, _ := finished().Event()
	for name, body := range map[string][]byte{
		"Crewship":   append([]byte(`{"event":"run.succeeded",`), event.Data[1:]...),
		"Shipway":    []byte(shipwayBody),
		"Capawesome": []byte(capawesomeBody),
	} {
		t.Run(name, func(t *testing.T) {
			s, w := onWire(func(request) *reply { return ok(`{}`) })
			d, a := delivery(body), attempt(1)
			d.SourceID, d.WebhookID, d.WorkspaceID = boathook.NewID("dep"), boathook.NewID("out"), boathook.NewID("ws")
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
		})
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

// finished is a run with ids of real length, which hardly compress.
func finished() boathook.Run {
	r := run()
	r.ID, r.SourceID, r.VersionID = boathook.NewID("run"), boathook.NewID("dep"), boathook.NewID("ver")
	r.Status, r.Output = boathook.RunSucceeded, json.RawMessage(`{"summary":"Deployed 3 services to production"}`)
	r.StartedAt, r.CompletedAt, r.LogLines = now.Add(345*time.Millisecond), now.Add(67_891*time.Millisecond), 12
	return r
}

// size is an item's by DynamoDB's rules: names and texts count their bytes,
// numbers one for two digits and one more.
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

// The documents' examples.
const (
	shipwayBody = `{"build":{"build_num":14,"created_at":"2014-12-18T10:44:22+00:00","dockerfile_dir":"/","exit_code":0,"status":` +
		`"succeeded","finished_at":"2014-12-18T10:47:42+00:00","updated_at":"2014-12-18T10:44:22+00:00"},"commit":{"aut` +
		`hor":{"login":"grosskur","name":"Alan Grosskurth"},"message":"Revert test commit","sha":"88d543e33a67d669e917b` +
		`b178d63fba838d9cf2e"},"image_tags":[{"full_name":"shipway.io/grosskur/docker-hello:latest","id":"4cdd9808a0d64` +
		`fc04e92be2832895ab2de9bf86dd60cf6d846e886904925186d","name":"latest"}],"images":[{"id":"4cdd9808a0d64fc04e92be` +
		`2832895ab2de9bf86dd60cf6d846e886904925186d","pushed":true},{"id":"aab4e5cb6c913c9801d1e0872f930d97b665edeb1344` +
		`e01dd6e57daa9eefed15","pushed":true},{"id":"d76986f1db3e3d98364088b98384d612ba5f8207cdf0575e5512da55d53c4490",` +
		`"pushed":true},{"id":"60dbd5ce6f07db5d392da675f6ab1fadcea5c129d9853058dd487d55b3a655d3","pushed":false},{"id":` +
		`"fcf984186c72de37469b8a049f6bb4a3f128e9b60f3b3e279a9abbce689f6274","pushed":false}],"repository":{"clone_url":` +
		`"https://github.com/grosskur/docker-hello.git","id":27844253,"name":"docker-hello","owner":{"id":40483,"login"` +
		`:"grosskur"}}}`

	capawesomeBody = `{"event":"job_finished","data":{"id":"16555c02-a320-4bec-a14a-52754d783970","appBuildId":"647d1fe4-9cb7-4f25-a` +
		`faf-7a0c13a1bb8c","appDeploymentId":null,"appId":"70922e93-0944-48cc-a560-61135ab291ad","canceledAt":177114328` +
		`4003,"canceledBy":"f624e455-b19c-4f17-8282-e4a7a02597f3","finishedAt":1771143284003,"inProgressAt":17711432753` +
		`11,"inProgressTimeInSeconds":8,"organizationId":"a7249949-a705-4952-a293-a06df84950dc","pendingAt":17711432563` +
		`81,"pendingTimeInSeconds":18,"queuedAt":null,"queueTimeInSeconds":null,"stack":"macos-tahoe","status":"cancele` +
		`d","totalTimeInSeconds":27,"createdAt":1771143256161,"createdBy":"f624e455-b19c-4f17-8282-e4a7a02597f3"}}`
)
