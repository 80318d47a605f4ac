package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
)

// missed records deliveries that a webhook did not take: one by an answer, one for want of
// an answer an hour before.
func (p *portals) missed(source, webhook string) {
	p.t.Helper()
	for i, response := range []*boathook.Response{{Status: 503}, nil} {
		at := p.now.Add(-time.Duration(i) * time.Hour)
		event := boathook.Event{ID: boathook.NewID("evt"), Type: boathook.EventRunFailed, WorkspaceID: p.admin.Workspace, SourceID: source, Time: at, Data: []byte(`{}`)}
		d := boathook.Delivery{
			ID: boathook.NewDeliveryID(&event, webhook), WorkspaceID: p.admin.Workspace, SourceID: source, WebhookID: webhook, EventID: event.ID, EventType: event.Type,
			Body: boathook.NewBody(event.Data), Status: boathook.DeliveryFailed, Attempts: 1,
		}
		failure := []string{"answered 503", "no answer within 30 s"}[i]
		if err := p.store.RecordAttempt(p.t.Context(), d, boathook.Attempt{Number: 1, SentAt: at, Response: response, Error: failure}); err != nil {
			p.t.Fatal(err)
		}
	}
}

func TestDeliveriesAreFilteredByTimesAndForWantOfAnAnswer(t *testing.T) {
	p := newPortals(t)
	p.signIn(adminToken)
	p.missed(p.customer("Halvard"))
	const list, answered, unanswered = "/console/deliveries", "answered 503", "no answer within 30 s"
	sees := func(path string, one, other bool) {
		t.Helper()
		got := p.see(200, path)
		if strings.Contains(got.body, answered) != one || strings.Contains(got.body, unanswered) != other {
			t.Errorf("%s shows the one: %v, the other: %v", path, !one, !other)
		}
	}
	sees(list, true, true)
	sees(list+"?code=none", false, true)
	sees(list+"?code=5xx", true, false)
	sees(list+"?since=2026-03-01T11:30:00Z", true, false)
	sees(list+"?until=2026-03-01T11:30:00Z", false, true)

	leads := func(query, to string) {
		t.Helper()
		if got := p.see(http.StatusSeeOther, list+"?"+query); got.Header.Get("Location") != list+to {
			t.Errorf("%s leads to %s, not to %s", query, got.Header.Get("Location"), list+to)
		}
	}
	day := "?" + url.Values{"since": {"2026-02-28T12:00:00Z"}, "until": {"2026-03-01T12:01:00Z"}}.Encode()
	leads("time=between", day)
	p.jar["boathook_zone"] = &http.Cookie{Name: "boathook_zone", Value: "Europe%2FBerlin", Path: "/"}
	p.see(200, list+day, `value="2026-02-28T13:00"`, `value="2026-03-01T13:01"`, `value="between" selected`)
	leads("time=between&since=2026-03-01T12:30&until=", "?since=2026-03-01T11%3A30%3A00Z")
	leads("time=between&since=&until=2026-03-01T12:30:15", "?until=2026-03-01T11%3A30%3A15Z")
	leads("time=1h&since=2026-03-01T12:30", "?time=1h")
	leads("time=&since=2026-03-01T12:30", "?time=")
	p.see(http.StatusBadRequest, list+"?since=2026-03-01T12:00:00Z&until=2026-03-01T11:00:00Z", `id="until-e"`, "Must be after", "13:00")
	p.see(http.StatusBadRequest, list+"?since=yesterday", `id="since-e"`)
}

func TestOperationsListTheWebhooksThatFail(t *testing.T) {
	p := newPortals(t)
	p.signIn(adminToken)
	p.see(200, "/console/operations", "Webhooks that fail", "All is well")
	customer, webhook := p.customer("Halvard")
	p.missed(customer, webhook)
	p.see(200, "/console/operations", "hook of Halvard", "2 failed", "answered 503", "/console/customers/"+customer+"/outgoing/"+webhook)
}
