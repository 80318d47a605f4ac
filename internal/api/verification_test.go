package api_test

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/seal"
)

func TestAVerificationsSecretIsStoredSealedAndNeverShown(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	const secret = "It's a Secret to Everybody"
	made := a.ask(201, "POST", deployment+"/incoming-webhooks",
		`{"name":"ci","environment":"production","verification":{"preset":"github","secret":"`+secret+`"}}`)
	path := deployment + "/incoming-webhooks/" + made.text("id")
	sealed := func() string {
		t.Helper()
		w, err := a.store.Incoming(t.Context(), idOf(deployment), made.text("id"))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := sealer{}.Open(t.Context(), w.WorkspaceID, seal.IncomingSecret(w.ID), w.Verification.SealedSecret)
		if err != nil {
			t.Fatal(err)
		}
		return string(plain)
	}
	shown := func(o object, want object) {
		t.Helper()
		if got := o.object("verification"); !reflect.DeepEqual(got, want) {
			t.Errorf("shown as %v, want %v", got, want)
		}
		if strings.Contains(fmt.Sprint(o), "Secret") {
			t.Errorf("the secret is in %v", o)
		}
	}
	shown(made, object{"preset": "github"})
	shown(a.ask(200, "GET", path, ""), object{"preset": "github"})
	if got := sealed(); got != secret {
		t.Errorf("sealed %q", got)
	}

	a.ask(200, "PATCH", path, `{"name":"renamed"}`)
	a.ask(200, "PATCH", path, `{"verification":{"preset":"github"}}`)
	a.ask(200, "POST", path+"/rotate", "")
	if got := sealed(); got != secret {
		t.Errorf("after changes that leave it out, sealed %q", got)
	}
	shown(a.ask(200, "PATCH", path, `{"verification":{"preset":"hmac","secret":"another one","header":"X-Sig","algorithm":"sha1","encoding":"base64","prefix":"s=","delivery_header":"X-Id"}}`),
		object{"preset": "hmac", "header": "X-Sig", "algorithm": "sha1", "encoding": "base64", "prefix": "s=", "delivery_header": "X-Id"})
	if got := sealed(); got != "another one" {
		t.Errorf("sealed %q", got)
	}
	shown(a.ask(200, "PATCH", path, `{"verification":{"preset":"none"}}`), object{"preset": "none"})
	w, err := a.store.Incoming(t.Context(), idOf(deployment), made.text("id"))
	if err != nil || w.Verification.SealedSecret != nil {
		t.Errorf("a secret is left behind: %v, %v", w.Verification, err)
	}
}

func TestVerificationsAndFiltersAreChecked(t *testing.T) {
	a := newAPI(t)
	webhooks := a.deployment() + "/incoming-webhooks"
	path := webhooks + "/" + a.ask(201, "POST", webhooks,
		`{"name":"ci","environment":"production","verification":{"preset":"gitlab","secret":"long enough"}}`).text("id")
	for _, c := range []struct{ change, field string }{
		{`"verification":{}`, "verification.preset"},
		{`"verification":{"preset":"GitHub","secret":"long enough"}`, "verification.preset"},
		{`"verification":{"preset":"github"}`, "verification.secret"}, // GitLab's was another
		{`"verification":{"preset":"github","secret":""}`, "verification.secret"},
		{`"verification":{"preset":"github","secret":"7 bytes"}`, "verification.secret"},
		{`"verification":{"preset":"github","secret":" with a space before"}`, "verification.secret"},
		{`"verification":{"preset":"github","secret":"with a\nline break"}`, "verification.secret"},
		{`"verification":{"preset":"github","secret":"` + strings.Repeat("x", 257) + `"}`, "verification.secret"},
		{`"verification":{"preset":"standard","secret":"whsec_not base64"}`, "verification.secret"},
		{`"verification":{"preset":"none","secret":"long enough"}`, "verification.secret"},
		{`"verification":{"preset":"github","secret":"long enough","header":"X-Sig"}`, "verification.header"},
		{`"verification":{"preset":"hmac","secret":"long enough","algorithm":"sha256","encoding":"hex"}`, "verification.header"},
		{`"verification":{"preset":"hmac","secret":"long enough","header":"X Sig","algorithm":"sha256","encoding":"hex"}`, "verification.header"},
		{`"verification":{"preset":"hmac","secret":"long enough","header":"host","algorithm":"sha256","encoding":"hex"}`, "verification.header"},
		{`"verification":{"preset":"hmac","secret":"long enough","header":"X-Sig","algorithm":"sha256","encoding":"hex","delivery_header":"X-Request-Id"}`, "verification.delivery_header"},
		{`"verification":{"preset":"grafana","secret":"long enough","timestamp_header":"X-Amzn-Trace-Id"}`, "verification.timestamp_header"},
		{`"verification":{"preset":"hmac","secret":"long enough","header":"X-Sig","algorithm":"md5","encoding":"hex"}`, "verification.algorithm"},
		{`"verification":{"preset":"hmac","secret":"long enough","header":"X-Sig","algorithm":"sha256","encoding":"HEX"}`, "verification.encoding"},
		{`"verification":{"preset":"hmac","secret":"long enough","header":"X-Sig","algorithm":"sha256","encoding":"hex","prefix":"a\u0000"}`, "verification.prefix"},
		{`"verification":{"preset":"hmac","secret":"long enough","header":"X-Sig","algorithm":"sha256","encoding":"hex","delivery_header":"é"}`, "verification.delivery_header"},
		{`"verification":{"preset":"github","secret":7}`, "verification.secret"},
		{`"filter":{"events":[""]}`, "filter.events"},
		{`"filter":{"pointer":"/action"}`, "filter"},
		{`"filter":{"equals":"opened"}`, "filter"},
		{`"filter":{"pointer":"action","equals":"opened"}`, "filter.pointer"},
		{`"filter":{"pointer":"/action","equals":{"a":1}}`, "filter.equals"},
		{`"filter":{"jq":".body ="}`, "filter.jq"},
		{`"filter":{"jq":"env.HOME == \"/\""}`, "filter.jq"},
		{`"filter":{"jq":"` + strings.Repeat(" ", 4096) + `1"}`, "filter.jq"},
	} {
		a.refused(400, c.field, "PATCH", path, "{"+c.change+"}")
		a.refused(400, c.field, "POST", webhooks, `{"name":"ci","environment":"production",`+c.change+"}")
	}
	if got := a.ask(200, "GET", path, "").object("verification"); !reflect.DeepEqual(got, object{"preset": "gitlab"}) {
		t.Errorf("after what was refused, it is %v", got)
	}
}

