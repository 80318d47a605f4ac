package api_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"boathook/internal/boathook"
)

func TestTheDeliveriesOfAWorkspaceAreFound(t *testing.T) {
	a := newAPI(t)
	one, other := a.deployment(), a.deployment()
	ofOne, ofOther := a.outgoing(one).text("id"), a.outgoing(other).text("id")
	at := a.clock.Now()
	failed := a.fail(idOf(one), ofOne)
	a.clock.pass(time.Minute)
	waiting := a.wait(idOf(other), ofOther, a.clock.Now().Add(time.Hour))
	a.clock.pass(time.Minute)
	d := a.delivery(idOf(other), ofOther)
	d.Status, d.Attempts, d.EventType = boathook.DeliverySucceeded, 1, boathook.EventRunFailed
	taken := boathook.Attempt{Number: 1, SentAt: a.clock.Now(), Duration: 84 * time.Millisecond, Response: &boathook.Response{Status: 204}}
	if err := a.store.RecordAttempt(t.Context(), d, taken); err != nil {
		t.Fatal(err)
	}
	succeeded := d.ID
	foreign := d
	foreign.WorkspaceID = "ws_other"
	if err := a.store.RecordAttempt(t.Context(), foreign, taken); err != nil {
		t.Fatal(err)
	}

	minute := func(n int) string { return at.Add(time.Duration(n) * time.Minute).Format(time.RFC3339) }
	for query, want := range map[string][]boathook.DeliveryID{
		"":                         {succeeded, waiting, failed},
		"source_id=" + idOf(other): {succeeded, waiting},
		"webhook_id=" + ofOne:      {failed},
		"source_id=" + idOf(other) + "&webhook_id=" + ofOne: {},
		"event_type=run.failed":                             {succeeded},
		"event_type=invoice.paid":                           {},
		"status=failed":                                     {failed},
		"status=retrying":                                   {waiting},
		"response_status=204":                               {succeeded},
		"response_status=2xx":                               {succeeded},
		"response_status=5xx":                               {waiting, failed},
		"response_status=5xx&status=failed":                 {failed},
		"response_status=none":                              {},
		"response_status=5xx&webhook_id=" + ofOther:         {waiting},
		"since=" + minute(1):                                {succeeded, waiting},
		"since=" + minute(1) + "&until=" + minute(2):        {waiting},
		"source_id=dep_deleted":                             {},
	} {
		ids := []string{}
		for _, id := range want {
			ids = append(ids, id.String())
		}
		got := a.ask(200, "GET", "/v1/deliveries?"+query, "")
		if diff := cmp.Diff(ids, got.column("data", "id")); diff != "" || got["next_cursor"] != nil {
			t.Errorf("%s, next %v (-want +got):\n%s", query, got["next_cursor"], diff)
		}
	}
	first := a.ask(200, "GET", "/v1/deliveries?limit=2", "")
	rest := a.ask(200, "GET", "/v1/deliveries?limit=2&cursor="+url.QueryEscape(first.text("next_cursor")), "")
	if got := append(first.column("data", "id"), rest.column("data", "id")...); len(got) != 3 || got[2] != failed.String() {
		t.Errorf("in pages they are %v", got)
	}
	last := first.list("data")[0].object("last_attempt")
	if last["response_status"] != 204.0 || last["duration_ms"] != 84.0 || last["error"] != nil || last["number"] != 1.0 {
		t.Errorf("of the last attempt it tells %v", last)
	}

	for _, c := range []struct{ field, value, says string }{
		{"source_id", "in_a", "dep_…"},
		{"source_id", "dep_A", "dep_…"},
		{"webhook_id", "dep_a", "out_…"},
		{"event_type", "a b", "run.failed"},
		{"status", "pending", "succeeded, retrying, failed or canceled"},
		{"response_status", "600", "5xx"},
		{"response_status", "5XX", "5xx"},
		{"since", "yesterday", "2026-11-21T18:00:00Z"},
		{"until", "1767225600", "2026-11-21T18:00:00Z"},
		{"limit", "0", "1 to 200"},
		{"cursor", "x", "list"},
		{"stauts", "failed", "parameter"},
	} {
		message := a.refused(400, c.field, "GET", "/v1/deliveries?"+url.Values{c.field: {c.value}}.Encode(), "")
		if !strings.Contains(message, c.says) {
			t.Errorf("%s=%s: %q, want it to say %q", c.field, c.value, message, c.says)
		}
	}
	a.refused(400, "until", "GET", "/v1/deliveries?since="+minute(1)+"&until="+minute(1), "")
}

