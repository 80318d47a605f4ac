package dynamo_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"boathook/internal/boathook"
	"boathook/internal/store"
	"boathook/internal/store/dynamo"
)

// mayLag are the partitions of lists that may miss what was just written: a
// webhook's deliveries, those that were entered, statistics, the watchers of a workspace's
// log and, since the place that seems free is taken on condition that it is, leases.
var mayLag = []string{"dlv#", "entered#", "stats#", "watch#", "lease#"}

// global are the indexes of which DynamoDB has no consistent reads.
var global = []any{"by-parent", "by-workspace", "active"}

// stale describes a read that may not see what was just written, though no caller
// expects it; it is empty for any other request. Emulators are always consistent,
// so no test that reads what it wrote would notice.
func stale(r request) string {
	consistent := func(of any) bool { return of.(map[string]any)["ConsistentRead"] == true }
	switch r.operation {
	case "GetItem":
		if !consistent(r.input) {
			return fmt.Sprintf("GetItem of %v is not consistent", r.input["Key"])
		}
	case "BatchGetItem":
		for table, keys := range r.input["RequestItems"].(map[string]any) {
			if !consistent(keys) {
				return fmt.Sprintf("BatchGetItem of %s is not consistent", table)
			}
		}
	case "Query":
		if slices.Contains(global, r.input["IndexName"]) || consistent(r.input) {
			return ""
		}
		for _, value := range r.input["ExpressionAttributeValues"].(attributes) {
			text, _ := value.(attributes)["S"].(string)
			if slices.ContainsFunc(mayLag, func(prefix string) bool { return strings.HasPrefix(text, prefix) }) &&
				!strings.HasSuffix(text, "#deliveries") {
				return ""
			}
		}
		return fmt.Sprintf("Query of %v is not consistent", r.input["ExpressionAttributeValues"])
	}
	return ""
}

// strict is the SDK's HTTP client of an emulator. It fails the test for each read
// that is [stale].
type strict struct {
	t    *testing.T
	next dynamodb.HTTPClient
}

func (s strict) Do(r *http.Request) (*http.Response, error) {
	sent, err := readSent(r)
	if err != nil {
		return nil, err
	}
	if why := stale(sent); why != "" {
		s.t.Error(why)
	}
	return s.next.Do(r)
}

