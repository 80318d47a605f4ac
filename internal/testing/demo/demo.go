// Package demo fills a Boathook with what a company has that uses it: sources of every
// kind, webhooks in every state, deliveries and runs of every outcome, and what strangers
// send to break a page. All of it is made by requests to the API, so that it is what
// users have, but for the day before, which is written to the store. Tests and screenshots
// of the console look at it.
package demo

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// World is what [Fill] has made.
type World struct {
	Receivers *Receivers

	Deployment string // invoice-reconciler, which has everything
	Hostile    string // a deployment whose name and data try to break a page
	Empty      string // a deployment that has nothing
	Crew       string
	EmptyCrew  string
	Agent      string
	Repository string
	App        string
	Customer   string
	Event      string // of Customer

	Incoming string            // of Deployment: from GitHub, with accepted and refused requests
	Outgoing map[string]string // of Deployment: the webhooks' ids by the receivers' paths
	Outage   string            // of Deployment: the webhook whose endpoint is down
	Runs     map[string]string // ids by status
	HostileRun,
	HostileOutgoing string

	Failed, HostileDelivery string // ids of deliveries

	hold string // a file: some runs go on while it is there
	api
}

// Finish has the runs end that are running.
func (w *World) Finish(t testing.TB) {
	t.Helper()
	if err := os.Remove(w.hold); err != nil {
		t.Fatal(err)
	}
}

// api is the API with an admin's token.
type api struct {
	t          testing.TB
	url, token string
}

// object is a JSON object.
type object = map[string]any

// send makes a request to the API, whose answer must be one of success.
func (a api) send(method, path string, body any, headers ...string) object {
	a.t.Helper()
	text, isText := body.([]byte)
	if !isText && body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			a.t.Fatal(err)
		}
	}
	if strings.HasPrefix(path, "/") {
		path = a.url + path
	}
	req, err := http.NewRequestWithContext(a.t.Context(), method, path, bytes.NewReader(text))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	req.Header.Set("Content-Type", "application/json")
	refused := false
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == refusedHeader {
			refused = true
			continue
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode/100 != 2 && !refused {
		a.t.Fatalf("%s %s: %d %s %v", method, path, res.StatusCode, answer, err)
	}
	var o object
	if len(answer) > 0 && answer[0] == '{' {
		if err := json.Unmarshal(answer, &o); err != nil {
			a.t.Fatal(err)
		}
	}
	return o
}

// refusedHeader tells send that the answer may be a refusal.
const refusedHeader = "Refused"

func (a api) id(path string, body object) string {
	a.t.Helper()
	return a.send("POST", path, body)["id"].(string)
}