func TestTheSendersIDFindsTheRun(t *testing.T) {
	a := newAPI(t)
	deployment := idOf(a.deployment())
	run := func(id, source, delivery string) {
		r := boathook.Run{RunHead: boathook.RunHead{
			ID: id, WorkspaceID: "ws_local", SourceID: source, VersionID: "ver_a", Environment: boathook.Production, Trigger: boathook.TriggerWebhook,
			CreatedAt: a.clock.Now(), Status: boathook.RunPending, Details: boathook.TriggerDetails{DeliveryID: delivery},
		}, Input: boathook.NewBody([]byte(`{}`))}
		if err := a.store.CreateRun(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		a.clock.pass(time.Second)
	}
	const id = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
	run("run_a", deployment, id)
	run("run_b", deployment, "other")
	run("run_c", "agent_a", id)
	for query, want := range map[string]string{
		"delivery_id=" + id: "run_c run_a", "delivery_id=" + id + "&deployment_id=" + deployment: "run_a",
		"delivery_id=nobody": "", "delivery_id=" + id + "&status=succeeded": "",
	} {
		got := a.ask(200, "GET", "/v1/runs?"+query, "")
		if ids := strings.Join(got.column("runs", "id"), " "); ids != want || got["next_cursor"] != nil {
			t.Errorf("%s: %q, want %q", query, ids, want)
		}
	}
	if message := a.refused(400, "delivery_id", "GET", "/v1/runs?delivery_id="+strings.Repeat("x", 129), ""); !strings.Contains(message, "128 bytes") {
		t.Errorf("one that is too long: %q", message)
	}
}

func TestAWebhooksAttemptsAreCountedByTheHourAndTheDay(t *testing.T) {
	a := newAPI(t) // at noon
	deployment := a.deployment()
	webhook := a.outgoing(deployment).text("id")
	path := deployment + "/outgoing-webhooks/" + webhook + "/stats"
	count := func(ago time.Duration, status boathook.DeliveryStatus, durations ...time.Duration) {
		c := boathook.AttemptCounts{From: a.clock.Now().Add(-ago)}
		for _, d := range durations {
			c.Count(status, d)
		}
		if err := a.store.CountAttempts(t.Context(), webhook, c); err != nil {
			t.Fatal(err)
		}
	}
	count(0, boathook.DeliverySucceeded, 80*time.Millisecond, 90*time.Millisecond, 95*time.Millisecond)
	count(0, boathook.DeliveryRetrying, 29*time.Second)
	count(3*time.Hour, boathook.DeliveryFailed, 40*time.Millisecond)
	count(13*time.Hour, boathook.DeliverySucceeded, 10*time.Millisecond)

	row := func(o object) string {
		return strings.TrimSpace(fmt.Sprintln(o["from"], o["succeeded"], o["failed"], o["retrying"], o["latency_p50_ms"], o["latency_p95_ms"]))
	}
	hours := a.ask(200, "GET", path, "").list("data")
	if n := len(hours); n != 25 || row(hours[n-1]) != "2026-03-01T12:00:00.000Z 3 0 1 100 30000" ||
		row(hours[n-2]) != "2026-03-01T11:00:00.000Z 0 0 0 <nil> <nil>" || row(hours[n-4]) != "2026-03-01T09:00:00.000Z 0 1 0 50 50" {
		t.Errorf("the last %d hours are %v", n, hours)
	}
	part := a.ask(200, "GET", path+"?since=2026-03-01T09:59:59%2B00:00", "")
	if rows := part.list("data"); len(rows) != 4 || row(rows[0]) != row(hours[21]) || part.text("bucket") != "hour" || part.text("webhook_id") != webhook {
		t.Errorf("since nine they are %v", part)
	}
	days := a.ask(200, "GET", path+"?bucket=day&since=2026-02-28T23:00:00Z", "").list("data")
	if len(days) != 2 || row(days[0]) != "2026-02-28T00:00:00.000Z 1 0 0 10 10" || row(days[1]) != "2026-03-01T00:00:00.000Z 3 1 1 100 30000" {
		t.Errorf("the days are %v", days)
	}
	if n := len(a.ask(200, "GET", path+"?bucket=day", "").list("data")); n != 31 {
		t.Errorf("by the day there are %d", n)
	}
	for query, says := range map[string][2]string{
		"bucket=week":                           {"bucket", "hour or day"},
		"since=now":                             {"since", "2026-11-21T18:00:00Z"},
		"since=2026-01-01T00:00:00Z":            {"since", "31 days"},
		"since=2026-03-01T12:00:01Z":            {"since", "future"},
		"bucket=day&since=2025-11-01T00:00:00Z": {"since", "92 days"},
	} {
		if message := a.refused(400, says[0], "GET", path+"?"+query, ""); !strings.Contains(message, says[1]) {
			t.Errorf("%s: %q, want it to say %q", query, message, says[1])
		}
	}
}