// The first request of each method that reads, without an emulator.
func TestWhatWasJustWrittenIsSeen(t *testing.T) {
	ctx, page := t.Context(), boathook.Page{Limit: 1}
	d := delivery(nil)
	for name, call := range map[string]func(s *dynamo.Store){
		"Workspace":            func(s *dynamo.Store) { _, _ = s.Workspace(ctx, "ws_a") },
		"Workspaces":           func(s *dynamo.Store) { _, _, _ = s.Workspaces(ctx, page) },
		"DeleteWorkspace":      func(s *dynamo.Store) { _ = s.DeleteWorkspace(ctx, "ws_a") },
		"TokenByHash":          func(s *dynamo.Store) { _, _ = s.TokenByHash(ctx, [32]byte{}) },
		"Tokens":               func(s *dynamo.Store) { _, _, _ = s.Tokens(ctx, "ws_a", page) },
		"Token":                func(s *dynamo.Store) { _, _ = s.Token(ctx, "ws_a", "tok_a") },
		"DeleteToken":          func(s *dynamo.Store) { _ = s.DeleteToken(ctx, "ws_a", "tok_a") },
		"Source":               func(s *dynamo.Store) { _, _ = s.Source(ctx, "ws_a", "dep_a") },
		"Sources":              func(s *dynamo.Store) { _, _, _ = s.Sources(ctx, "ws_a", boathook.Deployment, page) },
		"CrewAgents":           func(s *dynamo.Store) { _, _, _ = s.CrewAgents(ctx, "ws_a", "crew_a", page) },
		"Agents":               func(s *dynamo.Store) { _, _ = s.Agents(ctx, "ws_a", 1) },
		"AgentBySlug":          func(s *dynamo.Store) { _, _ = s.AgentBySlug(ctx, "ws_a", "crew_a", "slug") },
		"CustomerByExternalID": func(s *dynamo.Store) { _, _ = s.CustomerByExternalID(ctx, "ws_a", "acct_1") },
		"EventType":            func(s *dynamo.Store) { _, _ = s.EventType(ctx, "ws_a", "invoice.paid") },
		"AllEventTypes":        func(s *dynamo.Store) { _, _ = s.AllEventTypes(ctx, "ws_a") },
		"DeleteSource":         func(s *dynamo.Store) { _ = s.DeleteSource(ctx, "ws_a", "dep_a") },
		"Live":                 func(s *dynamo.Store) { _, _ = s.Live(ctx, "dep_a") },
		"Version":              func(s *dynamo.Store) { _, _ = s.Version(ctx, "dep_a", "ver_a") },
		"Versions":             func(s *dynamo.Store) { _, _, _ = s.Versions(ctx, "dep_a", page) },
		"Incoming":             func(s *dynamo.Store) { _, _ = s.Incoming(ctx, "dep_a", "in_a") },
		"AllIncoming":          func(s *dynamo.Store) { _, _ = s.AllIncoming(ctx, "dep_a") },
		"Outgoing":             func(s *dynamo.Store) { _, _ = s.Outgoing(ctx, "dep_a", "out_a") },
		"AllOutgoing":          func(s *dynamo.Store) { _, _ = s.AllOutgoing(ctx, "dep_a") },
		"Audience":             func(s *dynamo.Store) { _, _ = s.Audience(ctx, "dep_a") },
		"FeedEvents": func(s *dynamo.Store) {
			_, _ = s.FeedEvents(ctx, store.FeedQuery{SourceID: "dep_a", Settings: boathook.FeedSettings{RetentionDays: 1}, Limit: 1})
		},
		"LookUpTrigger": func(s *dynamo.Store) { _, _ = s.LookUpTrigger(ctx, "dep_a", "in_a", "run_a") },
		"LookUpAgent":   func(s *dynamo.Store) { _, _ = s.LookUpAgent(ctx, "agent_a", "run_a") },
		"LookUpStart":   func(s *dynamo.Store) { _, _, _ = s.LookUpStart(ctx, "dep_a", "run_a") },
		"Health":        func(s *dynamo.Store) { _, _ = s.Health(ctx, "out_a") },
		"Watchers":      func(s *dynamo.Store) { _, _ = s.Watchers(ctx, "ws_a", boathook.DeliveriesChannel) },
		"WatchersBy":    func(s *dynamo.Store) { _, _ = s.WatchersBy(ctx, "ws_a", "tok_a") },
		"RunHead":       func(s *dynamo.Store) { _, _ = s.RunHead(ctx, "run_a") },
		"Run":           func(s *dynamo.Store) { _, _ = s.Run(ctx, "ws_a", "run_a") },
		"RequestCancel": func(s *dynamo.Store) { _, _ = s.RequestCancel(ctx, "run_a", now) },
		"Log":           func(s *dynamo.Store) { _, _, _ = s.Log(ctx, "run_a", 0, 1) },
		"LogLines":      func(s *dynamo.Store) { _, _ = s.LogLines(ctx, "run_a") },
		"Delivery":      func(s *dynamo.Store) { _, _ = s.Delivery(ctx, d.WorkspaceID, d.ID) },
		"Attempts":      func(s *dynamo.Store) { _, _, _ = s.Attempts(ctx, d.WorkspaceID, d.ID) },
		"Due":           func(s *dynamo.Store) { _, _ = s.Due(ctx, 3, store.Due{}, now, 1) },
		"Connection":    func(s *dynamo.Store) { _, _ = s.Connection(ctx, "connection_a") },
	} {
		t.Run(name, func(t *testing.T) {
			s, w := onWire(func(request) *reply { return ok(`{}`) })
			call(s)
			reads := 0
			for _, r := range w.requests {
				if r.operation == "GetItem" || r.operation == "BatchGetItem" || r.operation == "Query" {
					reads++
				}
				if why := stale(r); why != "" {
					t.Error(why)
				}
			}
			if reads == 0 {
				t.Errorf("it reads nothing: %v", w.operations())
			}
		})
	}
}