func TestAFilterIsSetAndTakenAway(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	path := deployment + "/incoming-webhooks/" + a.incoming(deployment).text("id")
	want := object{"events": []any{"push"}, "pointer": "/n", "equals": nil, "jq": ".query.a == \"1\""}
	got := a.ask(200, "PATCH", path, `{"filter":{"events":["push"],"pointer":"/n","equals":null,"jq":".query.a == \"1\""}}`).object("filter")
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := a.ask(200, "PATCH", path, `{"name":"x"}`)["filter"]; got == nil {
		t.Error("another change took it away")
	}
	if got := a.ask(200, "PATCH", path, `{"filter":{}}`)["filter"]; got != nil {
		t.Errorf("it is still %v", got)
	}
}

func TestWhetherFailedRunsAreRunAgainFollowsFromThePresetUnlessItIsSet(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	path := deployment + "/incoming-webhooks/" + a.incoming(deployment).text("id")
	for _, step := range []struct {
		change string
		want   bool
	}{
		{`{}`, false},
		{`{"verification":{"preset":"github","secret":"a secret of both"}}`, true},
		{`{"rerun_failed":false}`, false},
		{`{"name":"x"}`, false},
		{`{"verification":{"preset":"none"},"rerun_failed":true}`, true},
	} {
		if got := a.ask(200, "PATCH", path, step.change)["rerun_failed"]; got != step.want {
			t.Errorf("after %s it is %v", step.change, got)
		}
	}
	made := a.ask(201, "POST", deployment+"/incoming-webhooks",
		`{"name":"ci","environment":"production","rerun_failed":false,"verification":{"preset":"github","secret":"a secret of both"}}`)
	if made["rerun_failed"] != false {
		t.Errorf("made with %v", made["rerun_failed"])
	}
}

func TestTheRequestsOfAnIncomingWebhook(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	webhook := a.incoming(deployment).text("id")
	path := deployment + "/incoming-webhooks/" + webhook + "/requests"
	if got := a.ask(200, "GET", path, ""); len(got.list("data")) != 0 || got["next_cursor"] != nil {
		t.Errorf("of a new webhook: %v", got)
	}

	w, err := a.store.Incoming(t.Context(), idOf(deployment), webhook)
	if err != nil {
		t.Fatal(err)
	}
	run := boathook.Run{Input: boathook.NewBody(boathook.EmptyInput), RunHead: boathook.RunHead{
		ID: boathook.NewID(boathook.RunID), WorkspaceID: w.WorkspaceID, SourceID: w.SourceID, WebhookID: w.ID,
		CreatedAt: a.clock.Now(), Status: boathook.RunPending,
	}}
	if err := a.store.CreateRun(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	rejected := boathook.Request{
		ID: "req_x", WorkspaceID: w.WorkspaceID, WebhookID: w.ID, At: a.clock.Now().Add(time.Second),
		Outcome: boathook.RequestRejected, Status: http.StatusUnauthorized, Reason: "X-Hub-Signature-256 is missing",
		Sender: &boathook.Sender{IP: "203.0.113.7", ContentType: "application/json", BodySize: 2, BodySHA256: "44136fa3"},
	}
	if err := a.store.PutRequest(t.Context(), 0, rejected); err != nil {
		t.Fatal(err)
	}
	want := []object{
		{
			"id": "req_x", "at": "2026-03-01T12:00:01.000Z", "outcome": "rejected", "status": 401.0, "reason": "X-Hub-Signature-256 is missing", "run_id": nil,
			"sender": map[string]any{
				"ip": "203.0.113.7", "user_agent": nil, "content_type": "application/json", "header_names": []any{}, "body_size": 2.0, "body_sha256": "44136fa3",
			},
		},
		{"id": run.ID, "at": "2026-03-01T12:00:00.000Z", "outcome": "accepted", "status": 202.0, "reason": nil, "run_id": run.ID, "sender": nil},
	}
	if got := a.ask(200, "GET", path, "").list("data"); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	first := a.ask(200, "GET", path+"?limit=1", "")
	second := a.ask(200, "GET", path+"?limit=1&cursor="+first.text("next_cursor"), "")
	if got := append(first.list("data"), second.list("data")...); !reflect.DeepEqual(got, want) || second["next_cursor"] != nil {
		t.Errorf("in pages: %v, then %v", first, second)
	}
	if got := a.ask(200, "GET", path+"?outcome=rejected", "").list("data"); !reflect.DeepEqual(got, want[:1]) {
		t.Errorf("those rejected: %v", got)
	}
	a.refused(400, "outcome", "GET", path+"?outcome=lost", "")
	a.refused(400, "cursor", "GET", path+"?cursor=x", "")
	a.ask(404, "GET", deployment+"/incoming-webhooks/in_none/requests", "")
	a.as(a.otherWorkspace(), 404, "GET", path, "")
}