// Fill makes all of it. It returns when the runs and the first attempts are over, but for
// the runs that go on until [World.Finish] and the deliveries that hang. The scripts of
// runs are sh's.
func Fill(t testing.TB, url, token string) *World {
	t.Helper()
	w := &World{
		Receivers: NewReceivers(t), api: api{t, url, token}, hold: filepath.Join(t.TempDir(), "hold"), // gone with the test
		Outgoing: map[string]string{}, Runs: map[string]string{},
	}
	if err := os.WriteFile(w.hold, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.fillDeployment()
	w.fillHostile()
	w.fillAgents()
	w.fillOthers()
	w.await()
	w.Failed = w.list("/v1/deliveries?limit=1&webhook_id="+w.Outage, "data")[0]["id"].(string)
	w.HostileDelivery = w.list("/v1/deliveries?limit=1&webhook_id="+w.HostileOutgoing, "data")[0]["id"].(string)
	return w
}

// script is what the deployments' runs execute: its input's field "do" says what comes
// of it.
const script = `input=$(cat)
echo "loaded 1,204 open invoices from ledger 4400" >&2
echo "matching against the bank statement of 25 Nov" >&2
case $input in
*'"do":"fail"'*)
	echo "Warning: ledger answered 429, waiting 20 s" >&2
	echo "Error: KF-2026-119004: no counterpart: amount 18,240.50 EUR differs by 0.04" >&2
	exit 3;;
*'"do":"wait"'*)
	i=0
	while test -e "$HOLD"; do i=$((i+1)); echo "settled $i of 41" >&2; sleep 1; done;;
*'"do":"break"'*)
	printf 'KF-2026-118901: note contains <img src=x onerror=alert(1)>, kept as text\n' >&2
	printf '\033[31mred\033[0m and \342\200\256gnp.exe\342\200\254 and a NUL: \000.\n' >&2
	head -c 7000 /dev/zero | tr '\0' x >&2; echo >&2;;
esac
echo "matched 1,163 of 1,204" >&2
echo '{"matched":1163,"open":41,"report":"https://ledger.kestrel.example/reports/2026-11-25"}'`

func (w *World) version(deployment, environment string) {
	w.t.Helper()
	w.send("POST", "/v1/deployments/"+deployment+"/versions", object{"environment": environment, "target": w.command()})
}

func (w *World) command() object {
	return object{"type": "command", "argv": []string{"sh", "-c", strings.ReplaceAll(script, "$HOLD", w.hold)}, "timeout_seconds": 600}
}

func (w *World) outgoing(source, name, receiver string, more object) string {
	w.t.Helper()
	body := object{"name": name, "events": []string{"run.succeeded", "run.failed"}, "environment": "production"}
	if receiver != "" {
		body["url"] = receiver
	}
	maps.Copy(body, more)
	return w.id(source+"/outgoing-webhooks", body)
}

const githubSecret = "the-secret-that-github-has"

// github posts to a webhook as GitHub does.
func (w *World) github(url, event, delivery, body string, signed bool) object {
	w.t.Helper()
	mac := hmac.New(sha256.New, []byte(githubSecret))
	mac.Write([]byte(body))
	signature := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	if !signed {
		signature = "sha256=" + strings.Repeat("0", 64)
	}
	return w.send("POST", url, []byte(body), "X-GitHub-Event", event, "X-GitHub-Delivery", delivery,
		"X-Hub-Signature-256", signature, "User-Agent", "GitHub-Hookshot/044aadd", refusedHeader, "")
}

func push(do, author string) string {
	return fmt.Sprintf(`{"do":%q,"ref":"refs/heads/main","after":"6e1f4c09b7d2a85e3f90c1b2d4a7e6f8091c2b3d","repository":{"full_name":"kestrel/ledger-rules"},"pusher":{"name":%q}}`, do, author)
}

func (w *World) fillDeployment() {
	w.t.Helper()
	for _, name := range []string{"nightly-warehouse-sync", "contract-summariser-emea-long-documents"} {
		w.version(w.id("/v1/deployments", object{"name": name}), "production")
	}
	w.Empty = w.id("/v1/deployments", object{"name": "customs-declarations"})
	w.Deployment = w.id("/v1/deployments", object{"name": "invoice-reconciler"})
	w.version(w.Deployment, "production")
	w.version(w.Deployment, "production")
	w.version(w.Deployment, "staging")
	path := "/v1/deployments/" + w.Deployment
	w.send("PATCH", path+"/events", object{"event_retention_days": 7})

	in := w.send("POST", path+"/incoming-webhooks", object{
		"name": "Pushes to main", "environment": "production",
		"verification": object{"preset": "github", "secret": githubSecret}, "filter": object{"events": []string{"push"}},
	})
	w.Incoming = in["id"].(string)
	w.send("POST", path+"/incoming-webhooks", object{
		"name": "Ledger drift alert", "environment": "production", "verification": object{"preset": "grafana", "secret": "the-secret-that-grafana-has"},
	})
	plain := w.send("POST", path+"/incoming-webhooks", object{
		"name": "Month-end close, started by the controllers in Rotterdam, Gdańsk and Valparaíso", "environment": "staging",
	})
	off := w.id(path+"/incoming-webhooks", object{"name": "Old storefront", "environment": "staging"})
	w.send("PATCH", path+"/incoming-webhooks/"+off, object{"enabled": false})

	for _, out := range []struct {
		name, receiver string
		more           object
	}{
		{"Old data lake", Gone, nil},
		{"Audit mirror", Unwilling, object{"dialect": "standard", "retry": object{"schedule_seconds": []int{}}}},
		{"Legal archive", Hanging, object{"timeout_seconds": 30}},
		{"Warehouse listener", Slow, object{"dialect": "standard", "headers": object{"Authorization": "Bearer of-the-warehouse"}}},
		{"Finance on-call", Busy, object{"events": []string{"run.failed"}, "format": "slack"}},
		{"ERP bridge (production)", Healthy, nil},
	} {
		w.Outgoing[out.receiver] = w.outgoing(path, out.name, w.Receivers.URL+out.receiver, out.more)
	}
	w.outgoing(path, "Certificate of nobody", w.Receivers.TLS+Healthy, object{"retry": object{"schedule_seconds": []int{}}})
	w.outgoing(path, "Staging mirror", w.Receivers.URL+Healthy+"/staging?tenant=kestrel-freight-emea&partition=2026-11", object{"environment": "staging"})
	w.Outage = w.outgoing(path, "Settlement gateway", w.Receivers.URL+Outage+"/ingest", object{
		"events": []string{"run.succeeded"}, "retry": object{"schedule_seconds": []int{3600}},
	})
	quiet := w.outgoing(path, "Retired dashboard", w.Receivers.URL+Healthy, object{"events": []string{"run.failed"}})
	w.send("PATCH", path+"/outgoing-webhooks/"+quiet, object{"enabled": false})

	url := in["url"].(string)
	for i, do := range []string{"", "", "", "fail", "", "", "wait"} {
		run := w.github(url, "push", fmt.Sprintf("72d3162e-cc78-11e3-81ab-4c9367dc09%02d", i), push(do, "m.okafor"), true)
		status := map[string]string{"": "succeeded", "fail": "failed", "wait": "running"}[do]
		w.Runs[status] = run["run_id"].(string)
	}
	w.github(url, "issues", "72d3162e-cc78-11e3-81ab-4c9367dc0990", `{"action":"opened"}`, true) // not among its events
	for i := range 3 {
		w.github(url, "push", fmt.Sprintf("72d3162e-cc78-11e3-81ab-4c9367dc098%d", i), push("", "stranger"), false)
	}
	w.send("POST", plain["url"].(string), object{"period": "2026-11"})
	w.send("POST", "/v1/runs", object{"deployment_id": w.Deployment, "input": object{"period": "2026-10"}})
	w.send("POST", url+"x", object{}, refusedHeader, "")
}

// fillHostile makes what strangers would send.
func (w *World) fillHostile() {
	w.t.Helper()
	w.Hostile = w.id("/v1/deployments", object{"name": `<script>alert("name")</script> ` + strings.Repeat("w", 40)})
	w.version(w.Hostile, "production")
	path := "/v1/deployments/" + w.Hostile
	in := w.send("POST", path+"/incoming-webhooks", object{"name": `"><img src=x onerror=alert(3)>`, "environment": "production"})
	w.HostileOutgoing = w.outgoing(path, "شركة <b>bold</b> "+strings.Repeat("m", 60), w.Receivers.URL+Hostile+"?q=%3Cscript%3E", object{
		"headers": object{"X-Note": "<b>not bold</b>"},
	})
	w.HostileRun = w.send("POST", in["url"].(string), object{
		"do": "break", "html": hostile, "word": strings.Repeat("x", 256<<10), "rtl": "شركة المرساة للشحن",
	}, "User-Agent", "<script>alert(4)</script>")["run_id"].(string)
}

func (w *World) fillAgents() {
	w.t.Helper()
	w.EmptyCrew = w.id("/v1/crews", object{"name": "Night shift"})
	w.Crew = w.id("/v1/crews", object{"name": "Back office"})
	path := "/v1/crews/" + w.Crew + "/agents"
	w.send("POST", path, object{"name": "Support triage", "slug": "support-triage", "target": w.command()})
	agent := w.send("POST", path, object{
		"name": "clerk", "slug": "clerk", "target": w.command(), "require_timestamp": false, "rate_per_minute": 60, "max_in_flight": 4,
	})
	w.Agent = agent["id"].(string)
	w.outgoing(path+"/"+w.Agent, "Case log", w.Receivers.URL+Healthy, nil)
	trigger := "/api/v1/webhooks/" + w.Crew + "/" + w.Agent + "/trigger"
	for i, body := range []object{
		{"event": "alert", "source": "grafana", "session_id": "ledger-drift", "data": object{"text": "ledger drift over 0.5 %"}},
		{"event": "alert", "source": "grafana", "session_id": "ledger-drift", "data": object{"text": "ledger drift over 0.7 %"}},
		{"event": "question", "source": "shell", "data": object{"text": "Which invoices are open?", "do": "fail"}},
	} {
		text, err := json.Marshal(body)
		if err != nil {
			w.t.Fatal(err)
		}
		mac := hmac.New(sha256.New, []byte(agent["webhook_secret"].(string)))
		mac.Write(text)
		w.send("POST", trigger, text, "X-Signature", hex.EncodeToString(mac.Sum(nil)), "Idempotency-Key", fmt.Sprint("demo-", i))
	}
	w.send("POST", trigger, object{"event": "alert"}, "X-Signature", strings.Repeat("0", 64), refusedHeader, "")
}

func (w *World) fillOthers() {
	w.t.Helper()
	w.id("/v1/repositories", object{"owner": "kestrel", "name": "ledger-rules"})
	w.Repository = w.id("/v1/repositories", object{"owner": "kestrel", "name": "edge-router"})
	w.send("POST", "/repos/kestrel/edge-router/hooks", object{
		"name": "web", "events": []string{"build_finish"}, "config": object{"url": w.Receivers.URL + Healthy + "/releases", "content_type": "json"},
	})
	w.App = w.id("/v1/apps", object{"name": "Kestrel Driver"})
	w.send("POST", "/v1/apps/"+w.App+"/webhooks", object{
		"name": "Status page", "url": w.Receivers.URL + Healthy + "/status", "events": []string{"job_finished"}, "signingSecret": "of-the-status-page",
	})

	w.send("PUT", "/v1/event-types/order.shipped", object{
		"description": "An order has left the warehouse.",
		"schema": object{
			"type": "object", "required": []string{"order"},
			"properties": object{"order": object{"type": "string"}, "carrier": object{"type": "string"}, "parcels": object{"type": "integer", "minimum": 1}},
		},
		"example": object{"order": "KF-2026-118842", "carrier": "DHL", "parcels": 3},
	})
	w.send("PUT", "/v1/event-types/invoice.paid", object{"description": "An invoice was paid in full.", "example": object{"invoice": "KF-2026-119004"}})
	w.id("/v1/customers", object{"name": "Société Générale d’Affrètement & Fils <Marseille>", "external_id": "acct_2207"})
	w.Customer = w.id("/v1/customers", object{"name": "Halvard Bryggeri AS", "external_id": "acct_1042", "metadata": object{"plan": "team"}})
	path := "/v1/customers/" + w.Customer
	w.id(path+"/outgoing-webhooks", object{"name": "Warehouse listener", "url": w.Receivers.URL + Slow, "events": []string{"order.shipped", "invoice.paid"}})
	w.id(path+"/outgoing-webhooks", object{"name": "Accounting", "url": w.Receivers.URL + Busy, "events": []string{"invoice.paid"}})
	for i := range 6 {
		w.send("POST", "/v1/events", object{"source": w.Customer, "type": "order.shipped", "data": object{"order": fmt.Sprintf("KF-2026-11884%d", i), "carrier": "DHL", "parcels": i + 1}})
	}
	w.Event = "evt_invoice_119004"
	w.send("POST", "/v1/events", object{"id": w.Event, "source": w.Customer, "type": "invoice.paid", "data": object{"invoice": "KF-2026-119004"}})

	w.id("/v1/alerts/outgoing-webhooks", object{"name": "Operators", "url": w.Receivers.URL + Healthy + "/alerts", "events": []string{"webhook.failing", "webhook.disabled", "delivery.exhausted"}})
	w.id("/v1/tokens", object{"name": "ci-deploy", "role": "member"})
	w.id("/v1/tokens", object{"name": "dashboard", "role": "viewer"})
}