// A run that is not pending is nobody's to take back: as long as its head is there,
// so are the texts that it names.
func TestTheHeadOfARunThatIsNotPendingIsWrittenAfterItsTexts(t *testing.T) {
	for status, output := range map[boathook.RunStatus]string{
		boathook.RunRunning: "", boathook.RunSucceeded: `{"ok":true}`, boathook.RunFailed: "", boathook.RunCanceled: "",
	} {
		for _, text := range []string{"input#", "output#"} {
			if text == "output#" && output == "" {
				continue
			}
			t.Run(fmt.Sprintf("%s, its %s", status, strings.Trim(text, "#")), func(t *testing.T) {
				s, w := onWire(func(r request) *reply {
					if strings.HasPrefix(sortKey(r), text) {
						return failure("ValidationException") // which the SDK does not try again
					}
					return ok(`{}`)
				})
				r := run()
				r.Status, r.Output = status, []byte(output)
				r.Claim = boathook.Claim{ID: "claim_a", LeaseUntil: now.Add(time.Minute)}
				if err := s.CreateRun(t.Context(), r); err == nil || boathook.IsKind(err, boathook.Conflict) {
					t.Errorf("got %v, want a failure", err)
				}
				for _, sent := range w.requests {
					if sortKey(sent) == "head" {
						t.Errorf("the head was written: %v", w.operations())
					}
				}
			})
		}
	}
}

// An output is there before the head that names it, and a head that was not to be
// changed names none.
func TestARunsOutputIsWrittenBeforeItsEnd(t *testing.T) {
	s, w := onWire(func(r request) *reply {
		if r.operation == "PutItem" {
			return failure("ValidationException")
		}
		return ok(`{}`)
	})
	_, err := s.FinishRun(t.Context(), "run_a", boathook.Claim{ID: "claim_a"}, boathook.Outcome{
		Status: boathook.RunSucceeded, Output: []byte(`{}`), CompletedAt: now,
	})
	if err == nil || slices.Contains(w.operations(), "UpdateItem") {
		t.Errorf("got %v after %v", err, w.operations())
	}
}

// sortKey is of the item that a request puts or updates; empty for any other.
func sortKey(r request) string {
	for _, field := range []string{"Item", "Key"} {
		if item, ok := r.input[field].(attributes); ok {
			return item["sk"].(attributes)["S"].(string)
		}
	}
	return ""
}

// A store that fails while it tries again and again gives up.
func TestACancelRequestThatFailsIsAnError(t *testing.T) {
	s, _ := onWire(func(r request) *reply {
		if r.operation == "GetItem" {
			return ok(fmt.Sprintf(`{"Item":{"pk":{"S":"run#run_a"},"sk":{"S":"head"},"s":{"S":"pending"},"x":{"N":"%d"}}}`, now.Unix()+60))
		}
		return failure("ValidationException")
	})
	_, err := s.RequestCancel(t.Context(), "run_a", now)
	if err == nil || boathook.IsKind(err, boathook.Conflict) || boathook.IsKind(err, boathook.NotFound) {
		t.Errorf("got %v, want a failure", err)
	}
}

// A row must be there when its time comes, and sweep may come late.
func TestADueRowLivesARetentionFromItsTimeOn(t *testing.T) {
	const retention = 30 * 24 * time.Hour
	for name, c := range map[string]struct{ at, lives time.Time }{
		"due after the retention": {now.Add(2 * retention), now.Add(3 * retention)},
		"due soon":                {now.Add(time.Minute), now.Add(retention + time.Minute)},
		"overdue":                 {now.Add(-retention), now.Add(retention)},
	} {
		s, w := onWire(func(request) *reply { return ok(`{}`) })
		if err := s.PutDue(t.Context(), store.ScheduledCheck("run_a", c.at)); err != nil {
			t.Fatal(err)
		}
		if got := w.requests[0].input["Item"].(attributes)["x"].(attributes)["N"]; got != fmt.Sprint(c.lives.Unix()) {
			t.Errorf("%s: it expires at %v, want %d", name, got, c.lives.Unix())
		}
	}
}
